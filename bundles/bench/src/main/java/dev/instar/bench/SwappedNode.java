package dev.instar.bench;

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
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/** A node in a process of its own whose bundles are swapped by lines to its standard input; see {@code dev.instar.launcher.node.HeldNode}. */
final class SwappedNode implements AutoCloseable {
  private static final String HELD = "dev.instar.launcher.node.HeldNode";
  private static final long STOP_S = 90;

  private final Process process;
  private final BufferedReader out;
  private final BufferedWriter in;
  private final Path err;
  private final URI url;

  private SwappedNode(Process process, Path err) throws IOException, Failure {
    this.process = process;
    this.err = err;
    out = process.inputReader(StandardCharsets.UTF_8);
    in = process.outputWriter(StandardCharsets.UTF_8);
    String ready = answer("ready");
    url = URI.create(ready.substring("ready ".length()));
  }

  /** With the options of this JVM, which the command gives those of a node. */
  static SwappedNode start(Path home, Place place) throws IOException, Failure {
    List<String> command = new ArrayList<>(List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString()));
    command.addAll(ManagementFactory.getRuntimeMXBean().getInputArguments());
    command.add("-Dinstar.console.level=OFF");
    command.addAll(List.of("-cp", home.resolve("lib") + "/*", HELD, place.directory().resolve("data").toString()));
    Path err = place.directory().resolve("node.err");
    Process process = new ProcessBuilder(command).redirectError(Redirect.to(err.toFile())).start();
    place.keep(() -> stop(process));
    return new SwappedNode(process, err);
  }

  URI url() {
    return url;
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
