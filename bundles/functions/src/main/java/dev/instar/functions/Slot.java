package dev.instar.functions;

import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/** Holds a service that comes and goes, and lets a caller wait for one: during a swap it is away for a moment. */
final class Slot<T> {
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition came = lock.newCondition();
  private Optional<T> service = Optional.empty();

  void set(T arrived) {
    lock.lock();
    try {
      service = Optional.of(arrived);
      came.signalAll();
    } finally {
      lock.unlock();
    }
  }

  /** Declarative Services hands over the new service before it takes the old one back, so only the current one is cleared. */
  void clear(T gone) {
    lock.lock();
    try {
      service = service.filter(s -> s != gone);
    } finally {
      lock.unlock();
    }
  }

  Optional<T> now() {
    lock.lock();
    try {
      return service;
    } finally {
      lock.unlock();
    }
  }

  /** The service, as soon as it is here; empty when it has not come in time. */
  Optional<T> await(Duration atMost) throws InterruptedException {
    long left = atMost.toNanos();
    lock.lockInterruptibly();
    try {
      while (service.isEmpty() && left > 0) {
        left = came.awaitNanos(left);
      }
      return service;
    } finally {
      lock.unlock();
    }
  }
}
