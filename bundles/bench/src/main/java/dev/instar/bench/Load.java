package dev.instar.bench;

import org.HdrHistogram.Histogram;

/**
 * What one stretch of load brought.
 *
 * @param sent requests; each is counted as right, or as one of the next three
 * @param right answers with status 200 and the bytes that were sent
 * @param wrong answers with status 200 and other bytes
 * @param refused answers with another status
 * @param lost requests whose connection ended first
 * @param inTime right answers that came before the time was over
 * @param nanos how long it took
 * @param latencies of the right answers, in nanoseconds
 * @param firstFault what the first answer that was not right was, or empty
 */
record Load(long sent, long right, long wrong, long refused, long lost, long inTime, long nanos, Histogram latencies, String firstFault) {
  double perSecond() {
    return inTime * 1e9 / nanos;
  }

  long faults() {
    return wrong + refused + lost;
  }

  double microseconds(double percentile) {
    return latencies.getValueAtPercentile(percentile) / 1e3;
  }
}
