package dev.instar.backend.container;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import java.util.Optional;

/** Looks into an image's files as a container sees them: no link leads out of the root. They do not change while this is used. */
record RootFiles(Path root) {
  private static final int LINK_HOPS = 40; // as the kernel, path_resolution(7)
  private static final int MOST_BYTES = 1 << 20;

  /** What is at a path after all links. Empty when there is nothing, or it is behind too many links. */
  Optional<Path> find(String path) {
    Deque<String> ahead = new ArrayDeque<>(Arrays.asList(path.split("/")));
    Path at = root;
    int hops = 0;
    try {
      while (!ahead.isEmpty()) {
        String segment = ahead.removeFirst();
        if (segment.isEmpty() || segment.equals(".")) {
          continue;
        }
        if (segment.equals("..")) {
          at = at.equals(root) ? root : at.getParent();
          continue;
        }
        Path next = at.resolve(segment);
        if (Files.isSymbolicLink(next)) {
          if (++hops > LINK_HOPS) {
            return Optional.empty();
          }
          String target = Files.readSymbolicLink(next).toString();
          at = target.startsWith("/") ? root : at;
          List<String> more = Arrays.asList(target.split("/"));
          for (int i = more.size(); i-- > 0;) {
            ahead.addFirst(more.get(i));
          }
        } else if (Files.exists(next, LinkOption.NOFOLLOW_LINKS)) {
          at = next;
        } else {
          return Optional.empty();
        }
      }
    } catch (IOException | InvalidPathException e) {
      return Optional.empty();
    }
    return Optional.of(at);
  }

  /** The program that a command names, as execvp(3) finds it in the container; as its path there. */
  Optional<String> program(String name, String directory, String searchPath) {
    if (name.contains("/")) {
      return isProgram(name.startsWith("/") ? name : directory + "/" + name) ? Optional.of(name) : Optional.empty();
    }
    return Arrays.stream(searchPath.split(":")).filter(d -> d.startsWith("/")).map(d -> d + "/" + name).filter(this::isProgram).findFirst();
  }

  private boolean isProgram(String path) {
    return find(path).filter(file -> Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)).filter(RootFiles::hasExecuteBit).isPresent();
  }

  /** Any of the three; whose it is the kernel checks. */
  private static boolean hasExecuteBit(Path file) {
    try {
      return ((int) Files.getAttribute(file, "unix:mode", LinkOption.NOFOLLOW_LINKS) & 0111) != 0;
    } catch (IOException e) {
      return false;
    }
  }

  /** The line of a table like /etc/passwd whose first field is the name, in its fields. */
  Optional<String[]> entry(String file, String name) {
    return find(file).filter(f -> Files.isRegularFile(f, LinkOption.NOFOLLOW_LINKS)).flatMap(f -> {
      try {
        if (Files.size(f) > MOST_BYTES) {
          return Optional.empty();
        }
        return Files.readString(f, StandardCharsets.ISO_8859_1).lines().map(line -> line.split(":", -1)).filter(fields -> fields[0].equals(name)).findFirst();
      } catch (IOException e) {
        return Optional.empty();
      }
    });
  }
}
