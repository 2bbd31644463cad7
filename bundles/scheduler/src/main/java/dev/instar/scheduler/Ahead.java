package dev.instar.scheduler;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Threads;
import dev.instar.api.function.Function;
import dev.instar.api.function.FunctionRegistry;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.snapshot.SnapshotInfo;
import dev.instar.api.snapshot.SnapshotStore;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.LongSupplier;
import java.util.function.Predicate;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Prepares, once after the node has started, what has its initialised state in the snapshot store, before it is called: a preparation is then the larger part
 * of a first call. The states that were used most recently come first, one at a time, until what is prepared takes what may stay prepared, so nothing that a
 * call has prepared goes for it. Versions without a stored state are left to their calls, because guests' code would have to run.
 *
 * <p>A call for what is not prepared yet does not wait for those before it here, and one for what is being prepared joins that. While calls are made, each
 * preparation is followed by a rest, so that a fifth of a processor's time at most goes into guesses: in its first seconds a JVM has none to give away.
 */
final class Ahead implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(Ahead.class);
  private static final long TO_END_NANOS = TimeUnit.SECONDS.toNanos(2);
  /** A rest by what comes before it. */
  private static final int REST = 4;

  private final Desk desk;
  private final Backends backends;
  private final Preparations preparations;
  private final LongSupplier served;
  private final Predicate<FunctionVersion> registered;

  // Under the monitor, which is a leaf.
  private boolean begun;
  private Thread thread;
  private boolean closed;

  /**
   * @param served how many calls have ended
   * @param registered whether the registry has a version still
   */
  Ahead(Desk desk, Backends backends, Preparations preparations, LongSupplier served, Predicate<FunctionVersion> registered) {
    this.desk = desk;
    this.backends = backends;
    this.preparations = preparations;
    this.served = served;
    this.registered = registered;
  }

  /** Begins on a thread of its own, unless it has begun before, or is not wanted. */
  synchronized void begin(FunctionRegistry registry, SnapshotStore store) {
    if (begun || closed || !desk.settings().prepareAhead()) {
      return;
    }
    begun = true;
    thread = Threads.startVirtual("instar-ahead", () -> {
      try {
        prepare(registry, store);
      } catch (InterruptedException e) {
        LOG.debug("Nothing more is prepared ahead: the scheduler stops");
      } catch (RuntimeException | Error e) {
        LOG.warn("Nothing more is prepared ahead: {}", e.toString());
      } finally {
        ended();
      }
    });
  }

  private synchronized void ended() {
    thread = null;
    notifyAll();
  }

  /** For tests: whether it is at work. */
  synchronized boolean runs() {
    return thread != null;
  }

  private void prepare(FunctionRegistry registry, SnapshotStore store) throws InterruptedException {
    Map<String, FunctionVersion> active = new HashMap<>();
    for (Function function : registry.list()) {
      function.version(function.active()).ifPresent(version -> active.put(version.uid(), version));
    }
    long began = Clock.now();
    long bytes = 0;
    int done = 0;
    try {
      for (SnapshotInfo state : store.list().stream().sorted(Comparator.comparing(SnapshotInfo::lastUsed).reversed()).toList()) {
        // A small image may begin with a large memory, which is kept as well.
        long size = Math.max(Shelf.LEAST, state.storedBytes());
        for (FunctionVersion version : state.users().stream().map(active::get).filter(Objects::nonNull).toList()) {
          Settings now = desk.settings();
          if (now.prepareAhead() && Math.max(bytes, desk.shelf().total()) + size <= now.preparedBytes() && prepare(version)) {
            bytes += size;
            done++;
          }
        }
      }
    } finally {
      if (done > 0) {
        LOG.info("{} functions were prepared ahead of their calls, in {} ms", done, TimeUnit.NANOSECONDS.toMillis(Clock.now() - began));
      }
    }
  }

  /** False when it was prepared already, or could not be. */
  private boolean prepare(FunctionVersion version) throws InterruptedException {
    Backends.Route route = backends.find(version);
    Pool pool = route == null ? null : route.generation().pool(version, route.variant());
    if (pool == null) {
      return false;
    }
    long before = served.getAsLong();
    long began = Clock.now();
    Preparation preparation = pool.prepare(preparations);
    if (preparation == null) {
      return false;
    }
    try {
      preparation.await(Clock.NEVER);
    } catch (InstarException e) {
      if (e.code() == ErrorCode.NODE_BUSY || e.code() == ErrorCode.OUT_OF_MEMORY) {
        // What is left is for the calls.
        throw e;
      }
      // It fails again for the call that wants it, and is told there.
      LOG.debug("{} is not prepared ahead: {}", version.label(), e.getMessage());
    } catch (TimeoutException e) {
      throw new IllegalStateException(e);
    }
    if (!registered.test(version)) {
      // It was removed before its pool was there to be told.
      pool.retire();
    }
    if (served.getAsLong() != before || preparations.waiting() > 0) {
      rest(REST * (Clock.now() - began));
    }
    return pool.prepared() != null;
  }

  private synchronized void rest(long nanos) throws InterruptedException {
    long end = Clock.now() + nanos;
    for (long left = nanos; left > 0 && !closed; left = end - Clock.now()) {
      TimeUnit.NANOSECONDS.timedWait(this, left);
    }
  }

  /** Begins no other preparation; gives the one that it waits for up. */
  @Override
  public void close() {
    long end = Clock.now() + TO_END_NANOS;
    synchronized (this) {
      closed = true;
      if (thread != null) {
        thread.interrupt();
      }
      try {
        for (long left = TO_END_NANOS; thread != null && left > 0; left = end - Clock.now()) {
          TimeUnit.NANOSECONDS.timedWait(this, left);
        }
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
  }
}
