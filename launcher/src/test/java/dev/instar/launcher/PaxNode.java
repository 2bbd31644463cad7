package dev.instar.launcher;

import static org.ops4j.pax.exam.CoreOptions.bundle;
import static org.ops4j.pax.exam.CoreOptions.cleanCaches;
import static org.ops4j.pax.exam.CoreOptions.frameworkProperty;
import static org.ops4j.pax.exam.CoreOptions.frameworkStartLevel;
import static org.ops4j.pax.exam.CoreOptions.systemProperty;
import static org.ops4j.pax.exam.CoreOptions.systemTimeout;
import static org.ops4j.pax.exam.CoreOptions.vmOption;
import static org.ops4j.pax.exam.CoreOptions.workingDirectory;

import dev.instar.launcher.node.Node;
import dev.instar.launcher.node.NodeOptions;
import dev.instar.launcher.node.StartLevels;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.jar.JarFile;
import java.util.stream.Stream;
import org.junit.jupiter.api.extension.AfterAllCallback;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.ops4j.pax.exam.Option;
import org.ops4j.pax.exam.TestContainer;
import org.ops4j.pax.exam.spi.PaxExamRuntime;

/**
 * Starts the exported distribution under Pax Exam in a JVM of its own, with all features, for the tests of a class, which talk to it from outside.
 * Pax Exam brings a JUnit 4 runner only; this drives its container from Jupiter.
 */
public final class PaxNode implements BeforeAllCallback, AfterAllCallback {
  private TestContainer container;
  private Path directory;
  private URI url;

  @Override
  public void beforeAll(ExtensionContext context) throws Exception {
    Distribution distribution = new Distribution(Path.of("target/instar").toAbsolutePath(), Optional.empty());
    directory = Files.createTempDirectory(Path.of("target").toAbsolutePath(), "pax-node");
    Path config = Files.createDirectory(directory.resolve("config"));
    try (Stream<Path> files = Files.list(distribution.config())) {
      for (Path file : files.toList()) {
        Files.copy(file, config.resolve(file.getFileName()));
      }
    }
    int port;
    try (ServerSocket free = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      port = free.getLocalPort();
    }
    url = URI.create("http://127.0.0.1:" + port);
    NodeOptions node = new NodeOptions(directory.resolve("data"), config, OptionalInt.of(port), Optional.empty(), Set.of("process"), Map.of());
    StartLevels levels = StartLevels.read(distribution.home().resolve("features/start-levels.rules"));

    List<Option> options = new ArrayList<>();
    Node.frameworkProperties(distribution, node).forEach((key, value) -> {
      // The place and the cleaning of the cache are Pax Exam's own.
      if (!key.startsWith("org.osgi.framework.storage")) {
        options.add(frameworkProperty(key).value(value));
      }
    });
    Node.systemProperties(node).forEach((key, value) -> options.add(systemProperty(key).value(value)));
    options.add(systemProperty("pax.exam.osgi.unresolved.fail").value("true"));
    options.add(frameworkStartLevel(levels.last()));
    options.add(vmOption("--enable-native-access=ALL-UNNAMED"));
    options.add(vmOption("--sun-misc-unsafe-memory-access=allow"));
    options.add(workingDirectory(directory.resolve("pax").toString()));
    options.add(cleanCaches());
    options.add(systemTimeout(60_000));
    for (Path jar : distribution.bundles(node.features())) {
      options.add(bundle(jar.toUri().toString()).startLevel(levels.of(symbolicName(jar))));
    }
    container = PaxExamRuntime.createContainer(PaxExamRuntime.createServerSystem(options.toArray(Option[]::new)));
    container.start();
    awaitReady();
  }

  private void awaitReady() throws Exception {
    String last = "it does not listen";
    long end = System.nanoTime() + Duration.ofSeconds(60).toNanos();
    try (HttpClient http = HttpClient.newHttpClient()) {
      while (System.nanoTime() < end) {
        try {
          HttpResponse<String> answer = http.send(HttpRequest.newBuilder(url.resolve("/readyz")).build(), HttpResponse.BodyHandlers.ofString());
          if (answer.statusCode() == 200) {
            return;
          }
          last = answer.body();
        } catch (IOException e) {
          // It does not listen yet.
        }
        Thread.sleep(50);
      }
    }
    throw new AssertionError("The node is not ready: " + last);
  }

  @Override
  public void afterAll(ExtensionContext context) throws Exception {
    if (container != null) {
      container.stop();
    }
    try (Stream<Path> files = Files.walk(directory)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    }
  }

  /** Where it answers. */
  public URI url() {
    return url;
  }

  /** Installs a bundle into the running framework and starts it. */
  public void install(Path jar) throws IOException {
    try (InputStream content = Files.newInputStream(jar)) {
      container.install(content);
    }
  }

  /** Its administrator's token. */
  public String token() throws IOException {
    return Files.readString(directory.resolve("data/admin.token")).strip();
  }

  /** Its configuration files, which may be edited. */
  public Path config() {
    return directory.resolve("config");
  }

  private static String symbolicName(Path jar) throws Exception {
    try (JarFile file = new JarFile(jar.toFile())) {
      return file.getManifest().getMainAttributes().getValue("Bundle-SymbolicName").replaceFirst(";.*", "").strip();
    }
  }
}
