package dev.instar.scheduler;

/** A call that waits for a sandbox of its pool. Everything that changes it does so under the pool's lock; others read. */
abstract class Waiter {
  private final boolean cold;
  private long seq;
  private volatile Slot slot;
  private volatile boolean over;

  /** @param cold whether only a sandbox that has served nobody will do */
  Waiter(boolean cold) {
    this.cold = cold;
  }

  /** Its place in the line: smaller for who has waited longer, over the whole node. */
  void place(long seq) {
    this.seq = seq;
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
    granted();
  }

  /** Sends it back to be routed anew. */
  void turnAway() {
    over = true;
    turnedAway();
  }

  /** It has its slot. Called under locks: must be short and lock nothing but leaves. */
  abstract void granted();

  /** It has none and will not get one here. The same holds. */
  abstract void turnedAway();
}
