package dev.instar.api.wasmtime;

/** A guest did not return. Without a stack trace: guests cause these at will. */
public final class WasmtimeTrap extends Exception {
  private static final long serialVersionUID = 1;

  /** Why. */
  public enum Reason {
    /** An instruction trapped; the message has the words of the WebAssembly specification. */
    TRAP,
    /** The stack was used up. */
    STACK,
    /** Its thread was interrupted, and still is. */
    INTERRUPTED,
    /** A host function threw the cause. */
    HOST
  }

  private final Reason reason;

  /** @param cause of {@link Reason#HOST}; else null */
  public WasmtimeTrap(Reason reason, String message, Throwable cause) {
    super(message, cause, false, false);
    this.reason = reason;
  }

  public Reason reason() {
    return reason;
  }
}
