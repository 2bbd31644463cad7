package dev.instar.backend.wasm.wasi;

/** Ends a call with an error code for the guest. Obtained from {@link Errno#failure}. */
final class ErrnoException extends Exception {
  private static final long serialVersionUID = 1;
  private final Errno errno;

  ErrnoException(Errno errno) {
    super(errno.name(), null, false, false);
    this.errno = errno;
  }

  Errno errno() {
    return errno;
  }
}
