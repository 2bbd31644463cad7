package dev.instar.scheduler;

import dev.instar.api.Threads;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;

/**
 * A platform thread for in-process calls. It is born low, for the calls of users that take more than others, or becomes low in the midst of a
 * call that takes long; then it ends with that call, as it cannot be raised again.
 *
 * <p>A low thread must not make threads, as they would be low, too; and whoever wakes a virtual thread may have to make the carrier thread for it,
 * which is then low for whatever runs on it later. So what may be running on one wakes and starts others by {@link #wake} and {@link #startVirtual} only.
 * And it must not hold a lock that others want, since it may be kept from running for long: it has that done ({@link #ordinarily}).
 *
 * <p>It has a {@link Thread} and is none, for the reason that {@link Threads} tells.
 */
final class GuestThread {
  /** Stands for a call that was lowered. */
  private static final Permits.Permit LOWERED = new Permits.Permit("");
  /** Set on their own threads only, where it ends with the thread. */
  private static final ThreadLocal<GuestThread> CURRENT = new ThreadLocal<>();

  private final Thread thread;
  private final boolean bornLow;
  private final Optional<Overseer> overseer;
  private final AtomicReference<Permits.Permit> serves = new AtomicReference<>();
  private boolean retired;
  private volatile int number;

  // Of the overseer alone.
  /** The call in it at the last look, since which look it has held its permit, the thread's CPU time at the last look, and the call's since it was seen first. Nanoseconds. */
  Permits.Permit seen;
  long heldSince;
  long seenCpu;
  long callCpu;

  GuestThread(Runnable work, String name, long stackBytes, boolean low, Optional<Overseer> overseer) {
    thread = Threads.platform(name, stackBytes, () -> run(work));
    this.bornLow = low;
    this.overseer = overseer;
  }

  private void run(Runnable work) {
    CURRENT.set(this);
    overseer.ifPresent(o -> number = o.entered(this, bornLow));
    try {
      work.run();
    } finally {
      overseer.ifPresent(o -> o.left(this));
    }
  }

  Thread thread() {
    return thread;
  }

  /** The one of this thread, which must have one. */
  static GuestThread current() {
    return Optional.ofNullable(CURRENT.get()).orElseThrow();
  }

  /** {@link LockSupport#unpark}, in a way that low threads may. */
  static void wake(Thread thread) {
    if (isCurrentLow()) {
      current().overseer.orElseThrow().errand(() -> LockSupport.unpark(thread));
    } else {
      LockSupport.unpark(thread);
    }
  }

  /** Starts a virtual thread, in a way that low threads may. */
  static void startVirtual(String name, Runnable work) {
    if (isCurrentLow()) {
      current().overseer.orElseThrow().errand(() -> Threads.startVirtual(name, work));
    } else {
      Threads.startVirtual(name, work);
    }
  }

  /** Does work that needs locks of the node, and returns when it is done: from a low thread on a virtual one. */
  static void ordinarily(Runnable work) {
    if (!isCurrentLow()) {
      work.run();
      return;
    }
    Thread low = Thread.currentThread();
    AtomicBoolean done = new AtomicBoolean();
    startVirtual("instar-in-process-errand", () -> {
      try {
        work.run();
      } finally {
        done.set(true);
        LockSupport.unpark(low);
      }
    });
    boolean interrupted = false;
    while (!done.get()) {
      LockSupport.park(done);
      interrupted |= Thread.interrupted();
    }
    if (interrupted) {
      low.interrupt();
    }
  }

  /** Whether this thread is one, and low. */
  static boolean isCurrentLow() {
    if (Thread.currentThread().isVirtual()) {
      // Spares it a map of its own, for nothing.
      return false;
    }
    GuestThread guest = CURRENT.get();
    return guest != null && guest.overseer.isPresent() && (guest.retired || guest.low());
  }

  /** Its own: runs a call. False when it is low, and of no use for what the node itself has to do. */
  boolean runs(InProcessThreads.Work work) {
    serves.set(work);
    work.run();
    retired = !serves.compareAndSet(work, null);
    return !retired && !bornLow;
  }

  /** The call in it; null when there is none. */
  Permits.Permit serves() {
    Permits.Permit now = serves.get();
    return now == LOWERED ? seen : now;
  }

  boolean low() {
    return bornLow || serves.get() == LOWERED;
  }

  /** Lowers it while it serves this call; if it does no more, nothing happens. */
  void lower(Permits.Permit permit, LinuxThreads threads) {
    // From here on it ends with its call, whatever becomes of the rest: no other call is ever hit.
    if (number != 0 && serves.compareAndSet(permit, LOWERED)) {
      threads.lower(number);
    }
  }
}
