package dev.instar.wasi.guest;

import java.util.concurrent.atomic.AtomicInteger;

/**
 * Counts who uses a resource, so that the one who closes it need not wait for them: the last one out frees it, exactly once.
 * The lowest bit is "closed", the others count.
 */
public final class UseCount {
  private static final int CLOSED = 1;
  private static final int ONE = 2;
  private final AtomicInteger state = new AtomicInteger();

  /** False when the resource is closed. */
  public boolean acquire() {
    int now = state.get();
    while ((now & CLOSED) == 0) {
      int seen = state.compareAndExchange(now, now + ONE);
      if (seen == now) {
        return true;
      }
      now = seen;
    }
    return false;
  }

  /** True when the caller has to free the resource. */
  public boolean release() {
    return state.addAndGet(-ONE) == CLOSED;
  }

  /** True when the caller has to free the resource; false when it was closed before, or when a user will. */
  public boolean close() {
    return state.getAndUpdate(now -> now | CLOSED) == 0;
  }

  public boolean closed() {
    return (state.get() & CLOSED) != 0;
  }

  public boolean inUse() {
    return state.get() >= ONE;
  }
}
