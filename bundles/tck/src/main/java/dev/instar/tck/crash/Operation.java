package dev.instar.tck.crash;

import java.util.Optional;

/**
 * What was done to a disk, in the order in which it was done. A node is a file or a directory, whatever names it has; they are numbered, and 0 is
 * the root. What directories hold and what files hold are changed and synced apart, as POSIX has it.
 */
public sealed interface Operation {
  /** A new name for a new node. @param link where it leads to, when it is a symbolic link */
  record Create(int directory, String name, int node, boolean isDirectory, Optional<String> link) implements Operation {}

  /** A name goes. */
  record Remove(int directory, String name) implements Operation {}

  /** A node gets a new name, from whatever had it, and loses its old one. */
  record Rename(int from, String oldName, int to, String newName, int node) implements Operation {}

  /** Bytes are written into a file. Nobody changes the array. */
  record Write(int node, long position, byte[] bytes) implements Operation {}

  /** A file is made longer or shorter. */
  record Resize(int node, long size) implements Operation {}

  /** What a file holds, or which names a directory has, is on the disk for good. */
  record Sync(int node, boolean isDirectory) implements Operation {}

  /** A step of the test has been acknowledged. */
  record Done() implements Operation {}

  /** Whether a full disk may refuse it. */
  default boolean takesSpace() {
    return switch (this) {
      case Create _, Rename _, Write _, Resize _ -> true;
      // Some file systems find their space when they are made to write.
      case Sync s -> !s.isDirectory();
      case Remove _, Done _ -> false;
    };
  }
}
