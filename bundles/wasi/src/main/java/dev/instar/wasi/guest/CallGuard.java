package dev.instar.wasi.guest;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;

/**
 * Lets any thread end the call that a sandbox is in, by an interrupt of the thread that makes it. An interrupt is only ever sent between
 * {@link #enter} and {@link #leave}, and taken back in {@link #leave}: a thread of a pool never carries it into its next task.
 */
public final class CallGuard {
  private Thread caller;
  private boolean killed;

  /** @throws InstarException TIMED_OUT when it was killed before */
  public synchronized void enter() {
    if (killed) {
      throw timedOut();
    }
    caller = Thread.currentThread();
  }

  /** Ends what {@link #enter} began. Whether a kill has come. */
  public synchronized boolean leave() {
    caller = null;
    notifyAll();
    if (killed) {
      Thread.interrupted();
    }
    return killed;
  }

  public synchronized void kill() {
    if (!killed) {
      killed = true;
      if (caller != null) {
        caller.interrupt();
      }
    }
  }

  public synchronized boolean killed() {
    return killed;
  }

  /** Waits for the end of a call that another thread makes. Whether it has ended. */
  public synchronized boolean await(long millis) throws InterruptedException {
    long until = System.nanoTime() + millis * 1_000_000;
    while (caller != null && caller != Thread.currentThread()) {
      long left = (until - System.nanoTime()) / 1_000_000;
      if (left <= 0) {
        return false;
      }
      wait(left);
    }
    return caller == null;
  }

  public static InstarException timedOut() {
    return new InstarException(ErrorCode.TIMED_OUT, "The function was ended: its time was up, or its caller had gone.");
  }
}
