package dev.instar.wasi;

/** What a guest was refused because a limit was reached. */
public enum Shortage {
  /** {@link FileQuota#descriptors}. */
  DESCRIPTORS(Errno.MFILE),
  /** {@link FileQuota#bytes}. */
  BYTES(Errno.NOSPC),
  /** The same, of one file alone. */
  SIZE(Errno.FBIG),
  /** {@link FileQuota#inodes}. */
  INODES(Errno.NOSPC),
  /** What the node has for all guests. */
  NODE(Errno.NFILE);

  private final ErrnoException failure;

  Shortage(Errno errno) {
    failure = new ErrnoException(errno, this);
  }

  /** As {@link Errno#failure}. */
  ErrnoException failure() {
    return failure;
  }
}
