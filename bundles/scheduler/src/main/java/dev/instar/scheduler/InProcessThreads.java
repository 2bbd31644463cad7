package dev.instar.scheduler;

import java.util.Optional;
import java.util.Set;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;

/**
 * Where in-process functions run: platform threads, because guest code does not yield, and only as many at one time as there are permits,
 * so that I/O keeps its share of the processors. A call that waits for its caller's bytes gives its permit back meanwhile (up to a number
 * of such calls), else two slow callers would stop every function on a node with two processors. A permit is taken first and a thread
 * after, so there are never more threads than permits and parked calls (and calls that outlive their kill). {@link Permits} says who gets one, and
 * {@link Overseer} which calls run on the threads that have only what others leave.
 */
final class InProcessThreads implements AutoCloseable {
  private final Permits permits;
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
    // An executor replaces a thread that ends by an exception, and does it on that thread: the next call makes a new one just as well.
    return GuestThread.isCurrentLow() ? null : new GuestThread(work, "instar-in-process-" + names.incrementAndGet(), stackBytes, low, overseer);
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

  /** Waits for a permit, in the user's turn, until there is no use in it any more. */
  boolean enterAgain(Permits.Permit permit, BooleanSupplier useless) throws InterruptedException {
    return permits.take(permit, Clock.NEVER, useless);
  }

  void leave(Permits.Permit permit) {
    permits.give(permit);
  }

  /** Gives the permit of a call that is about to wait for its caller back; false when too many wait already, and it keeps it. */
  boolean park(Permits.Permit permit) {
    return permits.park(permit, maxParked);
  }

  /** The parked call has its permit again, or has ended without. */
  void unparked(Permits.Permit permit) {
    permits.unparked(permit);
  }

  int free() {
    return permits.free();
  }

  int parkedCount() {
    return permits.parked();
  }

  /** Users whose calls run in the background from their beginning. */
  Set<String> heavy() {
    return permits.heavy();
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
