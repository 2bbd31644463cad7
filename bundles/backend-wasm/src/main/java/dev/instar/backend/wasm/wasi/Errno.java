package dev.instar.backend.wasm.wasi;

/** The error numbers of WASI preview 1 that are given here, by the names and numbers of its witx file. */
enum Errno {
  SUCCESS(0), ACCES(2), BADF(8), EXIST(20), FBIG(22), ILSEQ(25), INVAL(28), IO(29), ISDIR(31), LOOP(32), MFILE(33), NAMETOOLONG(37),
  NOENT(44), NOSPC(51), NOTDIR(54), NOTEMPTY(55), NOTSOCK(57), NOTSUP(58), OVERFLOW(61), PERM(63), SPIPE(70);

  private final int number;
  private final Failure failure;

  Errno(int number) {
    this.number = number;
    this.failure = new Failure(this);
  }

  int number() {
    return number;
  }

  /** What to throw so that the call in progress returns this number. One object a constant: it carries no stack. */
  Failure failure() {
    return failure;
  }

  /** Ends a host call with an error number. */
  static final class Failure extends RuntimeException {
    private static final long serialVersionUID = 1;
    private final Errno errno;

    private Failure(Errno errno) {
      super(errno.name(), null, false, false);
      this.errno = errno;
    }

    Errno errno() {
      return errno;
    }
  }
}
