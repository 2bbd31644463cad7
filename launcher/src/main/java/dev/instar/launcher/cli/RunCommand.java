package dev.instar.launcher.cli;

import com.fasterxml.jackson.databind.JsonNode;
import dev.instar.launcher.Distribution;
import dev.instar.launcher.ExitCode;
import dev.instar.launcher.Failure;
import dev.instar.launcher.node.Node;
import dev.instar.launcher.node.NodeOptions;
import dev.instar.launcher.node.ServiceManager;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Stream;
import javax.net.ssl.SSLContext;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code instar run}. */
@Command(name = "run", description = {"Starts a node in the foreground; Ctrl-C stops it.", "It says when it is ready, and deploys the examples for user demo unless they are there."})
public final class RunCommand implements Callable<Integer> {
  /** Long enough for the slowest machine that would still be used; a node that is not ready by then will not be. */
  private static final Duration START = Duration.ofSeconds(120);
  /** After the time that calls have: for killing those that still run, for closing sandboxes and for the rest of the stop. */
  private static final Duration CLOSE = Duration.ofSeconds(30);

  @Spec
  private CommandSpec spec;
  @Option(names = "--port", paramLabel = "N", description = "The port, instead of the configuration's (8080); 0 takes a free one.")
  private Optional<Integer> port;
  @Option(names = {"--host", "--bind"}, paramLabel = "ADDRESS", description = "The address, instead of the configuration's (127.0.0.1). Off loopback the node needs TLS, and each caller a token.")
  private Optional<String> bind;
  @Option(names = "--data", paramLabel = "DIR", description = "Where the node keeps everything (default: data/ in a source tree, else ~/.local/share/instar).")
  private Optional<Path> data;
  @Option(names = "--config", paramLabel = "DIR", description = "The configuration files (default: config/ of the source tree or distribution). A folder that is new or empty is filled with the defaults.")
  private Optional<Path> config;
  @Option(names = "--feature", paramLabel = "NAME", description = "Switch a feature on, e.g. process; may be repeated.")
  private Set<String> features = new LinkedHashSet<>();
  @Option(names = "--no-examples", description = "Do not deploy the examples.")
  private boolean noExamples;

  @Override
  public Integer call() throws Exception {
    if (port.isPresent() && (port.get() < 0 || port.get() > 65535)) {
      throw new ParameterException(spec.commandLine(), "--port is " + port.get() + "; give 0 to 65535");
    }
    Distribution distribution = Distribution.locate();
    List<String> known = distribution.features();
    for (String feature : features) {
      if (!known.contains(feature)) {
        throw new ParameterException(spec.commandLine(), "There is no feature '" + feature + "'; beside what every node has, this distribution has: " + String.join(", ", known));
      }
    }
    Path dataPlace = data.orElse(distribution.defaultData()).toAbsolutePath().normalize();
    Path configPlace = config(distribution);
    NodeOptions options = new NodeOptions(dataPlace, configPlace, port.isPresent() ? OptionalInt.of(port.get()) : OptionalInt.empty(), bind, features, Map.of());
    for (String feature : features) {
      distribution.note(feature).ifPresent(System.err::println);
    }
    System.out.println("Starting Instar " + Distribution.version() + (features.isEmpty() ? "" : " with " + String.join(", ", features)) + " ...");
    // Read while the framework starts, on the other processor.
    CompletableFuture<Examples> examples = CompletableFuture.supplyAsync(() -> {
      try {
        return noExamples ? new Examples(List.of()) : Examples.read(distribution.examples());
      } catch (IOException e) {
        throw new CompletionException(e);
      }
    });
    AtomicReference<Node> running = new AtomicReference<>();
    Runtime.getRuntime().addShutdownHook(new Thread(() -> stop(running.get()), "instar-stop"));
    URI url = start(distribution, options, running);
    Node node = running.get();
    Optional<SSLContext> trust = node.certificate().isPresent() ? Optional.of(Trust.only(node.certificate().get())) : Optional.empty();
    try (NodeClient client = new NodeClient(url, Credential.ofNode(dataPlace), trust)) {
      awaitReady(client);
      deploy(client, examples);
    }
    System.out.println("Instar is ready on " + url);
    ServiceManager.ready("Ready on " + url);
    boolean echo = !noExamples && examples.join().examples().stream().anyMatch(e -> e.function().equals("echo"));
    System.out.println();
    // Over TLS curl would have to be told of the certificate and the token in ways of its own.
    System.out.println(node.certificate().isPresent() ? "  List functions    instar list --url " + url + " --ca " + node.certificate().get() + " --token-file " + dataPlace.resolve("admin.token")
        : echo ? "  Call a function   curl -X POST " + url + "/f/" + Examples.USER + "/echo -d 'hello instar'"
        : "  Upload and call   curl -T shout.wasm " + url + "/f/me/shout && curl -X POST " + url + "/f/me/shout -d hello");
    System.out.println("  Data              " + dataPlace);
    System.out.println("  Configuration     " + configPlace);
    System.out.println("  Log               " + dataPlace.resolve("node.log"));
    System.out.println("  Stop              Ctrl-C");
    node.awaitStopped();
    return ExitCode.OK;
  }

  /**
   * Until the node listens. What it logs to standard error meanwhile is held back: when the start fails for a reason that it names, that reason
   * is one line of ours, and not three of its parts; all of it is in its log.
   */
  private static URI start(Distribution distribution, NodeOptions options, AtomicReference<Node> running) throws Failure, InterruptedException {
    PrintStream real = System.err;
    ByteArrayOutputStream held = new ByteArrayOutputStream();
    System.setErr(new PrintStream(held, true, StandardCharsets.UTF_8));
    try {
      running.set(Node.start(distribution, options));
      URI url = running.get().awaitListening(START);
      System.setErr(real);
      real.print(held.toString(StandardCharsets.UTF_8));
      return url;
    } catch (Failure failure) {
      // Held back to the end: what follows are the echoes of the failure and of the stop.
      String said = held.toString(StandardCharsets.UTF_8);
      if (!said.contains(failure.getMessage())) {
        real.print(said);
      }
      throw failure;
    }
  }

  private static void stop(Node node) {
    if (node == null) {
      return;
    }
    ServiceManager.stopping();
    Duration drain = Node.drain();
    try (Progress progress = Progress.of("Stopping; calls in flight have " + drain.toMillis() + " ms to end")) {
      if (!node.stop(drain.plus(CLOSE))) {
        System.err.println("The node did not stop within " + drain.plus(CLOSE).toSeconds() + " s; what still ran was cut.");
      }
    }
  }

  private Path config(Distribution distribution) throws Failure {
    if (config.isEmpty()) {
      return distribution.config();
    }
    Path place = config.get().toAbsolutePath().normalize();
    try {
      boolean empty;
      try (Stream<Path> files = Files.list(place)) {
        empty = files.findAny().isEmpty();
      } catch (NoSuchFileException e) {
        Files.createDirectories(place);
        empty = true;
      }
      if (empty) {
        try (Stream<Path> defaults = Files.list(distribution.config())) {
          for (Path file : defaults.toList()) {
            Files.copy(file, place.resolve(file.getFileName()));
          }
        }
        System.out.println("The default configuration was put into " + place);
      }
      return place;
    } catch (IOException e) {
      throw new Failure(ExitCode.FAILED, "The configuration folder " + place + " cannot be used: " + Reason.of(e) + ".", e);
    }
  }

  /** Asks until the node says that it can serve; says what it waits for when that takes long. */
  static void awaitReady(NodeClient client) throws Failure, InterruptedException {
    long began = System.nanoTime();
    long tell = began + Duration.ofSeconds(3).toNanos();
    JsonNode waiting;
    while (!(waiting = client.readiness()).isMissingNode()) {
      if (System.nanoTime() - began > START.toNanos()) {
        throw new Failure(ExitCode.FAILED, "The node is not ready after " + START.toSeconds() + " s: " + Output.printable(waiting.toString()));
      }
      if (System.nanoTime() > tell) {
        System.err.println("Not ready yet: " + Output.printable(waiting.path("detail").asText(waiting.toString())));
        tell += Duration.ofSeconds(10).toNanos();
      }
      Thread.sleep(10);
    }
  }

  private static void deploy(NodeClient client, CompletableFuture<Examples> examples) throws Failure, InterruptedException {
    try (Progress progress = Progress.of("Deploying the examples")) {
      List<String> failed = examples.join().deploy(client);
      failed.forEach(line -> System.err.println("An example was not deployed: " + line));
    } catch (CompletionException e) {
      System.err.println("The examples were not deployed: " + (e.getCause() instanceof IOException io ? Reason.of(io) : e.getCause().toString()));
    }
  }
}
