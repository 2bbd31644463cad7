package dev.instar.operations;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;

/**
 * Whether what lies in a directory was put there by the node's user or by root: owner and mode are the credential of a watched directory. The directory
 * itself may be written by its owner alone; those above it may be written by others where they are sticky ({@code /tmp}), since nobody can then put
 * another directory in its place. Access control lists show as rights of the group here.
 */
public final class DirectoryTrust {
  private static final int STICKY = 01000;
  private static final int OTHERS_WRITE = 0022;
  private static final int ROOT = 0;

  private final int user;

  private DirectoryTrust(int user) {
    this.user = user;
  }

  /** By the user that this process runs as. */
  public static DirectoryTrust ofThisProcess() throws IOException {
    return new DirectoryTrust((Integer) Files.getAttribute(Path.of("/proc/self"), "unix:uid"));
  }

  static DirectoryTrust of(int user) {
    return new DirectoryTrust(user);
  }

  /**
   * Why the directory cannot be trusted, and what to do about it; empty when it can. A link on the way to it counts with what it leads to.
   *
   * @throws IOException when it is not there or cannot be looked at
   */
  public Optional<String> objection(Path directory) throws IOException {
    return objection(directory, Path.of("/"));
  }

  /** @param top above which nothing is looked at, where the directory is below it: the data directory, since whoever may replace that has the node anyway */
  public Optional<String> objection(Path directory, Path top) throws IOException {
    Path real = directory.toRealPath();
    if (!Files.isDirectory(real)) {
      return Optional.of(directory + " is not a directory");
    }
    Optional<String> itself = objection(real, OTHERS_WRITE, 0);
    if (itself.isPresent()) {
      return itself;
    }
    for (Path way : new Path[] {directory.toAbsolutePath().getParent(), real.getParent()}) {
      boolean within = way != null && (way.startsWith(top) || way.startsWith(top.toRealPath()));
      for (Path above = way; above != null; above = above.getParent()) {
        Optional<String> objection = objection(above, OTHERS_WRITE, STICKY);
        if (objection.isPresent()) {
          return objection;
        }
        if (within && (above.equals(top) || above.equals(top.toRealPath()))) {
          break;
        }
      }
    }
    return Files.isSymbolicLink(directory) ? objection(directory, 0, 0) : Optional.empty();
  }

  /** The same of a file in such a directory: one that was moved there may still be another's to write. */
  public Optional<String> objectionToFile(Path file) throws IOException {
    if (!Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)) {
      return Optional.of(file + " is not a plain file");
    }
    return objection(file, OTHERS_WRITE, 0);
  }

  private Optional<String> objection(Path path, int forbidden, int unless) throws IOException {
    Map<String, Object> attributes = Files.readAttributes(path, "unix:uid,mode", LinkOption.NOFOLLOW_LINKS);
    int owner = (Integer) attributes.get("uid");
    int mode = (Integer) attributes.get("mode");
    if (owner != user && owner != ROOT) {
      return Optional.of(path + " belongs to another user (" + owner + "); let it belong to the node's user or to root");
    }
    // Links have no mode of their own.
    if (!Files.isSymbolicLink(path) && (mode & forbidden) != 0 && (mode & unless) == 0) {
      return Optional.of(path + " may be written by other users (mode " + Integer.toOctalString(mode & 07777) + "); take that away with 'chmod go-w " + path + "'");
    }
    return Optional.empty();
  }
}
