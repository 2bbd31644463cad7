package dev.instar.launcher.node;

import dev.instar.launcher.ExitCode;
import dev.instar.launcher.Failure;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Set;

/**
 * A look at the data directory before the framework starts in it, so that the two mistakes that people make (a second node on it, a place
 * that may not be written) are one line and not the log of a framework. The lock that counts is taken by the node's own bundle
 * a moment later; it must not be held here by then, since closing any descriptor of the file drops a POSIX record lock.
 */
public final class DataPlace {
  private DataPlace() {}

  /** Makes the directory if it is missing and says why it cannot be used, if so. */
  public static void check(Path data) throws Failure {
    try {
      if (!Files.isDirectory(data)) {
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
    } catch (FileAlreadyExistsException e) {
      throw new Failure(ExitCode.FAILED, "The data directory " + data + " cannot be used: " + e.getFile() + " is not a directory. Name another with --data.", e);
    } catch (IOException e) {
      String reason = e instanceof FileSystemException f ? f.getFile() + " " + (f.getReason() == null ? "may not be written by this user" : f.getReason()) : e.getMessage();
      throw new Failure(ExitCode.FAILED, "The data directory " + data + " cannot be used: " + reason + ". Name another with --data.", e);
    }
  }
}
