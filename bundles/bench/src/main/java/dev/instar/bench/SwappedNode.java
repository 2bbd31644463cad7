package dev.instar.bench;

import dev.instar.bench.Wire.Answer;
import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.lang.ProcessBuilder.Redirect;
import java.lang.management.ManagementFactory;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/** A node in a process of its own whose bundles are swapped by lines to its standard input; see {@code dev.instar.launcher.node.HeldNode}. */
final class SwappedNode implements AutoCloseable {
  private static final String HELD = "dev.instar.launcher.node.HeldNode";
  private static final long STOP_S = 90;
  private static final long POLL_MS = 10;
  private static final String NETWORKS = "10.214.112.0/20";

  private final Process process;
  private final BufferedReader out;
  private final BufferedWriter in;
  private final Path err;
  private final Path data;
  private final URI url;
  private final Remains remains;

  private SwappedNode(Process process, Path err, Path data) throws IOException, Failure {
    this.process = process;
    this.err = err;
    this.data = data;
    out = process.inputReader(StandardCharsets.UTF_8);
    in = process.outputWriter(StandardCharsets.UTF_8);
    String ready = answer("ready");
    url = URI.create(ready.substring("ready ".length()));
    remains = new Remains(process.toHandle(), data);
  }

  /**
   * With the options of this JVM, which the command gives those of a node.
   *
   * @param wasmtime the library, where its backend is to be there, too
   * @param containers whether their backend is to be there
   */
  static SwappedNode start(Path home, Place place, Optional<Path> wasmtime, boolean containers) throws IOException, Failure {
    Path data = place.directory().resolve("data");
    List<String> command = new ArrayList<>(List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString()));
    command.addAll(ManagementFactory.getRuntimeMXBean().getInputArguments());
    command.add("-Dinstar.console.level=OFF");
    command.addAll(List.of("-cp", home.resolve("lib") + "/*", HELD, data.toString(), config(home, place).toString()));
    if (wasmtime.isPresent()) {
      Files.createSymbolicLink(Files.createDirectories(data.resolve("native")).resolve("libwasmtime.so"), wasmtime.get().toAbsolutePath());
      command.add("wasmtime");
    }
    if (containers) {
      command.add("container");
    }
    Path err = place.directory().resolve("node.err");
    Process process = new ProcessBuilder(command).redirectError(Redirect.to(err.toFile())).start();
    place.keep(() -> stop(process));
    return new SwappedNode(process, err, data);
  }

  /** That of the distribution, with networks that a node beside it is not likely to have. */
  private static Path config(Path home, Place place) throws IOException {
    Path config = Files.createDirectory(place.directory().resolve("config"));
    try (Stream<Path> shipped = Files.list(home.resolve("config"))) {
      for (Path file : shipped.filter(Files::isRegularFile).toList()) {
        Files.copy(file, config.resolve(file.getFileName()));
      }
    }
    Files.writeString(config.resolve("dev.instar.network.cfg.json"), "{\"networks\": \"" + NETWORKS + "\", \"ready\": 8}");
    return config;
  }

  URI url() {
    return url;
  }

  /** Makes the next version of a bundle. */
  void prepare(String bundle) throws IOException, Failure {
    tell("next " + bundle + " " + next());
  }

  /** Updates a bundle to the version that was {@link #prepare prepared}, as an operator does, and waits until it has been done. */
  void replace(String bundle) throws IOException, InterruptedException, Failure {
    change("PUT", "/v1/bundles/" + bundle, Files.readAllBytes(next()), "the update of " + bundle);
  }

  private Path next() {
    return data.resolveSibling("next.jar");
  }

  /** Stops or starts a bundle as an operator does, and waits until it has been done. */
  void change(String bundle, String verb) throws IOException, InterruptedException, Failure {
    change("POST", "/v1/bundles/" + bundle + "/" + verb, new byte[0], "the " + verb + " of " + bundle);
  }

  private void change(String method, String path, byte[] body, String what) throws IOException, InterruptedException, Failure {
    Answer answer = administer(method, path, body);
    while (answer.status() == 202) {
      Thread.sleep(POLL_MS);
      answer = administer("GET", answer.header("location"), new byte[0]);
    }
    check(answer, what);
  }

  /** Has all functions go from one backend to another. */
  void move(String from, String to) throws IOException, Failure {
    byte[] body = ("{\"from\":\"" + from + "\",\"to\":\"" + to + "\"}").getBytes(StandardCharsets.US_ASCII);
    check(administer("POST", "/v1/backends/swap", body), "the swap of " + from + " for " + to);
  }

  private Answer administer(String method, String path, byte[] body) throws IOException {
    try (Wire wire = new Wire(url, Optional.of(Files.readString(data.resolve("admin.token")).strip()))) {
      return wire.exchange(method, path, body);
    }
  }

  private static void check(Answer answer, String what) throws Failure {
    if (answer.status() != 200) {
      throw new Failure("The node answered " + what + " with " + answer.shown());
    }
  }

  ProcessHandle process() {
    return process.toHandle();
  }

  /** Has it do something, and waits until it has. */
  String tell(String line) throws IOException, Failure {
    in.write(line + "\n");
    in.flush();
    return answer(line);
  }

  private String answer(String what) throws IOException, Failure {
    String answer = out.readLine();
    if (answer == null || answer.startsWith("failed")) {
      throw new Failure("The node did not do '" + what + "': " + (answer == null ? Files.readString(err).strip() : answer));
    }
    return answer;
  }

  /** Its open files, threads and mappings, and what of it is in memory. */
  String resources() throws IOException {
    try (Stream<Path> open = Files.list(Path.of("/proc", Long.toString(process.pid()), "fd"))) {
      long files = open.count();
      String rss = "?";
      String threads = "?";
      for (String line : Files.readAllLines(Path.of("/proc", Long.toString(process.pid()), "status"))) {
        rss = line.startsWith("VmRSS:") ? line.replaceAll("\\D", "") : rss;
        threads = line.startsWith("Threads:") ? line.replaceAll("\\D", "") : threads;
      }
      long mappings;
      try (Stream<String> maps = Files.lines(Path.of("/proc", Long.toString(process.pid()), "maps"))) {
        mappings = maps.count();
      }
      return files + " descriptors, " + threads + " threads, " + mappings + " mappings, " + Long.parseLong(rss) / 1024 + " MiB in memory";
    }
  }

  /** Ends it. @return what it has left on the host, of all that bears its mark */
  List<String> end() throws IOException, InterruptedException, Failure {
    remains.look();
    close();
    if (!process.waitFor(STOP_S, TimeUnit.SECONDS)) {
      throw new Failure("The node has not ended in " + STOP_S + " s.");
    }
    return remains.left();
  }

  private static void stop(Process process) throws InterruptedException {
    process.destroy();
    if (!process.waitFor(STOP_S, TimeUnit.SECONDS)) {
      process.destroyForcibly().waitFor();
    }
  }

  @Override
  public void close() throws IOException {
    in.close();
  }
}
