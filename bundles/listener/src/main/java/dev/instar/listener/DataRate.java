package dev.instar.listener;

import java.time.Duration;

/** How fast a caller must be while the node waits for it. */
record DataRate(int bytesPerSecond, Duration grace) {
  boolean unlimited() {
    return bytesPerSecond == 0;
  }

  /** Whether {@code bytes} in {@code nanos} of waiting are too few. */
  boolean tooSlow(long bytes, long nanos) {
    return nanos > grace.toNanos() && bytes < (double) bytesPerSecond * (nanos - grace.toNanos()) / 1e9;
  }

  /** How long {@code bytes} may take. */
  Duration time(long bytes) {
    return grace.plusMillis(bytes * 1000 / bytesPerSecond);
  }
}
