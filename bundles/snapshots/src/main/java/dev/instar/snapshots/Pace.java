package dev.instar.snapshots;

import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/**
 * How fast a layer is written. After each step its thread rests, so that it never holds a processor for longer than a step takes, about a fifth of a
 * millisecond: whoever waits for that processor waits no longer, however nice the thread is. What was missed by a slow step is not caught up on.
 *
 * @param bytesPerSecond that is written at most
 */
record Pace(long bytesPerSecond) {
  static final Pace FREE = new Pace(Long.MAX_VALUE);
  /** A rest that is shorter than waking up takes is none. */
  private static final long LEAST_NANOS = 20_000;

  /** Rests after a step of so many bytes. An interrupted thread has no time for that; its interrupt stays set. */
  void rest(long bytes) {
    long nanos = (long) ((double) bytes / bytesPerSecond * TimeUnit.SECONDS.toNanos(1));
    if (nanos >= LEAST_NANOS) {
      LockSupport.parkNanos(this, nanos);
    }
  }
}
