package dev.instar.scheduler;

import dev.instar.api.InstarException;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.function.Image;
import dev.instar.api.function.Readiness;
import dev.instar.api.function.SnapshotPolicy;
import dev.instar.api.function.Variant;
import dev.instar.api.sandbox.Checkpointable;
import dev.instar.api.sandbox.PreparedFunction;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.ReentrantLock;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One variant of one function version in one generation of a backend: what was prepared, its sandboxes, and the calls that wait for one.
 *
 * <pre>
 *   open ──retire──▶ retired ──last sandbox closed, nothing pinned──▶ ended (prepared function closed)
 * </pre>
 * A retired pool gives nothing out: its waiting calls are sent back to be routed anew, its idle sandboxes are closed, its busy ones when
 * their call ends. The lock is held for a few operations on collections, never over a foreign call. See {@link Desk} for the order of locks.
 */
final class Pool {
  private static final Logger LOG = LoggerFactory.getLogger(Pool.class);

  private static final long SPARE_PAUSE_NANOS = 500_000_000;
  private static final int MOST_FAILURES = 7;
  /** What goes of the demand with each second without as many calls. */
  private static final int DEMAND_PART = 8;

  private final Desk desk;
  private final Generation generation;
  private final FunctionVersion version;
  private final int index;
  private final ReentrantLock lock = new ReentrantLock();
  private volatile PreparedFunction prepared;
  private volatile boolean retired;
  private volatile boolean replaced;
  /** How many are to be there before they are called, by the label. */
  private final int least;
  /** Its sandboxes take one call each. */
  private volatile boolean usedUp;
  /** Of the thread of the preparation. */
  private volatile long imageBytes;
  /** Where the policy asks for it; set before {@link #prepared}. */
  private AtomicInteger calls;
  /** Where the policy asks for it: when the last call ended. */
  private volatile long lastCall;

  // All below: under the lock.
  /** The most recently used first. */
  private final ArrayDeque<Slot> idle = new ArrayDeque<>();
  private final TreeMap<Long, Waiter> waiters = new TreeMap<>();
  /** Every slot from its grant until its sandbox is closed. */
  private final Set<Slot> slots = new HashSet<>();
  private int parked;
  private int pins;
  private boolean ended;
  /** Those that are being started for nobody. */
  private final Set<Slot> spares = new HashSet<>();
  /** The most calls that ran at one time since the last sweep, and of late. */
  private int peak;
  private int demand;
  private int spareFailures;
  private long spareAfter = Long.MIN_VALUE;
  private Preparation preparation;
  private long lastUsed = Clock.now();
  private boolean checkpointBegun;
  /** That of the checkpoint that is under way. */
  private Thread storing;

  Pool(Desk desk, Generation generation, FunctionVersion version, int index) {
    this.desk = desk;
    this.generation = generation;
    this.version = version;
    this.index = index;
    least = least(version);
  }

  private static int least(FunctionVersion version) {
    try {
      return Readiness.least(version.spec().labels());
    } catch (InstarException e) {
      // The gateway refuses it; a version that came another way does without.
      return 0;
    }
  }

  Generation generation() {
    return generation;
  }

  FunctionVersion version() {
    return version;
  }

  Variant variant() {
    return version.spec().variants().get(index);
  }

  /** Which of the version's variants it runs. */
  int index() {
    return index;
  }

  /** What was prepared; null before. A slot or a pin keeps it open. */
  PreparedFunction prepared() {
    return prepared;
  }

  boolean retired() {
    return retired;
  }

  /** Another version answers calls now (or this one does again). */
  void replaced(boolean is) {
    replaced = is;
  }

  boolean replaced() {
    return replaced;
  }

  Lenders lenders() {
    return desk.lenders();
  }

  /** How long a start waits for somebody who lends what it needs. */
  Duration lenderWait() {
    return desk.settings().backendWait();
  }

  // ---- the warm path

  /** The most recently used idle sandbox, unless somebody waits already. Null when there is none. */
  Slot takeIdle() {
    lock.lock();
    try {
      count();
      return retired || !waiters.isEmpty() ? null : pollIdle();
    } finally {
      lock.unlock();
    }
  }

  /** Takes back a slot whose sandbox is ready for a call of anybody who may call this version: reset where that is possible. */
  void release(Slot slot) {
    Slot surplus = null;
    boolean others;
    lock.lock();
    try {
      if (spares.remove(slot)) {
        spareFailures = 0;
      }
      others = !waiters.isEmpty();
      if (retired || desk.over(generation)) {
        surplus = slot;
      } else {
        Waiter first = others ? waiters.firstEntry().getValue() : null;
        if (first != null && !first.cold() && first.seq() <= desk.blockedSince()) {
          waiters.pollFirstEntry();
          first.grant(slot);
          return;
        }
        slot.idleSince(lastUsed = Clock.now());
        slot.rest();
        idle.addFirst(slot);
        desk.idle(1);
        if (!others && idle.size() > desk.settings().maxIdlePerFunction()) {
          surplus = idle.pollLast();
          desk.idle(-1);
        }
      }
    } finally {
      lock.unlock();
    }
    if (surplus != null) {
      surplus.closeAside();
    }
    if (others || desk.blockedSince() != Desk.NOBODY) {
      desk.settle();
    }
    if (desk.idle() > desk.settings().maxIdle()) {
      desk.trim();
    }
  }

  /** Takes back a slot that was given to a call which did not use it. */
  void giveBack(Slot slot) {
    if (slot.empty()) {
      slot.close();
    } else {
      release(slot);
    }
  }

  // ---- what the desk asks, with its lock

  /** What the first waiting call needs. */
  enum Need { SERVED, WAITS, STARTS, REPLACES }

  /** Puts a call in the line; false when the pool is retired. */
  boolean enqueue(long seq, Waiter waiter) {
    lock.lock();
    try {
      if (retired) {
        return false;
      }
      waiter.place(seq);
      waiters.put(seq, waiter);
      return true;
    } finally {
      lock.unlock();
    }
  }

  /** Takes a call out of the line; false when it was served or turned away before. */
  boolean withdraw(Waiter waiter) {
    lock.lock();
    try {
      return waiters.remove(waiter.seq(), waiter);
    } finally {
      lock.unlock();
    }
  }

  /** The age of the first waiting call, or {@link Desk#NOBODY}. */
  long firstWaiting() {
    lock.lock();
    try {
      return waiters.isEmpty() ? Desk.NOBODY : waiters.firstKey();
    } finally {
      lock.unlock();
    }
  }

  /** Gives the first waiting call an idle sandbox, if that is what it wants, or else says what it needs. */
  Need serveIdle() {
    lock.lock();
    try {
      if (waiters.isEmpty()) {
        return Need.WAITS;
      }
      Waiter first = waiters.firstEntry().getValue();
      if (!first.cold()) {
        Slot slot = pollIdle();
        if (slot != null) {
          waiters.pollFirstEntry();
          first.grant(slot);
          return Need.SERVED;
        }
      }
      if (slots.size() >= version.spec().limits().concurrency()) {
        return first.cold() && !idle.isEmpty() ? Need.REPLACES : Need.WAITS;
      }
      // More sandboxes than can run at one time would only wait for a thread; those that wait for their caller need none.
      return slots.size() - idle.size() - parked < generation.atOnce() ? Need.STARTS : Need.WAITS;
    } finally {
      lock.unlock();
    }
  }

  /** Gives the first waiting call the right to start a sandbox. */
  boolean grantNew(Slot predecessor) {
    lock.lock();
    try {
      if (waiters.isEmpty()) {
        return false;
      }
      Slot slot = new Slot(this, generation.nextSandboxId(), predecessor);
      slots.add(slot);
      count();
      waiters.pollFirstEntry().getValue().grant(slot);
      return true;
    } finally {
      lock.unlock();
    }
  }

  long oldestIdle() {
    lock.lock();
    try {
      return idle.isEmpty() ? Clock.NEVER : idle.peekLast().idleSince();
    } finally {
      lock.unlock();
    }
  }

  /** Closes an idle sandbox of this backend for this pool, where preparing or a sandbox needs what it holds. */
  boolean makeRoom() {
    AtomicBoolean made = new AtomicBoolean();
    GuestThread.ordinarily(() -> made.set(desk.makeRoom(this)));
    return made.get();
  }

  /** The sandbox that has been idle longest; null when there is none. */
  Slot takeOldest() {
    lock.lock();
    try {
      Slot slot = idle.pollLast();
      if (slot != null) {
        desk.idle(-1);
      }
      return slot;
    } finally {
      lock.unlock();
    }
  }

  void forget(Slot slot) {
    lock.lock();
    try {
      slots.remove(slot);
      spares.remove(slot);
      lastUsed = Clock.now();
    } finally {
      lock.unlock();
    }
  }

  // ---- what is started before it is called

  /** With the lock. */
  private void count() {
    if (usedUp) {
      peak = Math.max(peak, slots.size() - idle.size() - spares.size());
    }
  }

  /** A sandbox has answered and can't be used again: the next call wants another, and gets it quicker when it is there. */
  void usedUp() {
    lock.lock();
    try {
      usedUp = true;
      peak = Math.max(peak, 1);
    } finally {
      lock.unlock();
    }
  }

  void refill() {
    desk.reserve().look(this);
  }

  /** Whether there may be anything to start ahead. Cheap. */
  boolean hasReserve() {
    return (least > 0 || usedUp) && !generation.inProcess();
  }

  /** For people. */
  String reserve() {
    return usedUp ? "as many as calls of late have used up" + (least > 0 ? ", at least " + least : "") : Integer.toString(least);
  }

  boolean wantsSpare() {
    if (!hasReserve() || replaced || retired || prepared == null) {
      return false;
    }
    lock.lock();
    try {
      int there = idle.size() + spares.size();
      return there < Math.max(least, Math.max(demand, peak)) && there < desk.settings().maxIdlePerFunction() && waiters.isEmpty()
          && slots.size() < version.spec().limits().concurrency() && spareAfter <= Clock.now();
    } finally {
      lock.unlock();
    }
  }

  /** With the desk's lock: a slot for a sandbox that nobody has called; null when none is wanted any more. */
  Slot grantSpare() {
    lock.lock();
    try {
      if (retired || !wantsSpare()) {
        return null;
      }
      Slot slot = new Slot(this, generation.nextSandboxId(), null);
      slots.add(slot);
      spares.add(slot);
      return slot;
    } finally {
      lock.unlock();
    }
  }

  /** One could not be started: the next try comes later, and ever later. */
  void spareFailed() {
    lock.lock();
    try {
      spareFailures = Math.min(spareFailures + 1, MOST_FAILURES);
      spareAfter = Clock.now() + (SPARE_PAUSE_NANOS << spareFailures);
    } finally {
      lock.unlock();
    }
  }

  /** Stops what has been idle for the time after which that is done. */
  void freeze(long now) {
    long after = desk.settings().freeze().toNanos();
    if (after == 0) {
      return;
    }
    List<Slot> resting;
    lock.lock();
    try {
      resting = idle.stream().filter(slot -> slot.idleSince() + after <= now).toList();
    } finally {
      lock.unlock();
    }
    resting.forEach(Slot::freeze);
  }

  // ---- the state that a policy has stored

  private SnapshotPolicy policy() {
    return version.spec().snapshot();
  }

  /** A call has ended, however it did. On the warm path: what it counts is counted for the policies that ask for it, and as far as they do. */
  void served() {
    generation.served();
    switch (policy()) {
      case SnapshotPolicy.AfterCalls after -> {
        if (calls != null && calls.get() < after.calls()) {
          calls.incrementAndGet();
        }
      }
      case SnapshotPolicy.OnIdle _ -> lastCall = Clock.now();
      case SnapshotPolicy.AtDeploy _, SnapshotPolicy.Never _ -> { }
    }
  }

  /** Whether the policy says that what was prepared be stored now, and it was not asked to before. */
  boolean checkpointDue(long now) {
    if (!(prepared instanceof Checkpointable state) || !state.isPending()) {
      return false;
    }
    lock.lock();
    try {
      return !retired && !checkpointBegun && switch (policy()) {
        case SnapshotPolicy.AtDeploy _ -> true;
        case SnapshotPolicy.AfterCalls after -> calls != null && calls.get() >= after.calls();
        case SnapshotPolicy.OnIdle _ -> slots.size() == idle.size() && waiters.isEmpty() && pins == 0 && lastCall + keep() <= now;
        case SnapshotPolicy.Never _ -> false;
      };
    } finally {
      lock.unlock();
    }
  }

  /** Keeps what was prepared open while the thread stores it. False when it must not begin. */
  boolean beginCheckpoint(Thread thread) {
    lock.lock();
    try {
      if (retired) {
        return false;
      }
      checkpointBegun = true;
      storing = thread;
      pins++;
      return true;
    } finally {
      lock.unlock();
    }
  }

  /** Its thread has ended. */
  void endCheckpoint() {
    lock.lock();
    try {
      storing = null;
    } finally {
      lock.unlock();
    }
    unpin();
  }

  // ---- the rest of its life

  /** A slot's sandbox is closed. */
  void gone(Slot slot) {
    desk.reserve().used(slot);
    desk.gone(slot);
    endIfDone();
  }

  /** An in-process call waits for its caller's bytes: another may run meanwhile. */
  void park() {
    boolean wake;
    lock.lock();
    try {
      parked++;
      wake = !waiters.isEmpty();
    } finally {
      lock.unlock();
    }
    if (wake) {
      desk.settle();
    }
  }

  void unpark() {
    lock.lock();
    try {
      parked--;
    } finally {
      lock.unlock();
    }
  }

  /** Whether every sandbox that the function may have is there. */
  boolean full() {
    lock.lock();
    try {
      return slots.size() >= version.spec().limits().concurrency();
    } finally {
      lock.unlock();
    }
  }

  /**
   * Joins the preparation that is under way, or begins one.
   *
   * @return null when it has been prepared already, or the pool is retired
   */
  Preparation prepare(Preparations preparations) {
    Preparation mine;
    lock.lock();
    try {
      if (prepared != null || retired) {
        return null;
      }
      if (preparation != null) {
        return preparation;
      }
      mine = preparation = new Preparation(this);
      pins++;
    } finally {
      lock.unlock();
    }
    preparations.begin(mine);
    return mine;
  }

  /** What the preparation that is under way makes its result of. */
  void preparing(Image image) {
    imageBytes = image.size();
  }

  /** The preparation has ended, with a result or (null) without; the next call begins another. */
  void prepared(PreparedFunction result) {
    if (result != null) {
      // Before the unpin, after which the pool may end and be taken from the shelf.
      desk.shelf().add(this, imageBytes);
    }
    lock.lock();
    try {
      // Not for one that is retired, whose version may have been removed: nobody would forget them.
      if (!retired && policy() instanceof SnapshotPolicy.AfterCalls) {
        calls = desk.calls(version);
      }
      lastCall = lastUsed = Clock.now();
      prepared = result;
      preparation = null;
    } finally {
      lock.unlock();
    }
    unpin();
    desk.shelf().trim(desk.settings().preparedBytes());
    if (result != null && hasReserve()) {
      desk.reserve().look(this);
    }
  }

  /** Keeps what was prepared open for somebody who has no slot. False when the pool is retired. */
  boolean pin() {
    lock.lock();
    try {
      if (retired) {
        return false;
      }
      pins++;
      lastUsed = Clock.now();
      return true;
    } finally {
      lock.unlock();
    }
  }

  void unpin() {
    lock.lock();
    try {
      pins--;
    } finally {
      lock.unlock();
    }
    endIfDone();
  }

  /** Since when what was prepared has had no sandbox and no call, or {@link Clock#NEVER}. */
  long unusedSince() {
    lock.lock();
    try {
      return unused() && !retired ? lastUsed : Clock.NEVER;
    } finally {
      lock.unlock();
    }
  }

  private boolean unused() {
    return slots.isEmpty() && waiters.isEmpty() && pins == 0;
  }

  /** How long a sandbox may be idle. */
  private long keep() {
    Settings settings = desk.settings();
    return (replaced ? settings.idleReplaced() : settings.idle()).toNanos();
  }

  /** Closes what has been idle too long; retires the pool when nobody has needed it for the time that preparations are kept. */
  void expire(long now) {
    long keep = keep();
    List<Slot> old = new ArrayList<>();
    boolean unused;
    lock.lock();
    try {
      demand = Math.max(peak, demand - Math.ceilDiv(demand, DEMAND_PART));
      // Those that go on running are as many as they were, though none of them begins.
      peak = 0;
      count();
      int kept = replaced ? 0 : least;
      while (idle.size() > kept && idle.peekLast().idleSince() + keep <= now) {
        old.add(idle.pollLast());
      }
      desk.idle(-old.size());
      unused = unused() && lastUsed + desk.settings().prepared().toNanos() <= now;
    } finally {
      lock.unlock();
    }
    old.forEach(Slot::closeAside);
    if (unused) {
      retire();
    }
  }

  /** Gives nothing out any more. Idempotent. */
  void retire() {
    List<Slot> closing;
    Thread stored;
    lock.lock();
    try {
      retired = true;
      stored = storing;
      closing = new ArrayList<>(idle);
      idle.clear();
      desk.idle(-closing.size());
      waiters.values().forEach(Waiter::turnAway);
      waiters.clear();
    } finally {
      lock.unlock();
    }
    generation.retired(this);
    if (stored != null) {
      // Outside the lock: an interrupt closes the channel that the thread is in, which may take time.
      stored.interrupt();
    }
    closing.forEach(Slot::closeAside);
    endIfDone();
  }

  /** Kills what runs, for a drain that takes too long. */
  void kill(Slot.Cause cause) {
    List<Slot> running;
    Preparation preparing;
    lock.lock();
    try {
      running = List.copyOf(slots);
      preparing = preparation;
    } finally {
      lock.unlock();
    }
    running.forEach(slot -> slot.kill(cause));
    if (preparing != null) {
      preparing.interrupt();
    }
  }

  int busyCount() {
    lock.lock();
    try {
      return slots.size() - idle.size();
    } finally {
      lock.unlock();
    }
  }

  int idleCount() {
    lock.lock();
    try {
      return idle.size();
    } finally {
      lock.unlock();
    }
  }

  int waitingCount() {
    lock.lock();
    try {
      return waiters.size();
    } finally {
      lock.unlock();
    }
  }

  private Slot pollIdle() {
    Slot slot = idle.pollFirst();
    if (slot != null) {
      desk.idle(-1);
    }
    return slot;
  }

  private void endIfDone() {
    PreparedFunction done;
    lock.lock();
    try {
      if (!retired || ended || !slots.isEmpty() || pins > 0) {
        return;
      }
      ended = true;
      done = prepared;
    } finally {
      lock.unlock();
    }
    if (done != null) {
      try {
        done.close();
      } catch (Throwable e) {
        LOG.error("Closing what was prepared for {} failed", version.label(), e);
      }
    }
    generation.ended(this);
  }
}
