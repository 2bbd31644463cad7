package dev.instar.wasi;

import java.util.Optional;

/** Ends a call with an error code for the guest. Obtained from {@link Errno#failure}. */
final class ErrnoException extends Exception {
  private static final long serialVersionUID = 1;
  private final Errno errno;
  private final transient Optional<Shortage> shortage;

  ErrnoException(Errno errno) {
    this(errno, Optional.empty());
  }

  ErrnoException(Errno errno, Shortage shortage) {
    this(errno, Optional.of(shortage));
  }

  private ErrnoException(Errno errno, Optional<Shortage> shortage) {
    super(errno.name(), null, false, false);
    this.errno = errno;
    this.shortage = shortage;
  }

  /** The limit that it is about, if it is. */
  Optional<Shortage> shortage() {
    return shortage;
  }

  Errno errno() {
    return errno;
  }
}
