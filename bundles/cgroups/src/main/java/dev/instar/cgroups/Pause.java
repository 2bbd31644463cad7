package dev.instar.cgroups;

import java.util.concurrent.locks.LockSupport;

/** The kernel ends and stops processes in its own time, and tells nobody when it has. */
final class Pause {
  private static final long NANOS = 1_000_000;

  private Pause() {}

  /** A millisecond; not cut short by an interrupt, which is for others to see. */
  static void brief() {
    boolean interrupted = Thread.interrupted();
    LockSupport.parkNanos(NANOS);
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
