package dev.instar.scheduler;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Where in-process functions run: platform threads, because guest code does not yield, and only as many at one time as there are permits,
 * so that I/O keeps its share of the processors. A call that waits for its caller's bytes gives its permit back meanwhile (up to a number
 * of such calls), else two slow callers would stop every function on a node with two processors. A permit is taken first and a thread
 * after, so there are never more threads than permits and parked calls (and calls that outlive their kill). {@link Permits} says who gets one.
 *
 * <p>A stack has its size from the thread's beginning, so there is a set of threads for each size that functions ask for; an idle thread ends
 * after half a minute and gives back what of its stack was ever used.
 */
final class InProcessThreads implements AutoCloseable {
  private static final long IDLE_SECONDS = 30;

  private final Permits permits;
  private final AtomicInteger parked = new AtomicInteger();
  private final AtomicInteger names = new AtomicInteger();
  /** By the MiB of their stacks. */
  private final Map<Integer, ThreadPoolExecutor> threads = new ConcurrentHashMap<>();
  private volatile int maxParked;
  private volatile int maxStackMib;
  private volatile boolean closed;

  InProcessThreads(Settings settings) {
    permits = new Permits(settings.inProcessThreads());
    maxParked = settings.inProcessWaiting();
    maxStackMib = settings.inProcessStackMib();
  }

  private ThreadPoolExecutor start(int stackMib) {
    return new ThreadPoolExecutor(0, Integer.MAX_VALUE, IDLE_SECONDS, TimeUnit.SECONDS, new SynchronousQueue<>(), work -> Thread.ofPlatform().daemon()
        .name("instar-in-process-" + names.incrementAndGet()).stackSize((long) stackMib << 20).unstarted(work));
  }

  /** What a function that asks for so much gets. */
  static long stackBytes(Settings settings, long asked) {
    return (long) stackMib(settings.inProcessStackMib(), asked) << 20;
  }

  private static int stackMib(int max, long asked) {
    return (int) Math.min(max, (asked + (1 << 20) - 1) >> 20);
  }

  void apply(Settings settings) {
    permits.resize(settings.inProcessThreads());
    maxParked = settings.inProcessWaiting();
    maxStackMib = settings.inProcessStackMib();
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

  /** Runs work for which a permit has been taken, with as much stack as it asks for and may have; the work gives the permit back. */
  void execute(Runnable work, long stackBytes) {
    Integer mib = stackMib(maxStackMib, stackBytes);
    ThreadPoolExecutor some = threads.get(mib);
    if (some == null) {
      some = threads.computeIfAbsent(mib, this::start);
      // Closed meanwhile: then close() may not have seen it.
      if (closed) {
        some.shutdown();
      }
    }
    some.execute(work);
  }

  @Override
  public void close() {
    closed = true;
    threads.values().forEach(ThreadPoolExecutor::shutdown);
    long end = Clock.now() + TimeUnit.SECONDS.toNanos(2);
    try {
      for (ThreadPoolExecutor some : threads.values()) {
        some.awaitTermination(end - Clock.now(), TimeUnit.NANOSECONDS);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
