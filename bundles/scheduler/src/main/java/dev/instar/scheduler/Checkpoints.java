package dev.instar.scheduler;

import dev.instar.api.InstarException;
import dev.instar.api.Threads;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.sandbox.Checkpointable;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Has the initialised state of versions stored when their policies say so, one at a time on the whole node. Nothing queues: each sweep looks which
 * pools are due, so what was not stored because its pool went first, or the node, is due again when the version has been prepared the next time.
 *
 * <p>What that costs the calls of others is bounded by three things. The thread that does it is the nicest there can be, so that calls which want its
 * processor leave it some 1.4 % of that. (Of SCHED_IDLE it would have next to nothing, and might be kept for seconds where it holds a lock of the store.)
 * There is one of it. And each rests for as long as it took, because disks and memory know no niceness: half of their time is the others' alone.
 *
 * <p>Threads that a nice thread makes are nice for ever, carriers of virtual threads included. So a thread is made for each checkpoint, does nothing
 * else and takes no lock of ours.
 */
final class Checkpoints implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(Checkpoints.class);
  private static final long TO_END_NANOS = TimeUnit.SECONDS.toNanos(2);

  private final Desk desk;
  private final Predicate<FunctionVersion> published;
  private final Optional<LinuxThreads> host = LinuxThreads.ofHost();

  // Under the monitor, which is a leaf.
  private boolean running;
  private boolean closed;

  /** @param published whether the registry has a version: what was prepared for one that it refuses in the end must not be stored */
  Checkpoints(Desk desk, Predicate<FunctionVersion> published) {
    this.desk = desk;
    this.published = published;
  }

  /** Goes through all that is prepared, on a thread of its own, unless that is being done. */
  void look() {
    synchronized (this) {
      if (running || closed) {
        return;
      }
      running = true;
    }
    boolean started = false;
    try {
      Threads.startVirtual("instar-checkpoints", () -> {
        try {
          desk.pools().forEach(this::storeIfDue);
        } finally {
          looked();
        }
      });
      started = true;
    } finally {
      if (!started) {
        looked();
      }
    }
  }

  private synchronized void looked() {
    running = false;
    notifyAll();
  }

  private void storeIfDue(Pool pool) {
    try {
      if (!closed() && pool.checkpointDue(Clock.now()) && published.test(pool.version())) {
        long began = Clock.now();
        store(pool);
        rest(Clock.now() - began);
      }
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    } catch (RuntimeException | OutOfMemoryError e) {
      LOG.error("The initialised state of {} is not stored", pool.version().label(), e);
    }
  }

  private void store(Pool pool) throws InterruptedException {
    Thread thread = Threads.platform("instar-checkpoint", () -> checkpoint(pool));
    thread.setPriority(Thread.MIN_PRIORITY);
    if (pool.beginCheckpoint(thread)) {
      try {
        thread.start();
        thread.join();
      } finally {
        pool.endCheckpoint();
      }
    }
  }

  private void checkpoint(Pool pool) {
    host.ifPresent(LinuxThreads::lowerSelfGently);
    StageEvent.Checkpoint stage = new StageEvent.Checkpoint();
    stage.begin();
    try {
      // It may have been retired before there was a thread to interrupt.
      if (!pool.retired() && pool.prepared() instanceof Checkpointable state) {
        state.checkpoint();
      }
    } catch (InterruptedException e) {
      LOG.debug("The initialised state of {} is not stored: its pool has gone", pool.version().label());
    } catch (InstarException e) {
      LOG.warn("The initialised state of {} is not stored ({}): {}", pool.version().label(), e.code().code(), e.problem().detail());
    } catch (Throwable e) {
      LOG.error("The backend {} failed to store the initialised state of {}", pool.generation().name(), pool.version().label(), e);
    } finally {
      stage.record(pool.version(), pool.generation());
    }
  }

  private synchronized boolean closed() {
    return closed;
  }

  private synchronized void rest(long nanos) throws InterruptedException {
    long end = Clock.now() + nanos;
    for (long left = nanos; left > 0 && !closed; left = end - Clock.now()) {
      TimeUnit.NANOSECONDS.timedWait(this, left);
    }
  }

  /** Begins no other. What runs ends when its pool is retired; that is waited for. */
  @Override
  public void close() {
    long end = Clock.now() + TO_END_NANOS;
    synchronized (this) {
      closed = true;
      notifyAll();
      try {
        for (long left = TO_END_NANOS; running && left > 0; left = end - Clock.now()) {
          TimeUnit.NANOSECONDS.timedWait(this, left);
        }
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
  }
}
