package dev.instar.backend.wasm.wasi;

/** A file, directory or symbolic link of a {@link FileView}, whatever its names. Times are unsigned nanoseconds since 1970. */
abstract sealed class Inode permits Directory, RegularFile, Symlink {
  final long number;
  /** How many names it has; 0 after the last was removed. Directories report 1: what a file system does that does not count subdirectories. */
  int links = 1;
  long accessed;
  long modified;
  long changed;

  Inode(long number, long modified) {
    this.number = number;
    this.accessed = modified;
    this.modified = modified;
    this.changed = modified;
  }

  abstract Filetype type();

  abstract long size();

  void modifiedAt(long now) {
    modified = now;
    changed = now;
  }
}
