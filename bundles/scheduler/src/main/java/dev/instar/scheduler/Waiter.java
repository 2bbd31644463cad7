package dev.instar.scheduler;

/** A call that waits for a sandbox of its pool. Everything that changes it does so under the pool's lock; the waiting thread reads. */
final class Waiter {
  private final long seq;
  private final boolean cold;
  private final Thread thread = Thread.currentThread();
  private volatile Slot slot;
  private volatile boolean over;

  /** @param seq smaller for who has waited longer, over the whole node */
  Waiter(long seq, boolean cold) {
    this.seq = seq;
    this.cold = cold;
  }

  long seq() {
    return seq;
  }

  boolean cold() {
    return cold;
  }

  boolean waits() {
    return !over;
  }

  /** What it was given; null while it waits, and when its pool was retired. */
  Slot slot() {
    return slot;
  }

  void grant(Slot slot) {
    this.slot = slot;
    over = true;
    GuestThread.wake(thread);
  }

  /** Sends it back to be routed anew. */
  void turnAway() {
    over = true;
    GuestThread.wake(thread);
  }
}
