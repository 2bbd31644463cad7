package dev.instar.api.wasmtime;

/** The library refused something, in its own words. */
public final class WasmtimeException extends RuntimeException {
  private static final long serialVersionUID = 1;

  private final boolean full;

  /** @param full whether all places for instances are taken */
  public WasmtimeException(String message, boolean full) {
    super(message);
    this.full = full;
  }

  /** Whether all places for instances are taken, so that it may work later. */
  public boolean full() {
    return full;
  }
}
