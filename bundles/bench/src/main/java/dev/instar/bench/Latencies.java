package dev.instar.bench;

import java.util.Arrays;

/**
 * Latencies of requests by the moments when they were due.
 *
 * @param due ascending, in nanoseconds of {@link System#nanoTime}
 * @param nanos how long each took
 */
record Latencies(long[] due, long[] nanos) {
  /** Those that were due from one moment until another. */
  long[] between(long from, long to) {
    return from >= to ? new long[0] : Arrays.copyOfRange(nanos, index(from), index(to));
  }

  private int index(long moment) {
    int at = Arrays.binarySearch(due, moment);
    if (at < 0) {
      return -at - 1;
    }
    while (at > 0 && due[at - 1] == moment) {
      at--;
    }
    return at;
  }

  /** In milliseconds; 0 of none. */
  static double percentile(long[] nanos, double percent) {
    if (nanos.length == 0) {
      return 0;
    }
    long[] sorted = nanos.clone();
    Arrays.sort(sorted);
    return sorted[Math.max(0, (int) Math.ceil(sorted.length * percent / 100) - 1)] / 1e6;
  }
}
