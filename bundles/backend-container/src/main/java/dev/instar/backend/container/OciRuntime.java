package dev.instar.backend.container;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/**
 * The program that makes containers: crun, runc or another with their command line.
 *
 * @param program its file
 * @param version the first line of what it says of itself
 */
record OciRuntime(Path program, String version) {
  private static final List<String> USUAL = List.of("crun", "runc");
  /** For daemons whose PATH leaves them out. */
  private static final String MORE_PLACES = ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

  /** @param wanted a name on the PATH or a file; empty for the first of the usual ones that is there */
  static Optional<OciRuntime> find(String wanted) {
    for (String name : wanted.isBlank() ? USUAL : List.of(wanted.strip())) {
      Optional<Path> program = onPath(name);
      if (program.isPresent()) {
        return Optional.of(new OciRuntime(program.get(), version(program.get())));
      }
    }
    return Optional.empty();
  }

  /** The file of a program of the host. */
  static Optional<Path> onPath(String name) {
    if (name.startsWith("/")) {
      return Optional.of(Path.of(name)).filter(Files::isRegularFile).filter(Files::isExecutable);
    }
    for (String directory : (System.getenv().getOrDefault("PATH", "") + MORE_PLACES).split(File.pathSeparator)) {
      Path file = Path.of(directory, name);
      if (!directory.isEmpty() && Files.isRegularFile(file) && Files.isExecutable(file)) {
        return Optional.of(file);
      }
    }
    return Optional.empty();
  }

  private static String version(Path program) {
    try {
      Process process = new ProcessBuilder(program.toString(), "--version").redirectErrorStream(true).start();
      process.getOutputStream().close();
      String said = new String(process.getInputStream().readNBytes(4096), StandardCharsets.UTF_8);
      process.waitFor(5, TimeUnit.SECONDS);
      process.destroyForcibly();
      return said.lines().findFirst().orElse("").strip();
    } catch (IOException e) {
      return "";
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return "";
    }
  }

  /** Whether it takes crun's own options and annotations. */
  boolean crun() {
    return version.startsWith("crun");
  }

  /** @param state where it keeps what it knows of its containers */
  List<String> command(Path state, String... arguments) {
    List<String> command = new ArrayList<>(List.of(program.toString(), "--root", state.toString()));
    if (crun()) {
      // Leases bring the cgroup, and what a process of a lease starts is in it.
      command.add("--cgroup-manager=disabled");
    }
    command.addAll(List.of(arguments));
    return command;
  }
}
