package dev.instar.scheduler;

import dev.instar.api.Threads;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Does things at deadlines that are nearly never reached. Arming and disarming cost an entry in a concurrent set and a volatile read
 * each, no lock, no heap: one thread sleeps until the earliest deadline that it knows of and then looks through all of them, which is
 * seldom, because the calls that it knew of have mostly ended by then.
 *
 * <p>No deadline is missed: {@link #arm} adds its watch first and reads {@link #wake} after; the thread sets {@link #wake} to
 * {@link Clock#NEVER} first and looks through the set after. So either the thread sees the watch, or arm sees NEVER and wakes the
 * thread (an unpark before the park is kept by the thread).
 */
final class Watchdog implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(Watchdog.class);
  private static final long RETRY_NANOS = 10_000_000;
  private final Set<Watch> armed = ConcurrentHashMap.newKeySet();
  private final Thread thread = Threads.platform("instar-watchdog", this::watch);
  private volatile long wake = Clock.NEVER;
  private volatile boolean closed;

  Watchdog() {
    thread.start();
  }

  /** Has {@code action} run at {@code deadline} ({@link Clock}), unless it is disarmed before. It must not block. */
  Watch arm(long deadline, Runnable action) {
    Watch watch = new Watch(deadline, action);
    armed.add(watch);
    if (deadline < wake) {
      LockSupport.unpark(thread);
    }
    return watch;
  }

  /** How many watches are armed. */
  int armed() {
    return armed.size();
  }

  private void watch() {
    while (!closed) {
      try {
        look();
      } catch (Throwable e) {
        // Without this thread no time-out would ever hold again; an exhausted heap may throw anywhere.
        wake = Clock.NEVER;
        LockSupport.parkNanos(this, RETRY_NANOS);
      }
    }
  }

  private void look() {
    wake = Clock.NEVER;
    long now = Clock.now();
    long next = Clock.NEVER;
    for (Watch watch : armed) {
      if (watch.deadline <= now) {
        watch.fire();
      } else {
        next = Math.min(next, watch.deadline);
      }
    }
    wake = next;
    long sleep = next - Clock.now();
    if (sleep > 0) {
      LockSupport.parkNanos(this, sleep);
    }
  }

  /** Stops; what is armed does not happen any more. */
  @Override
  public void close() {
    closed = true;
    LockSupport.unpark(thread);
    try {
      thread.join();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    armed.clear();
  }

  /** One deadline. Either it fires or it is disarmed, never both. Equal only to itself. */
  final class Watch extends AtomicInteger {
    private static final int ARMED = 0;
    private static final int FIRED = 1;
    private static final int DISARMED = 2;
    private final long deadline;
    private final transient Runnable action;

    private Watch(long deadline, Runnable action) {
      super(ARMED);
      this.deadline = deadline;
      this.action = action;
    }

    /** Returns false when the action has run, or is running on the watchdog's thread at this moment. */
    boolean disarm() {
      boolean mine = compareAndSet(ARMED, DISARMED);
      armed.remove(this);
      return mine;
    }

    private void fire() {
      if (compareAndSet(ARMED, FIRED)) {
        armed.remove(this);
        try {
          action.run();
        } catch (Throwable e) {
          LOG.error("What was due at a deadline failed", e);
        }
      }
    }
  }
}
