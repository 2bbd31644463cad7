package dev.instar.scheduler;

import java.util.concurrent.Executor;
import java.util.concurrent.Semaphore;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Where in-process functions run: platform threads, because guest code does not yield, and only as many at one time as there are permits,
 * so that I/O keeps its share of the processors. A call that waits for its caller's bytes gives its permit back meanwhile (up to a number
 * of such calls), else two slow callers would stop every function on a node with two processors. A permit is taken first and a thread
 * after, so there are never more threads than permits and parked calls (and calls that outlive their kill).
 */
final class InProcessThreads implements AutoCloseable, Executor {
  /** Fair, so that calls get permits in the order in which they asked. */
  private static final class Permits extends Semaphore {
    private static final long serialVersionUID = 1;

    Permits(int permits) {
      super(permits, true);
    }

    void reduce(int by) {
      reducePermits(by);
    }
  }

  private final Permits permits;
  private final AtomicInteger parked = new AtomicInteger();
  private final AtomicInteger names = new AtomicInteger();
  private final ThreadPoolExecutor threads;
  private volatile int maxParked;
  private volatile long stackBytes;
  private int size;

  InProcessThreads(Settings settings) {
    size = settings.inProcessThreads();
    permits = new Permits(size);
    maxParked = settings.inProcessWaiting();
    stackBytes = (long) settings.inProcessStackMib() << 20;
    threads = new ThreadPoolExecutor(0, Integer.MAX_VALUE, 30, TimeUnit.SECONDS, new SynchronousQueue<>(), this::thread);
  }

  private Thread thread(Runnable work) {
    return Thread.ofPlatform().daemon().name("instar-in-process-" + names.incrementAndGet()).stackSize(stackBytes).unstarted(work);
  }

  synchronized void apply(Settings settings) {
    int change = settings.inProcessThreads() - size;
    size = settings.inProcessThreads();
    if (change > 0) {
      permits.release(change);
    } else {
      permits.reduce(-change);
    }
    maxParked = settings.inProcessWaiting();
    stackBytes = (long) settings.inProcessStackMib() << 20;
  }

  /** Takes a permit if one is free and nobody waits for it. */
  boolean tryEnter() {
    try {
      return permits.tryAcquire(0, TimeUnit.NANOSECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return false;
    }
  }

  /** Waits for a permit, in order, until the deadline. */
  boolean enter(long deadline) throws InterruptedException {
    return permits.tryAcquire(Math.max(0, deadline - Clock.now()), TimeUnit.NANOSECONDS);
  }

  void leave() {
    permits.release();
  }

  /** Gives the permit of a call that is about to wait for its caller back; false when too many wait already, and it keeps it. */
  boolean park() {
    if (parked.incrementAndGet() > maxParked) {
      parked.decrementAndGet();
      return false;
    }
    permits.release();
    return true;
  }

  /** The parked call has its permit again, or has ended without. */
  void unparked() {
    parked.decrementAndGet();
  }

  int free() {
    return permits.availablePermits();
  }

  int parkedCount() {
    return parked.get();
  }

  /** Runs work for which a permit has been taken; the work gives it back. */
  @Override
  public void execute(Runnable work) {
    threads.execute(work);
  }

  @Override
  public void close() {
    threads.shutdown();
    try {
      threads.awaitTermination(2, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
