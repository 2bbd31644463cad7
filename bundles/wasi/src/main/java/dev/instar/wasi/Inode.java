package dev.instar.wasi;

/** A file, directory or symbolic link of a {@link FileView}, whatever its names. Times are unsigned nanoseconds since 1970. */
abstract sealed class Inode permits Directory, RegularFile, Symlink {
  final long number;
  /** How many names it has; 0 after the last was removed. Directories report 1: what a file system does that does not count subdirectories. */
  int links;
  long accessed;
  long modified;
  long changed;

  Inode(LowerTree.Attributes attributes) {
    number = attributes.number();
    links = attributes.links();
    accessed = attributes.accessed();
    modified = attributes.modified();
    changed = attributes.changed();
  }

  /** Of an inode that is made now. */
  static LowerTree.Attributes made(long number, long now) {
    return new LowerTree.Attributes(number, 1, now, now, now);
  }

  LowerTree.Attributes attributes() {
    return new LowerTree.Attributes(number, links, accessed, modified, changed);
  }

  abstract Filetype type();

  abstract long size();

  void modifiedAt(long now) {
    modified = now;
    changed = now;
  }
}
