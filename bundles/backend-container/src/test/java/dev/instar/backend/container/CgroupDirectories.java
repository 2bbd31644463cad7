package dev.instar.backend.container;

import dev.instar.api.cgroup.CgroupLease;
import dev.instar.api.cgroup.CgroupLimits;
import dev.instar.api.cgroup.CgroupPressure;
import dev.instar.api.cgroup.CgroupRequest;
import dev.instar.api.cgroup.CgroupUsage;
import dev.instar.api.function.HostLimits;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.stream.Stream;

/** A cgroup of this process's own making in each hierarchy of the host, without limits: its processes can be counted, stopped and killed. */
final class CgroupDirectories implements CgroupLease {
  private static final Path MOUNTS = Path.of("/sys/fs/cgroup");
  private final String name;
  private final List<Path> directories;

  private CgroupDirectories(String name, List<Path> directories) {
    this.name = name;
    this.directories = directories;
  }

  static CgroupDirectories make(int number) throws IOException {
    String name = "instar-containers-test-" + ProcessHandle.current().pid() + "-" + number;
    List<Path> parents;
    if (Files.exists(MOUNTS.resolve("cgroup.procs"))) {
      parents = List.of(MOUNTS);
    } else {
      try (Stream<Path> hierarchies = Files.list(MOUNTS)) {
        // An empty cpuset takes nobody in.
        parents = hierarchies.filter(path -> !Files.isSymbolicLink(path) && Files.exists(path.resolve("cgroup.procs")) && !path.endsWith("cpuset")).toList();
      }
    }
    List<Path> directories = parents.stream().map(parent -> parent.resolve(name)).toList();
    for (Path directory : directories) {
      Files.createDirectory(directory);
    }
    return new CgroupDirectories(name, directories);
  }

  private Optional<Path> file(String file) {
    return directories.stream().map(directory -> directory.resolve(file)).filter(Files::exists).findFirst();
  }

  private static String read(Path file) {
    try {
      return Files.readString(file).strip();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private void state(boolean frozen) {
    // Only one of the two, which wait for each other.
    Path file = file("freezer.state").or(() -> file("cgroup.freeze")).orElseThrow();
    boolean first = file.endsWith("freezer.state");
    String word = first ? frozen ? "FROZEN" : "THAWED" : frozen ? "1" : "0";
    try {
      do {
        Files.writeString(file, word);
      } while (first && !read(file).equals(word));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public CgroupRequest request() {
    return new CgroupRequest(name, name, new CgroupLimits(OptionalLong.empty(), HostLimits.NONE));
  }

  @Override
  public List<Path> directories() {
    return directories;
  }

  @Override
  public Optional<String> runtimePath() {
    return Optional.empty();
  }

  @Override
  public OptionalInt descriptor() {
    return OptionalInt.empty();
  }

  @Override
  public void enter(long pid) {
    throw new UnsupportedOperationException();
  }

  @Override
  public List<Long> processes() {
    return directories.stream().flatMap(directory -> read(directory.resolve("cgroup.procs")).lines()).map(Long::parseLong).distinct().toList();
  }

  @Override
  public CgroupUsage usage() {
    OptionalLong none = OptionalLong.empty();
    return new CgroupUsage(none, none, none, file("cpuacct.usage").map(file -> OptionalLong.of(Long.parseLong(read(file)) / 1000)).orElse(none), none, none, none);
  }

  @Override
  public Optional<CgroupPressure> pressure() {
    return Optional.empty();
  }

  @Override
  public void freeze() {
    state(true);
  }

  @Override
  public void thaw() {
    state(false);
  }

  @Override
  public void kill() {
    throw new UnsupportedOperationException();
  }

  @Override
  public void adjust(CgroupLimits limits) {
    throw new UnsupportedOperationException();
  }

  /** Removes it, when its processes have gone, for which it waits some seconds. */
  @Override
  public void close() {
    for (Path directory : directories) {
      for (long until = System.nanoTime() + 10_000_000_000L;;) {
        try {
          Files.deleteIfExists(directory);
          break;
        } catch (IOException e) {
          if (System.nanoTime() > until) {
            throw new UncheckedIOException(e);
          }
        }
      }
    }
  }
}
