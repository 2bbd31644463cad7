package dev.instar.scheduler;

import java.util.ArrayDeque;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Where in-process functions run: platform threads, because guest code does not yield, and only as many at one time as there are permits,
 * so that I/O keeps its share of the processors. A call that waits for its caller's bytes gives its permit back meanwhile (up to a number
 * of such calls), else two slow callers would stop every function on a node with two processors. A permit is taken first and a thread
 * after, so there are never more threads than permits and parked calls (and calls that outlive their kill). {@link Permits} says who gets one.
 *
 * <p>A thread that has ended a call goes on with the next one in turn by itself: on a busy node no call waits for the system to switch threads.
 */
final class InProcessThreads implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(InProcessThreads.class);
  private static final long KEEP_NANOS = TimeUnit.SECONDS.toNanos(30);

  /** A call that wants to run. */
  abstract class Work extends Permits.Claim {
    Work(String user) {
      super(user);
    }

    /** Runs it, on a thread of ours. Whether it still has its permit at the end. Tells its failures itself. */
    abstract boolean run();

    /** Called in place of {@link #run} where there is no thread to be had. */
    abstract void cannotRun();

    @Override
    final void granted() {
      hand(this);
    }
  }

  private final class Worker implements Runnable {
    private final Thread thread = Thread.ofPlatform().daemon().name("instar-in-process-" + names.incrementAndGet()).stackSize(stackBytes).unstarted(this);
    private volatile Work next;

    Worker(Work first) {
      next = first;
    }

    @Override
    public void run() {
      try {
        while (next != null || await()) {
          Work work = next;
          next = null;
          next = go(work);
        }
      } finally {
        synchronized (workers) {
          workers.remove(this);
          workers.notifyAll();
        }
      }
    }

    /** Waits for work; false when none has come for a while. */
    private boolean await() {
      synchronized (workers) {
        if (closed) {
          return false;
        }
        idle.push(this);
      }
      long until = Clock.now() + KEEP_NANOS;
      while (next == null) {
        long left = until - Clock.now();
        if (left <= 0 || closed) {
          synchronized (workers) {
            // Else somebody has taken it off, and work comes.
            if (idle.remove(this)) {
              return false;
            }
          }
          left = KEEP_NANOS;
        }
        LockSupport.parkNanos(this, left);
        Thread.interrupted();
      }
      return true;
    }
  }

  private final Permits permits;
  private final AtomicInteger parked = new AtomicInteger();
  private final AtomicInteger names = new AtomicInteger();
  /** All that live; its monitor guards {@link #idle} too and is a leaf. */
  private final Set<Worker> workers = new HashSet<>();
  /** The last one to fall idle first: its caches are warm, and the others may end. */
  private final ArrayDeque<Worker> idle = new ArrayDeque<>();
  private volatile int maxParked;
  private volatile long stackBytes;
  private volatile boolean closed;

  InProcessThreads(Settings settings) {
    permits = new Permits(settings.inProcessThreads());
    apply(settings);
  }

  void apply(Settings settings) {
    permits.resize(settings.inProcessThreads());
    maxParked = settings.inProcessWaiting();
    stackBytes = (long) settings.inProcessStackMib() << 20;
  }

  /** Runs it now if its user may have a permit now. */
  boolean tryStart(Work work) {
    if (!permits.tryTake(work.user())) {
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
    Worker worker;
    synchronized (workers) {
      worker = idle.poll();
      if (worker == null) {
        worker = new Worker(work);
        workers.add(worker);
      } else {
        worker.next = work;
        LockSupport.unpark(worker.thread);
        return;
      }
    }
    try {
      worker.thread.start();
    } catch (Throwable e) {
      synchronized (workers) {
        workers.remove(worker);
        workers.notifyAll();
      }
      LOG.error("No thread can be started for an in-process call", e);
      // Aside, since the caller may hold locks, and what is given back may be granted to work that cannot run either.
      Thread.ofVirtual().name("instar-no-thread").start(() -> {
        work.cannotRun();
        permits.give(work.user());
      });
    }
  }

  /** Runs one and says what this thread does next. */
  private Work go(Work work) {
    boolean permit = work.run();
    // A late interrupt was meant for the call that has ended.
    Thread.interrupted();
    if (!permit) {
      return null;
    }
    List<Permits.Claim> granted = permits.release(work.user());
    Work mine = null;
    for (Permits.Claim claim : granted) {
      if (mine == null && claim instanceof Work next) {
        mine = next;
      } else {
        claim.granted();
      }
    }
    return mine;
  }

  /** Waits for a permit, in the user's turn, until the deadline. */
  boolean enter(String user, long deadline) throws InterruptedException {
    return permits.take(user, deadline);
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

  /** Lets its threads end, and waits for those whose calls do. */
  @Override
  public void close() {
    closed = true;
    long until = Clock.now() + TimeUnit.SECONDS.toNanos(2);
    synchronized (workers) {
      idle.forEach(worker -> LockSupport.unpark(worker.thread));
      try {
        for (long left = until - Clock.now(); !workers.isEmpty() && left > 0; left = until - Clock.now()) {
          TimeUnit.NANOSECONDS.timedWait(workers, left);
        }
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
  }
}
