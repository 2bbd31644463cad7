package dev.instar.cgroups;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/** The processes in a directory, and the directories below it. */
final class Members {
  private Members() {}

  static void add(Path cgroup, long pid) throws IOException {
    ControlFile.write(cgroup.resolve("cgroup.procs"), Long.toString(pid));
  }

  /** Those in this cgroup alone. None where it is not there. */
  static List<Long> of(Path cgroup) {
    try {
      // Processes of another pid namespace that this one does not see are 0.
      return ControlFile.read(cgroup.resolve("cgroup.procs")).lines().map(Long::valueOf).filter(pid -> pid != 0).toList();
    } catch (IOException e) {
      return List.of();
    }
  }

  /** Those in it and in all below. */
  static List<Long> all(Path cgroup) {
    List<Long> all = new ArrayList<>();
    tree(cgroup).forEach(directory -> all.addAll(of(directory)));
    return all;
  }

  /** The cgroup and all below it, the deepest first. */
  static List<Path> tree(Path cgroup) {
    List<Path> tree = new ArrayList<>();
    try (Stream<Path> below = Files.list(cgroup)) {
      below.filter(Files::isDirectory).toList().forEach(child -> tree.addAll(tree(child)));
      tree.add(cgroup);
    } catch (IOException e) {
      // It is not there, or not any more.
    }
    return tree;
  }

  /** Removes a cgroup with all below it. Empty when it is gone; else why not. */
  static Optional<IOException> remove(Path cgroup) {
    IOException failure = null;
    for (Path directory : tree(cgroup)) {
      try {
        Files.deleteIfExists(directory);
      } catch (IOException e) {
        failure = e;
      }
    }
    return Files.exists(cgroup) && failure != null ? Optional.of(failure) : Optional.empty();
  }

  static void kill(long pid) {
    if (pid != ProcessHandle.current().pid()) {
      ProcessHandle.of(pid).ifPresent(ProcessHandle::destroyForcibly);
    }
  }
}
