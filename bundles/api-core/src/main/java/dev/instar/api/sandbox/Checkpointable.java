package dev.instar.api.sandbox;

import org.osgi.annotation.versioning.ConsumerType;

/**
 * A prepared function whose initialised state can outlive the node. The scheduler asks for it when the function's
 * {@link dev.instar.api.function.SnapshotPolicy} says so, on a thread in the background, while sandboxes of it may start, run and end.
 */
@ConsumerType
public interface Checkpointable {
  /**
   * Puts the state into the snapshot store, so that the next prepare of the same version finds it; does nothing when it is there, came from there, or
   * cannot be expressed ({@link PreparedFunction#describe} then says why under {@code snapshot}). Blocks for as long as the disk takes. It is not asked
   * again before the next preparation, whatever comes of it.
   *
   * @throws dev.instar.api.InstarException NO_SPACE, or what else the store fails with; the function goes on working without
   */
  void checkpoint() throws InterruptedException;
}
