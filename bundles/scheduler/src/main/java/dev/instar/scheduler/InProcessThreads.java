package dev.instar.scheduler;

import java.util.concurrent.Executor;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Where in-process functions run: platform threads, because guest code does not yield, and only as many at one time as there are permits,
 * so that I/O keeps its share of the processors. A call that waits for its caller's bytes gives its permit back meanwhile (up to a number
 * of such calls), else two slow callers would stop every function on a node with two processors. A permit is taken first and a thread
 * after, so there are never more threads than permits and parked calls (and calls that outlive their kill). {@link Permits} says who gets one.
 */
final class InProcessThreads implements AutoCloseable, Executor {
  private final Permits permits;
  private final AtomicInteger parked = new AtomicInteger();
  private final AtomicInteger names = new AtomicInteger();
  private final ThreadPoolExecutor threads;
  private volatile int maxParked;
  private volatile long stackBytes;

  InProcessThreads(Settings settings) {
    permits = new Permits(settings.inProcessThreads());
    maxParked = settings.inProcessWaiting();
    stackBytes = (long) settings.inProcessStackMib() << 20;
    threads = new ThreadPoolExecutor(0, Integer.MAX_VALUE, 30, TimeUnit.SECONDS, new SynchronousQueue<>(), this::thread);
  }

  private Thread thread(Runnable work) {
    return Thread.ofPlatform().daemon().name("instar-in-process-" + names.incrementAndGet()).stackSize(stackBytes).unstarted(work);
  }

  void apply(Settings settings) {
    permits.resize(settings.inProcessThreads());
    maxParked = settings.inProcessWaiting();
    stackBytes = (long) settings.inProcessStackMib() << 20;
  }

  /** Takes a permit if the user may have one now. */
  boolean tryEnter(String user) {
    return permits.tryTake(user);
  }

  /** Waits for a permit, in the user's turn, until the deadline. */
  boolean enter(String user, long deadline) throws InterruptedException {
    return permits.take(user, deadline);
  }

  void leave(String user) {
    permits.give(user);
  }

  /** Gives the permit of a call that is about to wait for its caller back; false when too many wait already, and it keeps it. */
  boolean park(String user) {
    if (parked.incrementAndGet() > maxParked) {
      parked.decrementAndGet();
      return false;
    }
    permits.give(user);
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
