package dev.instar.scheduler;

import java.util.Optional;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Where in-process functions run: platform threads, because guest code does not yield, and only as many at one time as there are permits,
 * so that I/O keeps its share of the processors. A call that waits for its caller's bytes gives its permit back meanwhile (up to a number
 * of such calls), else two slow callers would stop every function on a node with two processors. A permit is taken first and a thread
 * after, so there are never more threads than permits and parked calls (and calls that outlive their kill). {@link Permits} says who gets one, and
 * {@link Overseer} which calls run on the threads that have only what others leave.
 */
final class InProcessThreads implements AutoCloseable {
  private final Permits permits;
  private final AtomicInteger parked = new AtomicInteger();
  private final AtomicInteger names = new AtomicInteger();
  private final Optional<Overseer> overseer;
  private final ThreadPoolExecutor threads = pool(false);
  private final ThreadPoolExecutor background = pool(true);
  private volatile int maxParked;
  private volatile long stackBytes;

  InProcessThreads(Settings settings) {
    permits = new Permits(settings.inProcessThreads());
    maxParked = settings.inProcessWaiting();
    stackBytes = (long) settings.inProcessStackMib() << 20;
    overseer = Overseer.start(permits);
  }

  private ThreadPoolExecutor pool(boolean low) {
    return new ThreadPoolExecutor(0, Integer.MAX_VALUE, 30, TimeUnit.SECONDS, new SynchronousQueue<>(), work -> thread(work, low)) {
      @Override
      protected void afterExecute(Runnable work, Throwable failure) {
        ((GuestThread) Thread.currentThread()).endIfRetired();
      }
    };
  }

  private Thread thread(Runnable work, boolean low) {
    return new GuestThread(work, "instar-in-process-" + names.incrementAndGet(), stackBytes, low, overseer);
  }

  void apply(Settings settings) {
    permits.resize(settings.inProcessThreads());
    maxParked = settings.inProcessWaiting();
    stackBytes = (long) settings.inProcessStackMib() << 20;
  }

  /** Takes a permit if the user may have one now. */
  boolean tryEnter(Permits.Permit permit) {
    return permits.tryTake(permit);
  }

  /** Waits for a permit, in the user's turn, until the deadline. */
  boolean enter(Permits.Permit permit, long deadline) throws InterruptedException {
    return permits.take(permit, deadline);
  }

  void leave(Permits.Permit permit) {
    permits.give(permit);
  }

  /** Gives the permit of a call that is about to wait for its caller back; false when too many wait already, and it keeps it. */
  boolean park(Permits.Permit permit) {
    if (parked.incrementAndGet() > maxParked) {
      parked.decrementAndGet();
      return false;
    }
    permits.give(permit);
    return true;
  }

  /** The parked call has its permit again, or has ended without. */
  void unparked() {
    parked.decrementAndGet();
  }

  int free() {
    return permits.free();
  }

  int parkedCount() {
    return parked.get();
  }

  int inBackground() {
    return permits.inBackground();
  }

  /** Runs work for which the permit has been taken; the work gives it back. */
  void execute(Permits.Permit permit, Runnable work) {
    (permit.background() ? background : threads).execute(() -> {
      GuestThread thread = (GuestThread) Thread.currentThread();
      thread.begin(permit);
      try {
        work.run();
      } finally {
        thread.end(permit);
      }
    });
  }

  @Override
  public void close() {
    threads.shutdown();
    background.shutdown();
    overseer.ifPresent(Overseer::close);
    try {
      threads.awaitTermination(2, TimeUnit.SECONDS);
      background.awaitTermination(2, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
