package dev.instar.wasi;

/** Bit masks of {@code fdflags}, {@code oflags}, {@code lookupflags}, {@code fstflags}, {@code subclockflags}, and small enumerations. */
final class Flags {
  static final int FDFLAGS_APPEND = 1;
  static final int FDFLAGS_DSYNC = 1 << 1;
  static final int FDFLAGS_NONBLOCK = 1 << 2;
  static final int FDFLAGS_RSYNC = 1 << 3;
  static final int FDFLAGS_SYNC = 1 << 4;
  static final int FDFLAGS_ALL = 31;

  static final int OFLAGS_CREAT = 1;
  static final int OFLAGS_DIRECTORY = 1 << 1;
  static final int OFLAGS_EXCL = 1 << 2;
  static final int OFLAGS_TRUNC = 1 << 3;
  static final int OFLAGS_ALL = 15;

  static final int LOOKUP_SYMLINK_FOLLOW = 1;

  static final int FSTFLAGS_ATIM = 1;
  static final int FSTFLAGS_ATIM_NOW = 1 << 1;
  static final int FSTFLAGS_MTIM = 1 << 2;
  static final int FSTFLAGS_MTIM_NOW = 1 << 3;
  static final int FSTFLAGS_ALL = 15;

  static final int WHENCE_SET = 0;
  static final int WHENCE_CUR = 1;
  static final int WHENCE_END = 2;

  /** {@code advice::noreuse}, the last one. */
  static final int ADVICE_LAST = 5;
  /** {@code signal::sys}, the last one. */
  static final int SIGNAL_LAST = 30;
  static final byte PREOPENTYPE_DIR = 0;

  static final int EVENTTYPE_CLOCK = 0;
  static final int EVENTTYPE_FD_READ = 1;
  static final int EVENTTYPE_FD_WRITE = 2;
  static final int SUBSCRIPTION_CLOCK_ABSTIME = 1;

  private Flags() {}

  /** Refuses bits that the specification does not define. */
  static void check(int flags, int defined) throws ErrnoException {
    if ((flags & ~defined) != 0) {
      throw Errno.INVAL.failure();
    }
  }
}
