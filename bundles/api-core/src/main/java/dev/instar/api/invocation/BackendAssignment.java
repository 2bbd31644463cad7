package dev.instar.api.invocation;

import java.time.Duration;
import java.time.Instant;

/**
 * That calls which one backend would run are run by another.
 *
 * @param scope whose calls
 * @param own the backend that would run them: the one that their variant names, else the one that the node prefers for images of their kind
 * @param to the backend that runs them
 * @param before the backend that ran them until then: it gets what is left of the calls while the share of {@code to} grows
 * @param since when it began
 * @param ramp how long it takes until {@code to} gets every call; zero: at once
 */
public record BackendAssignment(BackendScope scope, String own, String to, String before, Instant since, Duration ramp) {
  /** Which part of the calls goes to {@link #to}, from 0 to 1. */
  public double share(Instant now) {
    long past = Duration.between(since, now).toMillis();
    return past >= ramp.toMillis() ? 1 : Math.max(0, past) / (double) ramp.toMillis();
  }
}
