package dev.instar.functions;

import dev.instar.api.function.FunctionName;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.ReentrantLock;

/**
 * A lock for each name that somebody holds or waits for, and for no other: names come from outside, so what is kept for each would grow
 * without bound, and a fixed number of shared locks would let one function wait for another's compilation.
 */
final class NameLocks {
  private final ConcurrentHashMap<FunctionName, Held> held = new ConcurrentHashMap<>();

  private static final class Held extends ReentrantLock {
    private static final long serialVersionUID = 1;
    /** Holders and waiters; changed only within {@code compute}. */
    private int users;
  }

  /** Given back on the thread that took it. */
  interface Lease extends AutoCloseable {
    @Override
    void close();
  }

  Lease take(FunctionName name) {
    Held lock = join(name);
    lock.lock();
    return () -> release(name, lock);
  }

  Lease takeInterruptibly(FunctionName name) throws InterruptedException {
    Held lock = join(name);
    try {
      lock.lockInterruptibly();
    } catch (InterruptedException e) {
      leave(name);
      throw e;
    }
    return () -> release(name, lock);
  }

  private Held join(FunctionName name) {
    return held.compute(name, (n, lock) -> {
      Held joined = lock == null ? new Held() : lock;
      joined.users++;
      return joined;
    });
  }

  private void release(FunctionName name, Held lock) {
    lock.unlock();
    leave(name);
  }

  private void leave(FunctionName name) {
    held.computeIfPresent(name, (n, lock) -> --lock.users == 0 ? null : lock);
  }

  /** For tests: how many names are locked or waited for. */
  int size() {
    return held.size();
  }
}
