package dev.instar.scheduler;

/**
 * One generation of a backend takes the calls of another, a few at first: its share doubles in each sixth of the time.
 *
 * @param before that makes the other calls
 * @param began of {@link Clock}
 */
record Succession(Generation before, long began, long nanos) {
  private static final int DOUBLINGS = 6;

  long end() {
    return began + nanos;
  }

  /** How large the part of the calls is that the new one gets. */
  double share(long now) {
    return Math.min(1, Math.pow(2, DOUBLINGS * ((double) (now - began) / nanos - 1)));
  }
}
