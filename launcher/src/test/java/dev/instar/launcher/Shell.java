package dev.instar.launcher;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;

/** The shipped command {@code bin/instar}, called as a user calls it. */
final class Shell implements AutoCloseable {
  static final Path COMMAND = Path.of("target/instar/bin/instar").toAbsolutePath();
  private static final long PATIENCE_S = 120;

  private final Path home;
  private final Map<String, String> environment;
  private final List<Process> nodes;
  /** The last node's, whose administrator the shell's user is. */
  private final AtomicReference<Optional<Path>> data;

  /** @param home the user's home directory */
  Shell(Path home, Map<String, String> environment) {
    this(home, environment, new ArrayList<>(), new AtomicReference<>(Optional.empty()));
  }

  private Shell(Path home, Map<String, String> environment, List<Process> nodes, AtomicReference<Optional<Path>> data) {
    this.data = data;
    this.home = home;
    this.environment = environment;
    this.nodes = nodes;
  }

  /** The same shell with other variables. */
  Shell with(Map<String, String> variables) {
    return new Shell(home, variables, nodes, data);
  }

  /** What a command left. */
  record Result(int code, byte[] bytes, String err) {
    String out() {
      return new String(bytes, StandardCharsets.UTF_8);
    }
  }

  /** A node that has said that it is ready. */
  record Running(Process process, URI url, List<String> said, Path err) {
    /** As Ctrl-C or a service manager does. */
    int stop(String signal) throws IOException, InterruptedException {
      signal(signal);
      return end();
    }

    void signal(String signal) throws IOException, InterruptedException {
      new ProcessBuilder("kill", "-" + signal, Long.toString(process.pid())).start().waitFor();
    }

    int end() throws IOException, InterruptedException {
      if (!process.waitFor(PATIENCE_S, TimeUnit.SECONDS)) {
        throw new AssertionError("the node has not ended; " + Files.readString(err));
      }
      return process.exitValue();
    }
  }

  Result instar(String... arguments) throws IOException, InterruptedException {
    return instar(new byte[0], arguments);
  }

  Result instar(byte[] input, String... arguments) throws IOException, InterruptedException {
    return run(input, command(COMMAND.toString(), arguments));
  }

  Result run(byte[] input, List<String> command) throws IOException, InterruptedException {
    Process process = builder(command).start();
    CompletableFuture<byte[]> out = read(process.getInputStream());
    CompletableFuture<byte[]> err = read(process.getErrorStream());
    try (var stdin = process.getOutputStream()) {
      stdin.write(input);
    } catch (IOException e) {
      // It did not read its input.
    }
    if (!process.waitFor(PATIENCE_S, TimeUnit.SECONDS)) {
      process.destroyForcibly();
      throw new AssertionError(command + " has not ended: " + new String(err.join(), StandardCharsets.UTF_8));
    }
    return new Result(process.exitValue(), out.join(), new String(err.join(), StandardCharsets.UTF_8));
  }

  private static CompletableFuture<byte[]> read(InputStream in) {
    return CompletableFuture.supplyAsync(() -> {
      try {
        return in.readAllBytes();
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }, task -> Thread.ofVirtual().start(task));
  }

  /** {@code instar run} with these arguments and a free port. */
  Running node(Path data, String... arguments) throws IOException {
    return node(List.of(), data, arguments);
  }

  /** The same in a process that may have so many descriptors. */
  Running node(int descriptors, Path data, String... arguments) throws IOException {
    return node(List.of("sh", "-c", "ulimit -n " + descriptors + " && exec \"$@\"", "sh"), data, arguments);
  }

  private Running node(List<String> before, Path data, String... arguments) throws IOException {
    Path err = Files.createTempFile(home, "node", ".err");
    // A build in the background of a shell ignores Ctrl-C, and so would all that it starts; a user's terminal does not.
    List<String> command = new ArrayList<>(before);
    command.addAll(List.of("env", "--default-signal=INT", COMMAND.toString(), "run", "--port", "0", "--data", data.toString()));
    command.addAll(List.of(arguments));
    Process process = builder(command).redirectError(err.toFile()).start();
    nodes.add(process);
    this.data.set(Optional.of(data));
    process.getOutputStream().close();
    List<String> said = new ArrayList<>();
    BufferedReader out = process.inputReader(StandardCharsets.UTF_8);
    URI url = null;
    for (String line; (line = out.readLine()) != null;) {
      said.add(line);
      if (line.startsWith("Instar is ready on ")) {
        url = URI.create(line.substring("Instar is ready on ".length()));
      }
      if (url != null && line.contains("Ctrl-C")) {
        return new Running(process, url, said, err);
      }
    }
    throw new AssertionError("the node did not become ready: " + said + Files.readString(err));
  }

  private static List<String> command(String program, String... arguments) {
    List<String> command = new ArrayList<>(List.of(program));
    command.addAll(List.of(arguments));
    return command;
  }

  private ProcessBuilder builder(List<String> command) {
    ProcessBuilder builder = new ProcessBuilder(command);
    builder.environment().keySet().removeIf(name -> name.startsWith("INSTAR_") || name.startsWith("XDG_"));
    builder.environment().put("HOME", home.toString());
    builder.environment().put("XDG_DATA_HOME", home.resolve("share").toString());
    builder.environment().put("JAVA_HOME", System.getProperty("java.home"));
    data.get().ifPresent(place -> builder.environment().put("INSTAR_TOKEN_FILE", place.toString()));
    builder.environment().putAll(environment);
    return builder;
  }

  /** Ends the nodes that a test which failed has left. */
  @Override
  public void close() {
    nodes.forEach(Process::destroyForcibly);
  }
}
