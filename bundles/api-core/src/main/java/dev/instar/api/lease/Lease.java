package dev.instar.api.lease;

import org.osgi.annotation.versioning.ConsumerType;

/**
 * One thing of the host, lent to one sandbox. What can be done with it is said by the type of its kind, which extends this.
 *
 * <p>It is of use until its close, also after its provider's service was unregistered and its bundle was stopped or updated: whoever implements it needs no
 * class that is not loaded, no thread and no service of the provider for that. The provider's successor in the same run of the node finds it and counts it
 * among its own.
 */
@ConsumerType
public interface Lease extends AutoCloseable {
  /**
   * Whether it is still what would be lent now. Once it is not, its sandbox gets no further call and another takes its place; a call that runs goes on to its
   * end. Asked before each call, so it takes microseconds and never throws.
   */
  default boolean current() {
    return true;
  }

  /** Gives it back, whatever still uses it. From any thread; the first call counts. Waits no longer than two seconds; never throws. */
  @Override
  void close();
}
