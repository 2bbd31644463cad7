package dev.instar.backend.process;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Set;
import java.util.UUID;
import java.util.stream.Collectors;

/**
 * A process and all that it has started. Children are found by descent and, on Linux, by a variable in their environment, which finds those too
 * whose parent has gone (they belong to init then). One that has cleared its environment and left its parent is not found: this is tidiness, not
 * isolation. A scan of /proc takes a few milliseconds on a machine with some hundred processes.
 */
final class ProcessTree {
  static final String MARK = "INSTAR_SANDBOX";
  private static final Path PROC = Path.of("/proc");
  /** Each round kills what was started while the one before looked; one is the usual number. */
  private static final int ROUNDS = 10;
  /** A mark stands behind at most this many bytes of other variables. */
  private static final int MOST_ENVIRONMENT = 1 << 20;

  private final Process root;
  private final byte[] mark;

  ProcessTree(Process root, String mark) {
    this.root = root;
    this.mark = (MARK + "=" + mark).getBytes(StandardCharsets.US_ASCII);
  }

  /** Unique in the world, since other nodes may run on this machine. */
  static String newMark() {
    return UUID.randomUUID().toString();
  }

  /** Kills all that are found. Returns without waiting for their end. */
  void kill() {
    Set<ProcessHandle> found = root.descendants().collect(Collectors.toSet());
    root.destroyForcibly();
    Set<ProcessHandle> hit = new HashSet<>();
    for (int round = 0; round < ROUNDS; round++) {
      found.addAll(marked());
      found.removeAll(hit);
      if (found.isEmpty()) {
        return;
      }
      found.forEach(ProcessHandle::destroyForcibly);
      hit.addAll(found);
    }
  }

  private Set<ProcessHandle> marked() {
    Set<ProcessHandle> marked = new HashSet<>();
    if (Files.isDirectory(PROC.resolve("self"))) {
      try (DirectoryStream<Path> processes = Files.newDirectoryStream(PROC, "[0-9]*")) {
        for (Path process : processes) {
          if (hasMark(process.resolve("environ"))) {
            ProcessHandle.of(Long.parseLong(process.getFileName().toString())).filter(p -> p.pid() != root.pid()).ifPresent(marked::add);
          }
        }
      } catch (IOException | NumberFormatException e) {
        return marked;
      }
    }
    return marked;
  }

  private boolean hasMark(Path environ) {
    try (InputStream in = Files.newInputStream(environ)) {
      byte[] variables = in.readNBytes(MOST_ENVIRONMENT);
      int start = 0;
      for (int i = 0; i < variables.length; i++) {
        if (variables[i] == 0) {
          if (Arrays.equals(variables, start, i, mark, 0, mark.length)) {
            return true;
          }
          start = i + 1;
        }
      }
      return false;
    } catch (IOException e) {
      // Another user's process, or one that has ended.
      return false;
    }
  }
}
