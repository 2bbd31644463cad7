package dev.instar.api.guest;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import java.util.Optional;

/**
 * What a sandbox with a guest outside of this process knows of its caller, kill and close ({@link dev.instar.api.sandbox.Sandbox}): who is inside is interrupted by
 * a kill, whatever he waits for, and nobody comes in after it.
 */
public final class CallerGate {
  private final String guest;
  private Optional<Thread> caller = Optional.empty();
  private boolean killed;
  private boolean closed;

  /** @param guest what a kill ends beside the call, e.g. {@code process} */
  public CallerGate(String guest) {
    this.guest = guest;
  }

  /**
   * The calling thread is inside until {@link #leave}.
   *
   * @throws InstarException TIMED_OUT after a kill, SANDBOX_CRASHED after the close
   */
  public synchronized void enter() {
    if (killed) {
      throw timedOut();
    }
    if (closed) {
      throw new InstarException(ErrorCode.SANDBOX_CRASHED, "The sandbox is closed.");
    }
    caller = Optional.of(Thread.currentThread());
  }

  /** After this no kill interrupts the thread any more, and the interrupt of one that came is not left to its later work. */
  public synchronized void leave() {
    if (killed && caller.isPresent()) {
      Thread.interrupted();
    }
    caller = Optional.empty();
  }

  /**
   * Interrupts who is inside: he may be in a write to a client who does not read.
   *
   * @return false when it is closed, and there is nothing to kill
   */
  public synchronized boolean kill() {
    if (closed) {
      return false;
    }
    killed = true;
    caller.ifPresent(Thread::interrupt);
    return true;
  }

  /** No call comes in any more. @return false when it is closed already */
  public synchronized boolean close() {
    boolean first = !closed;
    closed = true;
    return first;
  }

  /** Whether somebody else than this thread is inside. */
  public synchronized boolean isOccupied() {
    return caller.isPresent() && caller.get() != Thread.currentThread();
  }

  public synchronized boolean isKilled() {
    return killed;
  }

  public synchronized boolean isClosed() {
    return closed;
  }

  /** How a call ends that was killed. */
  public InstarException timedOut() {
    return new InstarException(ErrorCode.TIMED_OUT, "The call was ended, and its " + guest + " with it.");
  }
}
