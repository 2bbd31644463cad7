package dev.instar.backend.wasm.wasi;

/** A guest has ended itself. */
public final class GuestExit extends RuntimeException {
  private static final long serialVersionUID = 1;
  private final int code;

  GuestExit(int code) {
    super("exit " + code, null, false, false);
    this.code = code;
  }

  /** What it gave to {@code proc_exit}. */
  public int code() {
    return code;
  }
}
