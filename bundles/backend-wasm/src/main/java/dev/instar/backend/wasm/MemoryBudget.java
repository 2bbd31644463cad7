package dev.instar.backend.wasm;

import dev.instar.backend.wasm.wasi.ByteBudget;
import java.util.concurrent.atomic.AtomicLong;

/**
 * What all guests together may use of the Java heap. Linear memories are allocated as they are touched, so the limits of functions may add up
 * to more than there is; at this bound the guest that asks ends, and not the node.
 */
final class MemoryBudget implements ByteBudget {
  private final AtomicLong used = new AtomicLong();
  private volatile long limit;

  MemoryBudget(long limit) {
    this.limit = limit;
  }

  void limit(long bytes) {
    limit = bytes;
  }

  long limit() {
    return limit;
  }

  long used() {
    return used.get();
  }

  @Override
  public boolean take(long bytes) {
    if (used.addAndGet(bytes) <= limit) {
      return true;
    }
    used.addAndGet(-bytes);
    return false;
  }

  @Override
  public void give(long bytes) {
    used.addAndGet(-bytes);
  }
}
