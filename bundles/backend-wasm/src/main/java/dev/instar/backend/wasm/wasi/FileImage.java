package dev.instar.backend.wasm.wasi;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;

/**
 * The files that every sandbox of a function starts with: immutable and shared. Contents of a bundle's files stay on disk and are read
 * where they lie; what a function's initialiser has written is held in memory.
 */
public final class FileImage {
  /** Equal by identity: two names of one file are one object. */
  abstract static sealed class Entry {
    final long modified;

    private Entry(long modified) {
      this.modified = modified;
    }
  }

  static final class Folder extends Entry {
    final Map<String, Entry> entries;

    Folder(Map<String, Entry> entries, long modified) {
      super(modified);
      this.entries = entries;
    }
  }

  /** A file whose bytes are on disk, where {@code path} is given, or the first {@code size} of {@code data}. */
  static final class Regular extends Entry {
    final Path path;
    final byte[] data;
    final long size;
    final int links;

    Regular(Path path, byte[] data, long size, int links, long modified) {
      super(modified);
      this.path = path;
      this.data = data;
      this.size = size;
      this.links = links;
    }
  }

  static final class Link extends Entry {
    final String target;

    Link(String target, long modified) {
      super(modified);
      this.target = target;
    }
  }

  final Folder root;
  /** What the contents in memory were charged. */
  final long charged;

  FileImage(Folder root, long charged) {
    this.root = root;
    this.charged = charged;
  }

  /** The bytes of the budget that the image holds. */
  public long charged() {
    return charged;
  }

  /** No files: an empty directory. */
  public static FileImage empty() {
    return new FileImage(new Folder(Map.of(), 0), 0);
  }

  /** The files below a directory of the host. Its symbolic links become links of the image; what is neither file, directory nor link is left out. */
  public static FileImage of(Path directory) throws IOException {
    return new FileImage(folder(directory, Files.getLastModifiedTime(directory).to(TimeUnit.NANOSECONDS)), 0);
  }

  private static Folder folder(Path directory, long modified) throws IOException {
    Map<String, Entry> entries = new TreeMap<>();
    try (DirectoryStream<Path> children = Files.newDirectoryStream(directory)) {
      for (Path child : children) {
        BasicFileAttributes attributes = Files.readAttributes(child, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
        long time = attributes.lastModifiedTime().to(TimeUnit.NANOSECONDS);
        String name = child.getFileName().toString();
        if (attributes.isDirectory()) {
          entries.put(name, folder(child, time));
        } else if (attributes.isRegularFile()) {
          entries.put(name, new Regular(child, null, attributes.size(), 1, time));
        } else if (attributes.isSymbolicLink()) {
          entries.put(name, new Link(Files.readSymbolicLink(child).toString(), time));
        }
      }
    }
    return new Folder(entries, modified);
  }
}
