package dev.instar.scheduler;

import dev.instar.api.Threads;
import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Where in-process functions run: platform threads, because guest code does not yield, and only as many at one time as there are permits,
 * so that I/O keeps its share of the processors. A call that waits for its caller's bytes gives its permit back meanwhile (up to a number
 * of such calls), else two slow callers would stop every function on a node with two processors. A permit is taken first and a thread
 * after, so there are never more threads than permits and parked calls (and calls that outlive their kill). {@link Permits} says who gets one, and
 * {@link Overseer} which calls run on the threads that have only what others leave.
 *
 * <p>A thread that has ended a call goes on with the next one in turn by itself: on a busy node no call waits for the system to switch threads.
 * Threads of the background hand that on, as they may be kept from running for long. A stack has its size from the thread's beginning, so a thread
 * serves functions that ask for as much; an idle one ends after half a minute and gives back what of its stack was ever used.
 */
final class InProcessThreads implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(InProcessThreads.class);
  private static final long KEEP_SECONDS = 30;

  /** A call that wants to run. */
  abstract class Work extends Permits.Permit {
    private final int stackMib;

    Work(String user, int stackMib) {
      super(user);
      this.stackMib = stackMib;
    }

    /** Runs it, on a thread of ours. Tells its failures itself. */
    abstract void run();

    /** Ends it: tells, resets, gives back. Not on a thread of the background. The same holds. */
    abstract void after();

    /** Called in place of both where there is no thread to be had. */
    abstract void cannotRun();

    @Override
    final void granted() {
      hand(this);
    }
  }

  private final class Worker implements Runnable {
    private final int stackMib;
    private final GuestThread thread;
    private volatile Work next;

    Worker(Work first) {
      next = first;
      stackMib = first.stackMib;
      thread = thread(this, stackMib, false);
    }

    @Override
    public void run() {
      try {
        while (next != null || await()) {
          Work work = next;
          next = null;
          if (!thread.runs(work)) {
            // Lowered; it ends with this call.
            GuestThread.startVirtual("instar-in-process-after", () -> finish(work));
            return;
          }
          next = goOn(work, stackMib);
        }
      } finally {
        GuestThread.ordinarily(this::forget);
      }
    }

    private void forget() {
      synchronized (workers) {
        workers.remove(this);
        workers.notifyAll();
      }
    }

    /** Waits for work; false when none has come for a while. */
    private boolean await() {
      synchronized (workers) {
        if (closed) {
          return false;
        }
        idle(stackMib).push(this);
      }
      long until = Clock.now() + TimeUnit.SECONDS.toNanos(KEEP_SECONDS);
      while (next == null) {
        long left = until - Clock.now();
        if (left <= 0 || closed) {
          synchronized (workers) {
            // Else somebody has taken it off, and work is there.
            if (idle(stackMib).remove(this)) {
              return false;
            }
          }
        } else {
          LockSupport.parkNanos(this, left);
          Thread.interrupted();
        }
      }
      return true;
    }
  }

  private final Permits permits;
  private final AtomicInteger names = new AtomicInteger();
  private final Optional<Overseer> overseer;
  /** By the MiB of their stacks. */
  private final Map<Integer, ThreadPoolExecutor> background = new ConcurrentHashMap<>();
  /** All that live; its monitor guards {@link #idle} too and is a leaf. */
  private final Set<Worker> workers = new HashSet<>();
  /** By the MiB of their stacks; the last one to fall idle first: its caches are warm, and the others may end. */
  private final Map<Integer, ArrayDeque<Worker>> idle = new HashMap<>();
  private volatile int maxParked;
  private volatile boolean closed;

  InProcessThreads(Settings settings) {
    permits = new Permits(settings.inProcessThreads());
    overseer = Overseer.start(permits);
    apply(settings);
  }

  private GuestThread thread(Runnable work, int stackMib, boolean low) {
    return new GuestThread(work, "instar-in-process-" + names.incrementAndGet(), (long) stackMib << 20, low, overseer);
  }

  /** With the monitor. */
  private ArrayDeque<Worker> idle(int stackMib) {
    return idle.computeIfAbsent(stackMib, size -> new ArrayDeque<>());
  }

  private ThreadPoolExecutor background(int stackMib) {
    ThreadPoolExecutor some = background.computeIfAbsent(stackMib, size -> new ThreadPoolExecutor(0, Integer.MAX_VALUE, KEEP_SECONDS, TimeUnit.SECONDS,
        new SynchronousQueue<>(), work -> thread(work, size, true).thread()));
    // Then close() may not have seen it.
    if (closed) {
      some.shutdown();
    }
    return some;
  }

  /** What a function that asks for so much stack gets. */
  static int stackMib(Settings settings, long asked) {
    return (int) Math.min(settings.inProcessStackMib(), (asked + (1 << 20) - 1) >> 20);
  }

  void apply(Settings settings) {
    permits.resize(settings.inProcessThreads());
    maxParked = settings.inProcessWaiting();
  }

  /** Runs it now if its user may have a permit now. */
  boolean tryStart(Work work) {
    if (!permits.tryTake(work)) {
      return false;
    }
    hand(work);
    return true;
  }

  /** Runs it when its user has a permit. */
  void start(Work work) {
    permits.claim(work);
  }

  /** Takes it out of the line; false when it runs, or is about to. */
  boolean withdraw(Work work) {
    return permits.withdraw(work);
  }

  private void hand(Work work) {
    try {
      if (work.background()) {
        background(work.stackMib).execute(() -> {
          GuestThread.current().runs(work);
          GuestThread.startVirtual("instar-in-process-after", () -> finish(work));
        });
      } else {
        handToWorker(work);
      }
    } catch (OutOfMemoryError | RejectedExecutionException e) {
      LOG.error("No thread can be started for an in-process call", e);
      // Aside, since the caller may hold locks, and what is given back may be granted to work that cannot run either.
      Threads.startVirtual("instar-no-thread", () -> {
        work.cannotRun();
        leave(work);
      });
    }
  }

  private void handToWorker(Work work) {
    Worker worker;
    synchronized (workers) {
      worker = idle(work.stackMib).poll();
      if (worker != null) {
        worker.next = work;
        LockSupport.unpark(worker.thread.thread());
        return;
      }
      worker = new Worker(work);
      workers.add(worker);
    }
    boolean started = false;
    try {
      worker.thread.thread().start();
      started = true;
    } finally {
      if (!started) {
        worker.forget();
      }
    }
  }

  /** Ends a call and says what this thread does next. */
  private Work goOn(Work work, int stackMib) {
    work.after();
    // A late interrupt was meant for the call that has ended.
    Thread.interrupted();
    if (!work.held()) {
      permits.unparked(work);
      return null;
    }
    Work mine = null;
    for (Permits.Waiter waiter : permits.release(work)) {
      if (mine == null && waiter.permit() instanceof Work next && !next.background() && next.stackMib == stackMib && waiter.thread().isEmpty()) {
        mine = next;
      } else {
        waiter.tell();
      }
    }
    return mine;
  }

  private void finish(Work work) {
    work.after();
    leave(work);
  }

  private void leave(Work work) {
    if (work.held()) {
      permits.give(work);
    } else {
      permits.unparked(work);
    }
  }

  /** Waits for a permit, in the user's turn, until there is no use in it any more. */
  boolean enterAgain(Permits.Permit permit, BooleanSupplier useless) throws InterruptedException {
    return permits.take(permit, Clock.NEVER, useless);
  }

  /** Gives the permit of a call that is about to wait back; false when too many wait already, and it keeps it. */
  boolean park(Permits.Permit permit) {
    return permits.park(permit, maxParked);
  }

  /** The parked call has its permit again. */
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

  /** Lets its threads end, and waits for those whose calls do. */
  @Override
  public void close() {
    closed = true;
    background.values().forEach(ThreadPoolExecutor::shutdown);
    long until = Clock.now() + TimeUnit.SECONDS.toNanos(2);
    try {
      synchronized (workers) {
        idle.values().forEach(some -> some.forEach(worker -> LockSupport.unpark(worker.thread.thread())));
        for (long left = until - Clock.now(); !workers.isEmpty() && left > 0; left = until - Clock.now()) {
          TimeUnit.NANOSECONDS.timedWait(workers, left);
        }
      }
      for (ThreadPoolExecutor some : background.values()) {
        some.awaitTermination(until - Clock.now(), TimeUnit.NANOSECONDS);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    overseer.ifPresent(Overseer::close);
  }
}
