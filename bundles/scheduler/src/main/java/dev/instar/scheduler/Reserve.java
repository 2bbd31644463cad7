package dev.instar.scheduler;

import dev.instar.api.InstarException;
import dev.instar.api.function.Limits;
import dev.instar.api.log.FunctionLogs;
import dev.instar.api.sandbox.GuestLog;
import dev.instar.api.sandbox.StartContext;
import java.util.HashMap;
import java.util.Map;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Starts sandboxes before they are called: as many as a function's label says, or as its calls of late have used up. Only where there is room that nobody needs: no call
 * waits, a quarter of the places stays free, and the memory limits of what was started and not called yet fit into a budget, of which one user has half.
 */
final class Reserve {
  private static final Logger LOG = LoggerFactory.getLogger(Reserve.class);
  private static final int USERS = 2;

  private final Desk desk;
  private final Watchdog watchdog;
  private final Supplier<FunctionLogs> logs;

  // Under the monitor, which is a leaf.
  private final Map<String, Long> byUser = new HashMap<>();
  private long total;

  Reserve(Desk desk, Watchdog watchdog, Supplier<FunctionLogs> logs) {
    this.desk = desk;
    this.watchdog = watchdog;
    this.logs = logs;
  }

  /** Begins to start what the pool wants and may have. Does not wait. */
  void look(Pool pool) {
    while (pool.wantsSpare() && charge(pool)) {
      Slot slot = desk.grantSpare(pool);
      if (slot == null) {
        give(pool);
        return;
      }
      slot.spare(true);
      try {
        GuestThread.startVirtual("instar-ready-" + slot.id(), () -> start(slot));
      } catch (Throwable e) {
        pool.spareFailed();
        slot.close();
        throw e;
      }
    }
  }

  private synchronized boolean charge(Pool pool) {
    String user = pool.version().name().user();
    long bytes = pool.version().spec().limits().memoryBytes();
    long most = desk.settings().readyBytes();
    if (total + bytes > most || byUser.getOrDefault(user, 0L) + bytes > most / USERS) {
      return false;
    }
    total += bytes;
    byUser.merge(user, bytes, Long::sum);
    return true;
  }

  private synchronized void give(Pool pool) {
    long bytes = pool.version().spec().limits().memoryBytes();
    total -= bytes;
    byUser.computeIfPresent(pool.version().name().user(), (user, had) -> had == bytes ? null : had - bytes);
  }

  /** Somebody uses it, or it is closed. From one thread at a time. */
  void used(Slot slot) {
    if (slot.spare()) {
      slot.spare(false);
      give(slot.pool());
    }
  }

  private void start(Slot slot) {
    Pool pool = slot.pool();
    Limits limits = pool.version().spec().limits();
    long end = Clock.in(Visit.shorter(limits.timeout(), desk.settings().maxCall()));
    Watchdog.Watch watch = watchdog.arm(end, () -> slot.kill(Slot.Cause.DEADLINE));
    FunctionLogs.Sink sink = open(slot, limits.logBytes());
    boolean started = false;
    try {
      slot.start(pool.prepared(), Clock.instant(end), Math.min(end, Clock.in(pool.lenderWait())),
          leases -> new StartContext(slot.id(), Clock.instant(end), sink == null ? GuestLog.NONE : sink, pool::makeRoom, leases));
      started = true;
    } catch (InstarException e) {
      // Its next call is told the same.
      LOG.info("A sandbox of {} could not be started ahead ({}): {}", pool.version().label(), e.code().code(), e.problem().detail());
    } catch (InterruptedException e) {
      LOG.debug("A sandbox of {} is not started ahead: it took too long, or its pool has gone", pool.version().label());
    } catch (Throwable e) {
      LOG.error("The backend {} failed to start a sandbox of {} ahead", pool.generation(), pool.version().label(), e);
    } finally {
      started &= watch.disarm();
      if (sink != null) {
        try {
          sink.close();
        } catch (RuntimeException e) {
          LOG.error("The log of {} could not be closed", pool.version().label(), e);
        }
      }
    }
    if (started && slot.killed() == null) {
      pool.release(slot);
    } else {
      pool.spareFailed();
      slot.close();
    }
  }

  private FunctionLogs.Sink open(Slot slot, long limit) {
    FunctionLogs now = logs.get();
    try {
      return now == null ? null : now.open(slot.pool().version(), slot.id(), limit);
    } catch (RuntimeException e) {
      LOG.error("The log of {} could not be opened", slot.pool().version().label(), e);
      return null;
    }
  }

  /** For tests: the bytes that are charged. */
  synchronized long total() {
    return total;
  }
}
