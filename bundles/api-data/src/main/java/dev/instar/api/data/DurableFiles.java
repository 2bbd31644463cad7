package dev.instar.api.data;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.FileChannel;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayDeque;
import java.util.Locale;
import java.util.Set;
import java.util.UUID;

/**
 * File operations that have happened for good when they return: they survive {@code kill -9} and power loss.
 *
 * <p>The order is that of every careful store: write a temporary file beside the target, fsync it, rename it over the target, fsync the
 * directory. A reader sees the old content or the new one, never a part. A writer that dies leaves at most a temporary file, which
 * {@link #isTemporary} knows.
 *
 * <p>An interrupt of the calling thread neither stops nor fails these operations; it is still set when they return. What is made is for the
 * node's user alone (files 0600, directories 0700).
 */
public final class DurableFiles {
  private static final FileAttribute<Set<PosixFilePermission>> FILE = attribute("rw-------");
  private static final FileAttribute<Set<PosixFilePermission>> DIRECTORY = attribute("rwx------");
  private static final String TEMPORARY_PREFIX = ".";
  private static final String TEMPORARY_SUFFIX = ".tmp";

  private DurableFiles() {}

  private static FileAttribute<Set<PosixFilePermission>> attribute(String mode) {
    return PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString(mode));
  }

  /** Makes {@code file} hold {@code content}, whole or not at all. Its directory must be there. */
  public static void write(Path file, byte[] content) throws IOException {
    Path temporary = temporary(file);
    try {
      try (PositionedFile out = PositionedFile.create(temporary)) {
        out.write(0, content, 0, content.length);
        out.sync();
      }
      move(temporary, file);
    } catch (IOException | RuntimeException e) {
      discard(temporary, e);
      throw e;
    }
  }

  /** Writes a file's content. */
  @FunctionalInterface
  public interface Content {
    /** May throw whatever the stream throws; the file does not appear then. */
    void to(OutputStream out) throws IOException;
  }

  /**
   * Makes {@code file} hold some content, whole or not at all for whoever looks while the node runs, but without a sync: after a power cut it may be
   * the old one, gone, empty or damaged. For caches that check what they read, and for what does not outlast the node's run.
   */
  public static void writeUnsynced(Path file, Content content) throws IOException {
    Path temporary = temporary(file);
    try {
      try (OutputStream out = create(temporary)) {
        content.to(out);
      }
      moveUnsynced(temporary, file);
    } catch (IOException | RuntimeException e) {
      discard(temporary, e);
      throw e;
    }
  }

  private static Path temporary(Path file) {
    return file.resolveSibling(TEMPORARY_PREFIX + file.getFileName() + "." + UUID.randomUUID().toString().substring(0, 8) + TEMPORARY_SUFFIX);
  }

  private static void discard(Path temporary, Exception failure) {
    try {
      Files.deleteIfExists(temporary);
    } catch (IOException e) {
      failure.addSuppressed(e);
    }
  }

  /**
   * A new file of the node's user alone, to be written from its begin to its end. Who promises its content calls {@link #sync} once the stream is
   * closed, and then {@link #move}.
   *
   * @throws FileAlreadyExistsException when something of that name is there
   */
  public static OutputStream create(Path file) throws IOException {
    createEmpty(file);
    // The JDK lets no interrupt close the channel below this stream.
    return Files.newOutputStream(file, StandardOpenOption.WRITE);
  }

  static void createEmpty(Path file) throws IOException {
    Files.createFile(file, FILE);
  }

  /**
   * Renames a file, replacing one there, or a directory whose content has been synced already, and syncs both directories: neither is the new name
   * lost nor does the old one come back. Both must be on one file system.
   */
  public static void move(Path source, Path target) throws IOException {
    moveUnsynced(source, target);
    Path to = target.toAbsolutePath().getParent();
    sync(to);
    Path from = source.toAbsolutePath().getParent();
    if (!from.equals(to)) {
      sync(from);
    }
  }

  /** Renames at once for whoever looks while the node runs; after a power cut the old name, the new one or both may be there. */
  public static void moveUnsynced(Path source, Path target) throws IOException {
    Files.move(source, target, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
  }

  /** Deletes a file for good. @return whether it was there */
  public static boolean delete(Path file) throws IOException {
    boolean was = Files.deleteIfExists(file);
    if (was) {
      sync(file.toAbsolutePath().getParent());
    }
    return was;
  }

  /**
   * Makes a directory (0700) and the missing ones above it, for good. One that is there is synced into its parent too: who made it may have died
   * before he came to that, or may not have come to it yet.
   *
   * @throws FileAlreadyExistsException when something else, such as a link, is there
   */
  public static void createDirectories(Path directory) throws IOException {
    Path parent = directory.toAbsolutePath().getParent();
    if (parent != null && !Files.isDirectory(parent)) {
      createDirectories(parent);
    }
    try {
      Files.createDirectory(directory, DIRECTORY);
    } catch (FileAlreadyExistsException e) {
      if (!Files.isDirectory(directory, LinkOption.NOFOLLOW_LINKS)) {
        throw e;
      }
    }
    if (parent != null) {
      sync(parent);
    }
  }

  /** Brings a file's or a directory's content to the disk (fsync). */
  public static void sync(Path path) throws IOException {
    boolean interrupted = Thread.interrupted();
    try {
      while (true) {
        try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
          channel.force(true);
          return;
        } catch (ClosedByInterruptException e) {
          Thread.interrupted();
          interrupted = true;
        }
      }
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  /** Deletes what writers that died have left in a directory. Nobody may be writing there. */
  public static void sweep(Path directory) throws IOException {
    try (DirectoryStream<Path> left = Files.newDirectoryStream(directory, DurableFiles::isTemporary)) {
      for (Path file : left) {
        Files.deleteIfExists(file);
      }
    }
  }

  /** Whether the file is what a writer that died has left. */
  public static boolean isTemporary(Path file) {
    String name = file.getFileName().toString();
    return name.startsWith(TEMPORARY_PREFIX) && name.endsWith(TEMPORARY_SUFFIX);
  }

  /** Whether a failure means that the file system, or the user's quota on it, is full. */
  public static boolean isNoSpace(IOException failure) {
    String message = String.valueOf(failure.getMessage()).toLowerCase(Locale.ROOT);
    return message.contains("no space left on device") || message.contains("disk quota exceeded");
  }

  /**
   * Deletes a directory with all that is in it, or a file, if it is there. Links are removed and never followed, a mount point is left
   * alone (the rename below fails on it), and depth is no matter: each directory is first renamed to the top, so that no path grows beyond
   * what the system takes, whatever a guest has nested.
   *
   * @throws IOException the first failure; all else has been deleted
   */
  public static void deleteTree(Path root) throws IOException {
    if (!Files.isDirectory(root, LinkOption.NOFOLLOW_LINKS)) {
      Files.deleteIfExists(root);
      return;
    }
    String unique = ".gone-" + UUID.randomUUID() + "-";
    long count = 0;
    IOException first = null;
    ArrayDeque<Path> directories = new ArrayDeque<>();
    directories.add(root);
    while (!directories.isEmpty()) {
      Path directory = directories.removeLast();
      try {
        Files.setPosixFilePermissions(directory, DIRECTORY.value());
        try (DirectoryStream<Path> entries = Files.newDirectoryStream(directory)) {
          for (Path entry : entries) {
            if (entry.getFileName().toString().startsWith(unique)) {
              continue;
            }
            try {
              if (Files.isDirectory(entry, LinkOption.NOFOLLOW_LINKS)) {
                Path up = root.resolve(unique + count++);
                // To move a directory elsewhere takes the right to write into it (rename(2), EACCES).
                Files.setPosixFilePermissions(entry, DIRECTORY.value());
                try {
                  moveUnsynced(entry, up);
                  directories.add(up);
                } catch (IOException e) {
                  if (!isNoSpace(e)) {
                    throw e;
                  }
                  // A new name may take a block that a full disk has not got, and what is deleted gives it one.
                  deleteTree(entry);
                }
              } else {
                Files.deleteIfExists(entry);
              }
            } catch (IOException e) {
              first = first == null ? e : first;
            }
          }
        }
        if (!directory.equals(root)) {
          Files.delete(directory);
        }
      } catch (NoSuchFileException e) {
        // Somebody else deleted it: what we want.
      } catch (IOException e) {
        first = first == null ? e : first;
      } catch (DirectoryIteratorException e) {
        first = first == null ? e.getCause() : first;
      }
    }
    if (first != null) {
      throw first;
    }
    Files.deleteIfExists(root);
  }
}
