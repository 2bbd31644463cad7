package dev.instar.api.sandbox;

import org.osgi.annotation.versioning.ConsumerType;

/**
 * A sandbox that can be stopped while no call runs in it, so that what the function does by itself between calls takes no processor time. Asked of
 * {@link BackendDescription.Shape#REMOTE} sandboxes only, and never while a call runs. {@link Sandbox#reusable}, {@link Sandbox#kill} and {@link Sandbox#close} work while it is
 * frozen as they do else.
 */
@ConsumerType
public interface Freezable {
  /**
   * Stops all that runs in it, within two seconds.
   *
   * @return false when this host or this sandbox can't: it goes on, and is not asked again before its next call
   */
  boolean freeze();

  /**
   * Lets it go on: before its next call, on that call's thread, within a millisecond or so. Does nothing when it is not frozen.
   *
   * @throws dev.instar.api.InstarException SANDBOX_CRASHED when it does not go on; it is then closed
   */
  void thaw();
}
