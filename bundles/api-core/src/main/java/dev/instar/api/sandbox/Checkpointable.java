package dev.instar.api.sandbox;

import org.osgi.annotation.versioning.ConsumerType;

/**
 * A prepared function whose initialised state can outlive the node. The scheduler asks for it when the function's
 * {@link dev.instar.api.function.SnapshotPolicy} says so.
 *
 * <p><b>Life.</b> {@link #checkpoint} is called at most once, after the version was published, while sandboxes of it may start, run and end, and
 * {@link PreparedFunction#describe} may be called. {@link PreparedFunction#close} never runs at the same time: it waits for its end.
 *
 * <p><b>Thread.</b> One for the whole node, in the background and of the lowest priority that is still sure to run, so that what it takes to copy,
 * hash and compress costs others' calls little. Threads that it starts would have that priority, too, and so would those that the JVM makes for virtual
 * threads when it wakes one: it starts none, and holds no lock for long that calls need.
 *
 * <p><b>Its end.</b> The thread is interrupted when what was prepared is about to be closed, because the version was removed or its backend goes. A
 * drain waits for it, so it ends within a second or as soon as the disk lets it: a store that cannot be interrupted finishes what it is at. Nothing is
 * held in the store any more for a version once the thread is interrupted, because nobody might release it.
 */
@ConsumerType
public interface Checkpointable {
  /**
   * Puts the state into the snapshot store, so that the next prepare of the same version finds it; does nothing when it is there, came from there, or
   * cannot be expressed ({@link PreparedFunction#describe} then says why under {@code snapshot}). Blocks for as long as the disk takes. It is not asked
   * again before the next preparation, whatever comes of it.
   *
   * @throws dev.instar.api.InstarException NO_SPACE, or what else the store fails with; the function goes on working without
   * @throws InterruptedException when it was interrupted before the state was stored
   */
  void checkpoint() throws InterruptedException;

  /** Whether {@link #checkpoint} has anything to do. Asked before there is a thread for it, on one that must not wait. */
  default boolean isPending() {
    return true;
  }
}
