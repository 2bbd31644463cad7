package dev.instar.backend.wasm.compile;

/** The compiling process could not be started, or ended or answered as it never should, twice. */
public final class CompilerFailed extends Exception {
  private static final long serialVersionUID = 1;

  CompilerFailed(String what, Throwable cause) {
    super(what, cause);
  }
}
