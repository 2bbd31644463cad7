package dev.instar.backend.wasm.compile;

/** Compiling a module took more than it may. */
public final class CompileLimit extends Exception {
  private static final long serialVersionUID = 1;

  /** What there was too much of. */
  public enum What {
    /** Seconds of processor time. */
    TIME,
    /** MiB of heap. */
    MEMORY,
    /** Bytes of bytecode. */
    CODE
  }

  private final What what;
  private final long value;

  CompileLimit(What what, long value) {
    super(what + " " + value, null, false, false);
    this.what = what;
    this.value = value;
  }

  /** Which limit it was. */
  public What what() {
    return what;
  }

  /** The limit, in the unit that {@link What} names. */
  public long value() {
    return value;
  }
}
