package dev.instar.backend.process;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.Collectors;

/**
 * A process and all that it has started. Children are found by descent and, on Linux, by a variable in their environment, which finds those too
 * whose parent has gone (they belong to init then). One that has cleared its environment and left its parent is not found: this is tidiness, not
 * isolation. A scan of /proc takes a few milliseconds on a machine with some hundred processes.
 */
final class ProcessTree {
  static final String MARK = "INSTAR_SANDBOX";
  private static final byte[] NAME = (MARK + "=").getBytes(StandardCharsets.US_ASCII);
  private static final Path PROC = Path.of("/proc");
  /** Each round kills what was started while the one before looked; one is the usual number. */
  private static final int ROUNDS = 10;
  /** A mark stands behind at most this many bytes of other variables. */
  private static final int MOST_ENVIRONMENT = 1 << 20;

  private final Process root;
  private final String mark;

  ProcessTree(Process root, String mark) {
    this.root = root;
    this.mark = mark;
  }

  /**
   * Kills what runs of the node that were killed have left: a program that does not read its input has not heard of their end. The caller holds the
   * data directory's lock, so there is no other run. Without /proc nothing is found. @return how many processes were found
   */
  static int sweep(Mark mark) {
    Set<ProcessHandle> hit = new HashSet<>();
    for (int round = 0; round < ROUNDS; round++) {
      Set<ProcessHandle> found = marked(mark::isPredecessors);
      found.remove(ProcessHandle.current());
      found.removeAll(hit);
      if (found.isEmpty()) {
        break;
      }
      found.forEach(ProcessHandle::destroyForcibly);
      hit.addAll(found);
    }
    return hit.size();
  }

  /** Kills all that are found. Returns without waiting for their end. */
  void kill() {
    Set<ProcessHandle> found = root.descendants().collect(Collectors.toSet());
    if (root.isAlive()) {
      // Of a process that has ended it would only close the streams, with the last words still in them.
      root.destroyForcibly();
    }
    Set<ProcessHandle> hit = new HashSet<>();
    for (int round = 0; round < ROUNDS; round++) {
      found.addAll(marked(mark::equals));
      found.removeIf(p -> p.pid() == root.pid());
      found.removeAll(hit);
      if (found.isEmpty()) {
        return;
      }
      found.forEach(ProcessHandle::destroyForcibly);
      hit.addAll(found);
    }
  }

  private static Set<ProcessHandle> marked(Predicate<String> wanted) {
    Set<ProcessHandle> marked = new HashSet<>();
    if (Files.isDirectory(PROC.resolve("self"))) {
      try (DirectoryStream<Path> processes = Files.newDirectoryStream(PROC, "[0-9]*")) {
        for (Path process : processes) {
          // The handle first: it knows when its process began, and kills no later one of the same number.
          ProcessHandle.of(Long.parseLong(process.getFileName().toString()))
              .filter(p -> mark(process.resolve("environ")).filter(wanted).isPresent()).ifPresent(marked::add);
        }
      } catch (IOException | NumberFormatException e) {
        return marked;
      }
    }
    return marked;
  }

  private static Optional<String> mark(Path environ) {
    try (InputStream in = Files.newInputStream(environ)) {
      byte[] variables = in.readNBytes(MOST_ENVIRONMENT);
      int start = 0;
      for (int i = 0; i < variables.length; i++) {
        if (variables[i] == 0) {
          if (i - start > NAME.length && Arrays.equals(variables, start, start + NAME.length, NAME, 0, NAME.length)) {
            return Optional.of(new String(variables, start + NAME.length, i - start - NAME.length, StandardCharsets.ISO_8859_1));
          }
          start = i + 1;
        }
      }
      return Optional.empty();
    } catch (IOException e) {
      // Another user's process, or one that has ended.
      return Optional.empty();
    }
  }
}
