package dev.instar.wasi;

import dev.instar.api.InstarException;
import java.io.IOException;

/**
 * The host ends the call: a stream of the call failed, or the thread was interrupted. The cause is one of {@link InstarException},
 * {@link IOException} and {@link InterruptedException}; in the last case the interrupt flag has been cleared.
 */
public final class CallStopped extends GuestEnd {
  private static final long serialVersionUID = 1;

  private CallStopped(Throwable cause) {
    super(cause.toString(), cause);
  }

  static CallStopped by(IOException failure) {
    return new CallStopped(failure);
  }

  static CallStopped by(InstarException failure) {
    return new CallStopped(failure);
  }

  /** For a thread whose interrupt was noticed; clears the flag. */
  static CallStopped byInterrupt() {
    Thread.interrupted();
    return new CallStopped(new InterruptedException());
  }

  static void ifInterrupted() {
    if (Thread.currentThread().isInterrupted()) {
      throw byInterrupt();
    }
  }
}
