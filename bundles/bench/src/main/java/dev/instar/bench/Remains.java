package dev.instar.bench;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Predicate;
import java.util.stream.Stream;

/**
 * What a node has on its host outside of its data directory: processes, mounts, cgroups, interfaces, network namespaces, directories below {@code /run}. All of it
 * bears the run of the node ({@code <process id>.<its start in ms>}), the mark of its networks, or its data directory.
 */
final class Remains {
  private static final Path CGROUPS = Path.of("/sys/fs/cgroup");
  private static final Path RUN = Path.of("/run");

  private final String run;
  private final Path data;
  /** Directories below {@code /run} whose own names do not tell whose they are. */
  private final Set<Path> directories = new TreeSet<>();

  Remains(ProcessHandle node, Path data) {
    run = node.pid() + "." + node.info().startInstant().map(Instant::toEpochMilli).orElse(0L);
    this.data = data;
  }

  /** While it runs. */
  void look() throws IOException {
    for (Path directory : named(RUN, name -> name.startsWith("instar-"))) {
      if (!named(directory, name -> name.contains(run)).isEmpty()) {
        directories.add(directory);
      }
    }
  }

  /** When it has ended. */
  List<String> left() throws IOException {
    List<String> left = new ArrayList<>();
    directories.stream().filter(Files::exists).forEach(directory -> left.add("the directory " + directory));
    for (Path process : named(Path.of("/proc"), name -> name.chars().allMatch(Character::isDigit))) {
      try {
        if (Files.readString(process.resolve("environ"), StandardCharsets.ISO_8859_1).contains(run)) {
          left.add("the process " + process.getFileName());
        }
      } catch (IOException e) {
        // It has ended, or is not ours to see.
      }
    }
    Files.readString(Path.of("/proc/self/mounts")).lines().filter(mount -> mount.contains(data.toString()) || directories.stream().anyMatch(d -> mount.contains(d.toString())))
        .forEach(mount -> left.add("the mount " + mount));
    Path mark = data.resolve("network/mark");
    if (Files.exists(mark)) {
      String prefix = "i" + Files.readString(mark).strip();
      named(Path.of("/sys/class/net"), name -> name.startsWith(prefix)).forEach(one -> left.add("the interface " + one.getFileName()));
      named(RUN.resolve("netns"), name -> name.startsWith(prefix)).forEach(one -> left.add("the network namespace " + one.getFileName()));
    }
    cgroups(left);
    return left;
  }

  private void cgroups(List<String> left) throws IOException {
    if (!Files.isDirectory(CGROUPS)) {
      return;
    }
    Files.walkFileTree(CGROUPS, new SimpleFileVisitor<>() {
      @Override
      public FileVisitResult preVisitDirectory(Path directory, BasicFileAttributes attributes) {
        if (directory.getFileName().toString().endsWith("-" + run)) {
          left.add("the cgroup " + directory);
          return FileVisitResult.SKIP_SUBTREE;
        }
        return FileVisitResult.CONTINUE;
      }

      /** Other nodes of the host come and go meanwhile. */
      @Override
      public FileVisitResult visitFileFailed(Path file, IOException e) {
        return FileVisitResult.CONTINUE;
      }

      @Override
      public FileVisitResult postVisitDirectory(Path directory, IOException e) {
        return FileVisitResult.CONTINUE;
      }
    });
  }

  private static List<Path> named(Path directory, Predicate<String> name) throws IOException {
    try (Stream<Path> all = Files.list(directory)) {
      return all.filter(one -> name.test(one.getFileName().toString())).toList();
    } catch (NoSuchFileException | NotDirectoryException | AccessDeniedException e) {
      return List.of();
    } catch (UncheckedIOException e) {
      throw e.getCause();
    }
  }
}
