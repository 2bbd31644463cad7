package dev.instar.scheduler;

import dev.instar.api.Threads;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Sees to it that in-process calls which take much processor time take it from those who take much, and from nobody else. Some hundred times a
 * second it looks at which call each thread is in and how much time the thread has had since, so that calls themselves count nothing.
 * <ul>
 *   <li>A call that has had {@link #LONG_NANOS}, or has held its permit for {@link #HELD_NANOS} with less, goes on in the background.
 *   <li>Calls of a user whose calls are long run in the background from their beginning: {@link Judge}.
 * </ul>
 * In the background means on threads that run where a processor would else be idle, so on a node that has time for everybody nobody is the
 * slower for it.
 */
final class Overseer implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(Overseer.class);

  static final long LONG_NANOS = TimeUnit.MILLISECONDS.toNanos(30);
  private static final long HELD_NANOS = TimeUnit.SECONDS.toNanos(1);
  private static final long LOOK_NANOS = TimeUnit.MILLISECONDS.toNanos(10);
  private static final long IDLE_LOOK_NANOS = TimeUnit.MILLISECONDS.toNanos(50);

  private final Permits permits;
  private final LinuxThreads host;
  private final ThreadMXBean times = ManagementFactory.getThreadMXBean();
  private final Set<GuestThread> threads = ConcurrentHashMap.newKeySet();
  private final Thread thread = Threads.platform("instar-in-process-overseer", this::run);
  private final ConcurrentLinkedQueue<Runnable> errands = new ConcurrentLinkedQueue<>();
  private volatile boolean closed;

  // Of its own thread alone.
  private final Judge judge = new Judge(Runtime.getRuntime().availableProcessors(), Clock.now());
  private long looked = Clock.now();

  private Overseer(Permits permits, LinuxThreads host) {
    this.permits = permits;
    this.host = host;
  }

  /** Empty where the host has no background, or does not tell threads' times. */
  static Optional<Overseer> start(Permits permits) {
    ThreadMXBean times = ManagementFactory.getThreadMXBean();
    Optional<LinuxThreads> host = LinuxThreads.ofHost();
    if (host.isEmpty() || !times.isThreadCpuTimeSupported() || !times.isThreadCpuTimeEnabled()) {
      LOG.info("This host does not let threads be put into the background; in-process calls that take long slow others down.");
      return Optional.empty();
    }
    Overseer overseer = new Overseer(permits, host.get());
    overseer.thread.start();
    return Optional.of(overseer);
  }

  /** A thread has begun, and is this one. @return the kernel's number of it */
  int entered(GuestThread guest, boolean low) {
    threads.add(guest);
    int number = host.current();
    if (low) {
      host.lower(number);
    }
    return number;
  }

  /** A thread is about to end. */
  void left(GuestThread guest) {
    threads.remove(guest);
  }

  /** Does something, which must not block, on a thread of ordinary priority. */
  void errand(Runnable work) {
    errands.add(work);
    if (closed) {
      runErrands();
    } else {
      LockSupport.unpark(thread);
    }
  }

  private void runErrands() {
    for (Runnable work; (work = errands.poll()) != null;) {
      work.run();
    }
  }

  private void run() {
    long next = Clock.now();
    while (!closed) {
      try {
        runErrands();
        if (Clock.now() >= next) {
          long pause = look() ? LOOK_NANOS : IDLE_LOOK_NANOS;
          // Uneven, or a guest could keep out of sight by working between the looks.
          next = Clock.now() + pause / 2 + ThreadLocalRandom.current().nextLong(pause);
        }
      } catch (RuntimeException | OutOfMemoryError e) {
        // It goes on: an exhausted heap may throw anywhere.
      }
      if (errands.isEmpty()) {
        LockSupport.parkNanos(this, Math.max(1, next - Clock.now()));
      }
    }
    runErrands();
  }

  /** Whether any call runs. */
  private boolean look() {
    boolean busy = false;
    for (GuestThread guest : threads) {
      Permits.Permit permit = guest.serves();
      if (permit == null) {
        guest.seen = null;
        continue;
      }
      busy = true;
      long cpu = times.getThreadCpuTime(guest.thread().threadId());
      if (cpu < 0) {
        continue;
      }
      // A thread that was not in a call at the last look has had the time for calls since, for all but the first of its looks.
      long had = guest.seenCpu == 0 ? 0 : Math.max(0, cpu - guest.seenCpu);
      guest.seenCpu = cpu;
      judge.had(permit.user(), had);
      if (guest.seen == permit && permit.held()) {
        guest.callCpu += had;
      } else if (guest.seen != permit) {
        guest.seen = permit;
        guest.callCpu = 0;
        guest.heldSince = looked;
      } else {
        // It waits, and so takes nothing from anybody.
        guest.heldSince = looked;
      }
      // A call that was lowered and then waited has come back with a common permit, for which its thread is too slow.
      boolean isLong = guest.low() || guest.callCpu >= LONG_NANOS || looked - guest.heldSince >= HELD_NANOS;
      if ((permit.background() || isLong && permits.demote(permit)) && !guest.low()) {
        guest.lower(permit, host);
      }
    }
    looked = Clock.now();
    permits.judge(judge.judge(looked, permits.begun(), permits.usersInBackground(), permits.free() <= 0));
    return busy;
  }

  @Override
  public void close() {
    closed = true;
    LockSupport.unpark(thread);
    try {
      thread.join();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
