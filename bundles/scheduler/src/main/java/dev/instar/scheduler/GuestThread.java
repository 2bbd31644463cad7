package dev.instar.scheduler;

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
 */
final class GuestThread extends Thread {
  /** Stands for a call that was lowered. */
  private static final Permits.Permit LOWERED = new Permits.Permit("");

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
    super(null, work, name, stackBytes);
    setDaemon(true);
    this.bornLow = low;
    this.overseer = overseer;
  }

  @Override
  public void run() {
    overseer.ifPresent(o -> number = o.entered(this, bornLow));
    try {
      super.run();
    } finally {
      overseer.ifPresent(o -> o.left(this));
    }
  }

  /** {@link LockSupport#unpark}, in a way that low threads may. */
  static void wake(Thread thread) {
    if (isCurrentLow()) {
      ((GuestThread) Thread.currentThread()).overseer.orElseThrow().errand(() -> LockSupport.unpark(thread));
    } else {
      LockSupport.unpark(thread);
    }
  }

  /** Starts a virtual thread, in a way that low threads may. */
  static void startVirtual(String name, Runnable work) {
    if (isCurrentLow()) {
      ((GuestThread) Thread.currentThread()).overseer.orElseThrow().errand(() -> Thread.ofVirtual().name(name).start(work));
    } else {
      Thread.ofVirtual().name(name).start(work);
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
    return Thread.currentThread() instanceof GuestThread guest && guest.overseer.isPresent() && (guest.retired || guest.low());
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
