package dev.instar.network;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/**
 * A program of the host.
 *
 * @param file where it is
 */
record Program(Path file) {
  private static final int SECONDS = 20;

  /** Also where an administrator's programs are; a service's PATH often lacks these. */
  static Optional<Program> find(String name) {
    List<String> directories = new ArrayList<>(Arrays.asList(System.getenv().getOrDefault("PATH", "").split(":")));
    directories.addAll(List.of("/usr/sbin", "/sbin", "/usr/local/sbin"));
    return directories.stream().filter(directory -> directory.startsWith("/")).map(directory -> Path.of(directory, name)).filter(Files::isExecutable).findFirst()
        .map(Program::new);
  }

  /** Runs it; what it prints. */
  String run(String input, String... arguments) throws IOException {
    List<String> command = new ArrayList<>(List.of(file.toString()));
    command.addAll(List.of(arguments));
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    try {
      // It prints before it has read everything only when it fails, and then less than a pipe holds.
      try (OutputStream in = process.getOutputStream()) {
        in.write(input.getBytes(StandardCharsets.UTF_8));
      } catch (IOException e) {
        // It ended early; its status tells why.
      }
      String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      if (!process.waitFor(SECONDS, TimeUnit.SECONDS)) {
        throw new IOException("'" + String.join(" ", command) + "' did not end within " + SECONDS + " s");
      }
      if (process.exitValue() != 0) {
        throw new IOException("'" + String.join(" ", command) + "' ended with " + process.exitValue() + ": "
            + said.lines().filter(line -> !line.isBlank()).findFirst().orElse("it said nothing"));
      }
      return said;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted while '" + command.getFirst() + "' ran", e);
    } finally {
      process.destroyForcibly();
    }
  }
}
