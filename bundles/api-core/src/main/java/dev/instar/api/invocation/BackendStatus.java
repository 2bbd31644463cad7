package dev.instar.api.invocation;

import dev.instar.api.sandbox.BackendDescription;
import dev.instar.api.sandbox.Probe;

/**
 * A generation of a backend as the scheduler sees it.
 *
 * @param description what the backend says of itself
 * @param probe whether this host can run it
 * @param generation counts up with each arrival of a backend of this name; from 1
 * @param state whether it takes calls
 * @param inFlight calls that run in it now
 * @param idle sandboxes that wait for a call
 * @param served calls that have ended in it
 */
public record BackendStatus(BackendDescription description, Probe probe, long generation, State state, int inFlight, int idle, long served) {
  /** Whether new calls go there. */
  public enum State { ACTIVE, DRAINING }
}
