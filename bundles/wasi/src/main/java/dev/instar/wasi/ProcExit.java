package dev.instar.wasi;

/** The guest called {@code proc_exit}. */
public final class ProcExit extends GuestEnd {
  private static final long serialVersionUID = 1;
  private final int code;

  public ProcExit(int code) {
    super("proc_exit(" + Integer.toUnsignedString(code) + ")", null);
    this.code = code;
  }

  /** The {@code exitcode}; unsigned in the specification. */
  public int code() {
    return code;
  }
}
