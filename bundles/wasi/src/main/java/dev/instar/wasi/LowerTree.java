package dev.instar.wasi;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileTime;
import java.util.Arrays;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;

/**
 * The files of an image as every sandbox of it starts: read once, immutable, shared by threads. Symbolic links are read, never followed: they are
 * data for {@link FileView}. What is neither a file, a directory nor a link is left out, and so is a name that this JVM cannot decode (a JVM
 * in the C locale needs {@code -Dsun.jnu.encoding=UTF-8} to see names outside ASCII).
 */
public final class LowerTree {
  private static final Directory NOTHING = new Directory(new Attributes(1, 1, 0, 0, 0), new String[0], new Node[0]);

  private final Directory root;

  LowerTree(Directory root) {
    this.root = root;
  }

  /** An empty root directory. */
  public static LowerTree empty() {
    return new LowerTree(NOTHING);
  }

  /**
   * Reads names, sizes and times below a directory; contents are read when a guest asks for them.
   *
   * @param directory is not to change as long as the tree is used
   * @param maxEntries how many files, directories and links there may be
   * @throws IOException when it cannot be read or has more entries
   */
  public static LowerTree scan(Path directory, int maxEntries) throws IOException {
    return new LowerTree(new Scan(directory, maxEntries).directory(directory, attributes(directory)));
  }

  Directory root() {
    return root;
  }

  private static BasicFileAttributes attributes(Path path) throws IOException {
    return Files.readAttributes(path, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
  }

  /**
   * Times are nanoseconds since 1970. Numbers of a scan follow the order of the names, so they are always the same.
   *
   * @param links how many names it has; 0 when it was only open
   */
  record Attributes(long number, int links, long accessed, long modified, long changed) {}

  /** What an inode of the view starts from. */
  sealed interface Node {
    Attributes attributes();
  }

  record File(Attributes attributes, long size, Source source) implements Node {}

  record Link(Attributes attributes, String target) implements Node {}

  /** Where the bytes of a file come from. */
  sealed interface Source {
    /** The file of the host that has some of them. */
    Optional<HostFile> host();
  }

  record HostFile(Path path) implements Source {
    @Override
    public Optional<HostFile> host() {
      return Optional.of(this);
    }
  }

  /** What a guest wrote before a snapshot: blocks by index, else the host's file up to a limit, else zeros. */
  record Blocks(Map<Integer, byte[]> blocks, Optional<HostFile> host, long hostLimit) implements Source {}

  /** Its entries, sorted by name. */
  record Directory(Attributes attributes, String[] names, Node[] nodes) implements Node {
    /** Less than 0 when there is none. */
    int indexOf(String name) {
      return Arrays.binarySearch(names, name);
    }
  }

  private static final class Scan {
    private final Path root;
    private final int maxEntries;
    private int entries = 1;

    Scan(Path root, int maxEntries) {
      this.root = root;
      this.maxEntries = maxEntries;
    }

    Directory directory(Path path, BasicFileAttributes attributes) throws IOException {
      long number = entries;
      TreeMap<String, Path> children = new TreeMap<>();
      try (DirectoryStream<Path> stream = Files.newDirectoryStream(path)) {
        for (Path child : stream) {
          String name = child.getFileName().toString();
          if (name.indexOf('\uFFFD') < 0) {
            if (entries + children.size() >= maxEntries) {
              throw new IOException("more than " + maxEntries + " files below " + root);
            }
            children.put(name, child);
          }
        }
      }
      TreeMap<String, Node> nodes = new TreeMap<>();
      for (var child : children.entrySet()) {
        BasicFileAttributes its = attributes(child.getValue());
        entries++;
        if (its.isDirectory()) {
          nodes.put(child.getKey(), directory(child.getValue(), its));
        } else if (its.isRegularFile()) {
          nodes.put(child.getKey(), new File(scanned(entries, its), its.size(), new HostFile(child.getValue())));
        } else if (its.isSymbolicLink()) {
          String target = Files.readSymbolicLink(child.getValue()).toString();
          if (target.indexOf('\uFFFD') < 0) {
            nodes.put(child.getKey(), new Link(scanned(entries, its), target));
          }
        }
        if (entries > maxEntries) {
          throw new IOException("more than " + maxEntries + " files below " + root);
        }
      }
      return new Directory(scanned(number, attributes), nodes.keySet().toArray(String[]::new), nodes.values().toArray(Node[]::new));
    }

    private static Attributes scanned(long number, BasicFileAttributes attributes) {
      FileTime time = attributes.lastModifiedTime();
      long modified = Math.max(0, time.to(TimeUnit.NANOSECONDS));
      return new Attributes(number, 1, modified, modified, modified);
    }
  }
}
