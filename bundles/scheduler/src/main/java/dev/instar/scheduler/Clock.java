package dev.instar.scheduler;

import java.time.Duration;
import java.time.Instant;

/** Monotonic nanoseconds since this class was loaded: unlike {@link System#nanoTime} never negative, so that plain comparisons hold. */
final class Clock {
  /** Later than anything that will be asked for: 146 years. */
  static final long NEVER = Long.MAX_VALUE / 2;
  private static final long ORIGIN = System.nanoTime();

  private Clock() {}

  static long now() {
    return System.nanoTime() - ORIGIN;
  }

  static long in(Duration time) {
    return now() + time.toNanos();
  }

  /** The same moment for those who need wall-clock time. */
  static Instant instant(long moment) {
    return Instant.now().plusNanos(moment - now());
  }
}
