package dev.instar.launcher.node;

import dev.instar.launcher.ExitCode;
import dev.instar.launcher.Failure;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;

/**
 * A look at the data directory before the framework starts in it, so that the two mistakes that people make (a second node on it, a place
 * that may not be written) are one line and not the log of a framework. The lock that counts is taken by the node's own bundle
 * a moment later; it must not be held here by then, since closing any descriptor of the file drops a POSIX record lock.
 */
public final class DataPlace {
  private DataPlace() {}

  /**
   * Makes the directory if it is missing and says why it cannot be used, if so.
   *
   * @return the topmost directory that was made for it, if one was
   */
  public static Optional<Path> check(Path data) throws Failure {
    Optional<Path> made = Optional.empty();
    try {
      if (!Files.isDirectory(data)) {
        for (Path missing = data; missing != null && Files.notExists(missing, LinkOption.NOFOLLOW_LINKS); missing = missing.getParent()) {
          made = Optional.of(missing);
        }
        Files.createDirectories(data, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
      }
      Path file = data.resolve("lock");
      try (FileChannel channel = FileChannel.open(file, Set.of(StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE, LinkOption.NOFOLLOW_LINKS),
          PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
          FileLock lock = channel.tryLock()) {
        if (lock == null) {
          ByteBuffer text = ByteBuffer.allocate(32);
          channel.read(text, 0);
          String pid = new String(text.array(), 0, text.position(), StandardCharsets.US_ASCII).strip();
          throw new Failure(ExitCode.FAILED, "The data directory " + data + " is in use by another node" + (pid.matches("[0-9]+") ? " (process " + pid + ")" : "")
              + ". Stop that one, or give this one a directory of its own with --data.");
        }
      }
      return made;
    } catch (FileAlreadyExistsException e) {
      throw new Failure(ExitCode.FAILED, "The data directory " + data + " cannot be used: " + e.getFile() + " is not a directory. Name another with --data.", e);
    } catch (IOException e) {
      String reason = e instanceof FileSystemException f ? f.getFile() + " " + (f.getReason() == null ? "may not be written by this user" : f.getReason()) : e.getMessage();
      throw new Failure(ExitCode.FAILED, "The data directory " + data + " cannot be used: " + reason + ". Name another with --data.", e);
    }
  }

  /**
   * Takes back what {@link #check} made and a start left in it; whatever has been put there beside that, or runs there now, stays.
   *
   * @param made what check returned
   */
  static void remove(Path data, Path made) {
    // Held to the end, so that no other node begins to use what is deleted.
    try (FileChannel channel = FileChannel.open(data.resolve("lock"), StandardOpenOption.WRITE); FileLock lock = channel.tryLock(); Stream<Path> entries = Files.walk(data)) {
      if (lock == null || entries.anyMatch(entry -> !Files.isDirectory(entry, LinkOption.NOFOLLOW_LINKS) && !ofAnyStart(data.relativize(entry)))) {
        return;
      }
      delete(data);
      for (Path directory = data; !directory.equals(made);) {
        directory = directory.getParent();
        Files.delete(directory);
      }
    } catch (IOException | UncheckedIOException | OverlappingFileLockException e) {
      // Whatever is left is as the start left it.
    }
  }

  private static boolean ofAnyStart(Path file) {
    return file.startsWith("felix-cache") || file.equals(Path.of("lock")) || file.equals(Path.of("node.log")) || file.equals(Path.of("admin.token"));
  }

  static void delete(Path tree) throws IOException {
    Files.walkFileTree(tree, new SimpleFileVisitor<>() {
      @Override
      public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) throws IOException {
        Files.delete(file);
        return FileVisitResult.CONTINUE;
      }

      @Override
      public FileVisitResult postVisitDirectory(Path directory, IOException e) throws IOException {
        Files.delete(directory);
        return FileVisitResult.CONTINUE;
      }
    });
  }
}
