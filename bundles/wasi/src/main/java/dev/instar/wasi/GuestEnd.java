package dev.instar.wasi;

/** Ends a guest's call from inside a host function. Engines let it pass through guest code, which cannot catch it. */
public abstract sealed class GuestEnd extends RuntimeException permits ProcExit, GuestTrap, CallStopped {
  private static final long serialVersionUID = 1;

  GuestEnd(String message, Throwable cause) {
    super(message, cause, false, false);
  }
}
