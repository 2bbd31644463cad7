package dev.instar.api.sandbox;

import org.osgi.annotation.versioning.ProviderType;

/**
 * Told when a call waits instead of computing (sleeps, above all), so that others may run in its place meanwhile. Input and output tell that
 * themselves.
 */
@ProviderType
@FunctionalInterface
public interface Waits {
  /** What a call waits for. */
  @FunctionalInterface
  interface Wait {
    void await() throws InterruptedException;
  }

  /**
   * Waits, on this thread, and returns when the wait is over and the call may compute again.
   *
   * @throws InterruptedException when the wait was interrupted, or the call killed; the call then ends
   */
  void during(Wait wait) throws InterruptedException;

  /** For calls in whose place nobody runs. */
  Waits NONE = Wait::await;
}
