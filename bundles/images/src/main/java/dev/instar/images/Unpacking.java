package dev.instar.images;

import dev.instar.api.InstarException;
import dev.instar.api.data.DurableFiles;
import java.io.EOFException;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;

/** What making a view of an archive needs, whatever the archive holds. */
final class Unpacking {
  private Unpacking() {}

  /** Opens a new file for writing; tests let it fail. */
  @FunctionalInterface
  interface FileOpener {
    OutputStream open(Path file) throws IOException;
  }

  /** Reads an archive. */
  @FunctionalInterface
  interface Work {
    void run() throws IOException;
  }

  /**
   * Makes a view by way of another directory beside it. Neither may exist; the other one is gone afterwards, and after a failure the view, too.
   *
   * @throws InstarException ARCHIVE_REFUSED for an archive that ends early or names what can't be a file here, and what the work throws
   */
  static void make(Path view, Path aside, Work work) throws IOException {
    boolean done = false;
    try {
      makeDirectory(aside);
      makeDirectory(view);
      work.run();
      done = true;
    } catch (EOFException e) {
      throw Refusal.archive("ends early");
    } catch (InvalidPathException e) {
      throw Refusal.entry(e.getInput(), "cannot be a file name here (" + e.getReason() + "); start the node in a UTF-8 locale, such as LC_ALL=C.UTF-8");
    } finally {
      DurableFiles.deleteTree(aside);
      if (!done) {
        DurableFiles.deleteTree(view);
      }
    }
  }

  /** Of the node's user alone. */
  static void makeDirectory(Path directory) throws IOException {
    Files.createDirectory(directory, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
  }
}
