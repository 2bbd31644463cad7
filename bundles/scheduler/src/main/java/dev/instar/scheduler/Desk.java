package dev.instar.scheduler;

import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.log.FunctionLogs;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.PriorityQueue;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Predicate;
import java.util.function.Supplier;

/**
 * Gives sandboxes to calls: an idle one, the right to start one, or a place in the line.
 *
 * <h2>What is where</h2>
 * A {@link Pool} has the idle sandboxes and the waiting calls of one function version in one generation of a backend, under a lock of
 * its own. The desk has what pools share: the units of capacity of the node and of each generation (a sandbox needs one of each until it
 * is closed), and which pools have waiting calls.
 *
 * <h2>Paths</h2>
 * <ul>
 *   <li>Warm, nobody waits: {@link Pool#takeIdle} and {@link Pool#release} take the pool's lock, for a deque operation each (tens of
 *       nanoseconds), and read two volatile fields of the desk. Nothing else is shared.
 *   <li>All else (start, close, wait) takes the desk's lock. Nothing is started, closed, killed or waited for under it.
 * </ul>
 *
 * <h2>Order</h2>
 * Calls of one function are served in the order in which they began to wait, and so are calls of different functions that wait for the
 * node's capacity: {@link #dispatch} goes through the pools by the age of their first call. A released sandbox goes straight to its own
 * pool's first call, unless an older call elsewhere waits for capacity ({@link #blockedSince}): then it is evicted for that one. So a
 * function with a full line cannot keep the node's capacity to itself.
 *
 * <h2>Invariants</h2>
 * <ol>
 *   <li>{@code units} is the number of slots that have their unit; {@code units <= max-sandboxes} but for the time after the limit was
 *       lowered, and the same for each generation.
 *   <li>A pool has no idle sandbox while a call waits there, but for calls that want a cold one.
 *   <li>When the desk's lock is free, no waiting call could be served: whatever makes one servable (a release, a close, a cancelled wait,
 *       a retired pool, a parked in-process call, changed settings) dispatches afterwards.
 *   <li>No wake-up is lost between a release without the desk's lock and a dispatch: dispatch sets {@code blockedSince} to
 *       {@link #SETTLING} before it looks at the pools, a release makes its sandbox idle (under the pool's lock) before it reads
 *       {@code blockedSince}. So either dispatch sees the sandbox, or the release sees SETTLING and dispatches too.
 * </ol>
 *
 * <h2>Lock order</h2>
 * desk → one pool → in-process permits and threads; desk → waiting room. Never two pools at once, never a foreign call under any.
 */
final class Desk {
  /** No call waits for capacity. */
  static final long NOBODY = Long.MAX_VALUE;
  /** A dispatch is under way: whoever releases now must dispatch after it. */
  private static final long SETTLING = Long.MIN_VALUE;

  /** What was used within this is not closed for the sake of another user's memory. */
  private static final long IN_USE_NANOS = TimeUnit.SECONDS.toNanos(1);

  private final ReentrantLock lock = new ReentrantLock();
  private final Set<Pool> pools = ConcurrentHashMap.newKeySet();
  private final Set<Pool> hungry = new HashSet<>();
  private final Shelf shelf = new Shelf();
  private final Lenders lenders = new Lenders();
  private final Reserve reserve;
  /** By version. How many calls have ended, for those whose state is stored after so many; no pool lives as long. */
  private final ConcurrentHashMap<String, AtomicInteger> calls = new ConcurrentHashMap<>();
  private final AtomicInteger idle = new AtomicInteger();
  private volatile Settings settings;
  private volatile long blockedSince = NOBODY;
  private volatile int units;
  private long arrivals;

  /** @param logs may have none */
  Desk(Settings settings, Watchdog watchdog, Supplier<FunctionLogs> logs) {
    this.settings = settings;
    reserve = new Reserve(this, watchdog, logs);
  }

  Settings settings() {
    return settings;
  }

  /** New caps hold for what starts from now on; what is idle and too much goes now, what is busy when it comes back. */
  void apply(Settings changed) {
    settings = changed;
    trim();
    shelf.trim(changed.preparedBytes());
    settle();
  }

  void add(Pool pool) {
    pools.add(pool);
  }

  void remove(Pool pool) {
    pools.remove(pool);
    shelf.remove(pool);
  }

  Set<Pool> pools() {
    return pools;
  }

  /** What is prepared. */
  Shelf shelf() {
    return shelf;
  }

  /** What starts sandboxes before they are called. */
  Reserve reserve() {
    return reserve;
  }

  /** Who lends what sandboxes need of the host. */
  Lenders lenders() {
    return lenders;
  }

  /** How many calls of the version have ended: up to a number, see {@link Pool#served}. Kept until {@link #forgetCalls}. */
  AtomicInteger calls(FunctionVersion version) {
    return calls.computeIfAbsent(version.uid(), uid -> new AtomicInteger());
  }

  /** When all pools of the version are retired. */
  void forgetCalls(FunctionVersion version) {
    calls.remove(version.uid());
  }

  /** For tests. */
  int callCounts() {
    return calls.size();
  }

  int units() {
    return units;
  }

  int idle() {
    return idle.get();
  }

  void idle(int change) {
    idle.addAndGet(change);
  }

  /** The age of the oldest call that waits for capacity. */
  long blockedSince() {
    return blockedSince;
  }

  /** Whether more sandboxes live than may, since a cap was lowered. */
  boolean over(Generation generation) {
    Settings now = settings;
    return units > now.maxSandboxes() || generation.units() > now.maxSandboxesPerBackend();
  }

  /**
   * A slot of the pool for the visit: with a sandbox, or empty, to be started.
   *
   * @return null when the pool was retired meanwhile; the visit is then routed anew
   * @throws InstarException FUNCTION_BUSY, NODE_BUSY, TIMED_OUT
   */
  Slot acquire(Pool pool, Visit visit) throws InterruptedException {
    Slot warm = visit.cold() ? null : pool.takeIdle();
    if (warm != null) {
      return warm;
    }
    OfThread waiter = new OfThread(visit.cold());
    return join(pool, waiter, visit) ? await(pool, waiter, visit) : null;
  }

  /**
   * Puts a call in the pool's line and serves who can be served, which may be this one.
   *
   * @return false when the pool was retired meanwhile; the visit is then routed anew
   * @throws InstarException FUNCTION_BUSY, NODE_BUSY
   */
  boolean join(Pool pool, Waiter waiter, Visit visit) {
    lock.lock();
    try {
      if (!pool.enqueue(++arrivals, waiter)) {
        return false;
      }
      hungry.add(pool);
      dispatch();
      if (waiter.waits()) {
        try {
          visit.sit();
        } catch (InstarException full) {
          if (pool.withdraw(waiter)) {
            dispatch();
            throw full;
          }
        }
      }
      return true;
    } finally {
      lock.unlock();
    }
  }

  /** Wakes the thread that waits for it. */
  private static final class OfThread extends Waiter {
    private final Thread thread = Thread.currentThread();

    OfThread(boolean cold) {
      super(cold);
    }

    @Override
    void granted() {
      LockSupport.unpark(thread);
    }

    @Override
    void turnedAway() {
      LockSupport.unpark(thread);
    }
  }

  private Slot await(Pool pool, Waiter waiter, Visit visit) throws InterruptedException {
    long began = Clock.now();
    long until = Math.min(visit.deadline(), began + settings.queueWait().toNanos());
    boolean interrupted = false;
    while (waiter.waits()) {
      interrupted = Thread.interrupted();
      long left = until - Clock.now();
      if (interrupted || left <= 0) {
        if (cancel(pool, waiter)) {
          if (interrupted) {
            throw new InterruptedException();
          }
          throw Refusal.thrown(tooLong(pool, visit, until));
        }
        break;
      }
      LockSupport.parkNanos(this, left);
    }
    Slot slot = waiter.slot();
    if (interrupted) {
      // It was served at the same moment: what it was given goes back.
      if (slot != null) {
        slot.pool().giveBack(slot);
      }
      throw new InterruptedException();
    }
    return slot;
  }

  /** Takes a call out of the line; false when it was served or turned away before. */
  boolean cancel(Pool pool, Waiter waiter) {
    lock.lock();
    try {
      boolean mine = pool.withdraw(waiter);
      // It may have stood before one that can be served.
      dispatch();
      return mine;
    } finally {
      lock.unlock();
    }
  }

  /** What a call is told that has waited for a sandbox until this moment. */
  Problem tooLong(Pool pool, Visit visit, long until) {
    if (until >= visit.deadline()) {
      return visit.timedOut().problem();
    }
    return pool.full() ? Refusal.functionBusy(visit.version(), settings.queueWait()) : Refusal.nodeBusy(visit.version(), settings.queueWait());
  }

  /** Serves who can be served. */
  void settle() {
    lock.lock();
    try {
      dispatch();
    } finally {
      lock.unlock();
    }
  }

  /** A place and a unit for a sandbox that nobody has called; null where somebody may need them. */
  Slot grantSpare(Pool pool) {
    lock.lock();
    try {
      Settings now = settings;
      if (!hungry.isEmpty() || units >= spareBelow(now.maxSandboxes()) || pool.generation().units() >= spareBelow(now.maxSandboxesPerBackend())
          || idle.get() >= now.maxIdle()) {
        return null;
      }
      Slot slot = pool.grantSpare();
      if (slot != null) {
        units++;
        pool.generation().units(1);
      }
      return slot;
    } finally {
      lock.unlock();
    }
  }

  private static long spareBelow(int most) {
    return most * 3L / 4;
  }

  /** A slot's sandbox is closed: its place and unit are free. */
  void gone(Slot slot) {
    lock.lock();
    try {
      slot.pool().forget(slot);
      if (slot.hasUnit()) {
        units--;
        slot.pool().generation().units(-1);
      }
      dispatch();
    } finally {
      lock.unlock();
    }
  }

  /** Closes idle sandboxes, the longest idle first, until the caps hold again. With the lock, or two at once would close too many. */
  void trim() {
    List<Slot> surplus = new ArrayList<>();
    lock.lock();
    try {
      Set<Generation> generations = new HashSet<>();
      pools.forEach(pool -> generations.add(pool.generation()));
      for (Generation generation : generations) {
        int over = generation.units() - settings.maxSandboxesPerBackend();
        for (Slot victim; over > 0 && (victim = takeOldest(generation)) != null; over--) {
          surplus.add(victim);
        }
      }
      while (idle.get() > settings.maxIdle() || units - surplus.size() > settings.maxSandboxes()) {
        Slot victim = takeOldest(null);
        if (victim == null) {
          break;
        }
        surplus.add(victim);
      }
    } finally {
      lock.unlock();
    }
    surplus.forEach(Slot::closeAside);
  }

  /**
   * Closes a sandbox of the pool's backend that has been idle longest: of the same user if there is one, else of another if it has been idle
   * for a second. So whoever uses up memory in a loop loses his own first, and never those that others are using.
   */
  boolean makeRoom(Pool asking) {
    String user = asking.version().name().user();
    Slot victim = takeOldest(pool -> pool.generation() == asking.generation() && pool.version().name().user().equals(user), Clock.NEVER);
    if (victim == null) {
      victim = takeOldest(pool -> pool.generation() == asking.generation(), Clock.now() - IN_USE_NANOS);
    }
    if (victim == null) {
      return false;
    }
    victim.close();
    return true;
  }

  /** With the lock. Serves every call that can be served, oldest first. */
  private void dispatch() {
    if (hungry.isEmpty()) {
      blockedSince = NOBODY;
      return;
    }
    blockedSince = SETTLING;
    PriorityQueue<Turn> line = new PriorityQueue<>(Comparator.comparingLong(Turn::seq));
    for (Iterator<Pool> i = hungry.iterator(); i.hasNext();) {
      Pool pool = i.next();
      long seq = pool.firstWaiting();
      if (seq == NOBODY) {
        i.remove();
      } else {
        line.add(new Turn(seq, pool));
      }
    }
    long blocked = NOBODY;
    // Where no idle sandbox is left to evict: null stands for the whole node.
    Set<Generation> dry = new HashSet<>();
    for (Turn turn = line.poll(); turn != null; turn = line.poll()) {
      Pool pool = turn.pool();
      switch (serveFirst(pool, dry)) {
        case SERVED -> {
          long seq = pool.firstWaiting();
          if (seq == NOBODY) {
            hungry.remove(pool);
          } else {
            line.add(new Turn(seq, pool));
          }
        }
        case NO_CAPACITY -> blocked = Math.min(blocked, turn.seq());
        case NOT_NOW -> { }
      }
    }
    blockedSince = blocked;
  }

  private record Turn(long seq, Pool pool) {}

  private enum Service { SERVED, NO_CAPACITY, NOT_NOW }

  private Service serveFirst(Pool pool, Set<Generation> dry) {
    return switch (pool.serveIdle()) {
      case SERVED -> Service.SERVED;
      case WAITS -> Service.NOT_NOW;
      case REPLACES -> {
        Slot victim = pool.takeOldest();
        yield victim != null && replace(victim, pool) ? Service.SERVED : Service.NOT_NOW;
      }
      case STARTS -> {
        boolean room = units < settings.maxSandboxes();
        boolean backendRoom = pool.generation().units() < settings.maxSandboxesPerBackend();
        if (room && backendRoom) {
          yield start(pool) ? Service.SERVED : Service.NOT_NOW;
        }
        Generation where = backendRoom ? null : pool.generation();
        // A lowered cap must come down first: only as many as may are replaced.
        boolean over = units > settings.maxSandboxes() || pool.generation().units() > settings.maxSandboxesPerBackend();
        Slot victim = over || dry.contains(where) ? null : takeOldest(where);
        if (victim == null) {
          dry.add(where);
          yield Service.NO_CAPACITY;
        }
        yield replace(victim, pool) ? Service.SERVED : Service.NOT_NOW;
      }
    };
  }

  private boolean start(Pool pool) {
    if (!pool.grantNew(null)) {
      return false;
    }
    units++;
    pool.generation().units(1);
    return true;
  }

  private boolean replace(Slot victim, Pool pool) {
    if (!pool.grantNew(victim)) {
      victim.closeAside();
      return false;
    }
    victim.cedeUnit();
    victim.pool().generation().units(-1);
    pool.generation().units(1);
    return true;
  }

  /** Takes the sandbox that has been idle longest, of the generation or (null) of all. */
  private Slot takeOldest(Generation generation) {
    return takeOldest(pool -> generation == null || pool.generation() == generation, Clock.NEVER);
  }

  /** Takes the sandbox that has been idle longest in the pools that are asked for, if since before the given moment. */
  private Slot takeOldest(Predicate<Pool> wanted, long before) {
    while (true) {
      Pool oldest = null;
      long since = before;
      for (Pool pool : pools) {
        if (wanted.test(pool)) {
          long candidate = pool.oldestIdle();
          if (candidate < since) {
            since = candidate;
            oldest = pool;
          }
        }
      }
      if (oldest == null) {
        return null;
      }
      Slot slot = oldest.takeOldest();
      // Else a call took it in between: look again.
      if (slot != null) {
        return slot;
      }
    }
  }
}
