package dev.instar.operations.deploy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFileAttributes;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.UserPrincipal;
import java.util.Optional;
import java.util.Set;

/** Whether nobody but the node's user and root can put a file into a directory: whoever can runs his code in the node. */
final class Trust {
  private static final int OTHERS_WRITE = 0022;
  private static final int STICKY = 01000;

  private Trust() {}

  /**
   * What is wrong with a directory to be watched, if something is.
   *
   * @param data a directory above which nothing is looked at: who may write there has the node anyway
   */
  static Optional<String> wrong(Path directory, Path data) throws IOException {
    if (Files.isSymbolicLink(directory) || !Files.isDirectory(directory)) {
      return Optional.of("it is no directory, or a link to one");
    }
    UserPrincipal self = self(data);
    Path top = directory.startsWith(data) ? data.toRealPath() : directory.getRoot();
    for (Path at = directory.toRealPath(); at != null; at = at.getParent()) {
      PosixFileAttributes attributes = Files.readAttributes(at, PosixFileAttributes.class);
      int mode = (Integer) Files.getAttribute(at, "unix:mode");
      if (!attributes.owner().equals(self) && !attributes.owner().getName().equals("root")) {
        return Optional.of(at + " belongs to " + attributes.owner().getName() + ", who could put a bundle there");
      }
      // In a sticky directory others may add, but not replace what is ours.
      if ((mode & OTHERS_WRITE) != 0 && (at.equals(directory.toRealPath()) || (mode & STICKY) == 0)) {
        return Optional.of(at + " may be written by others than its owner, who could put a bundle there; chmod go-w " + at);
      }
      if (at.equals(top)) {
        break;
      }
    }
    return Optional.empty();
  }

  /** The same of a file in it. */
  static Optional<String> wrongFile(Path file) throws IOException {
    Set<PosixFilePermission> mode = Files.readAttributes(file, PosixFileAttributes.class, LinkOption.NOFOLLOW_LINKS).permissions();
    return mode.contains(PosixFilePermission.GROUP_WRITE) || mode.contains(PosixFilePermission.OTHERS_WRITE)
        ? Optional.of("The file may be written by others than its owner; chmod go-w " + file + ".") : Optional.empty();
  }

  private static UserPrincipal self(Path data) throws IOException {
    Path process = Path.of("/proc/self");
    return Files.getOwner(Files.exists(process) ? process.toRealPath() : data);
  }
}
