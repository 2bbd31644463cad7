package dev.instar.scheduler;

import dev.instar.api.Digest;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.invocation.BackendStatus;
import dev.instar.api.sandbox.BackendDescription;
import dev.instar.api.sandbox.Probe;
import dev.instar.api.sandbox.SandboxBackend;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.Consumer;

/**
 * One arrival of a backend as a service, with the pools that run in it. {@code ACTIVE → DRAINING}, once: a draining generation makes no
 * new pool and retires those that it has, so that every call that has no sandbox yet goes elsewhere; it is empty when the last
 * pool has ended, and nothing of the backend is in use from then on.
 */
final class Generation {
  private record Key(String uid, int variant) {}

  /** Whoever may deploy can have as many refused as he likes. */
  private static final int MOST_REFUSED = 10_000;

  private final Desk desk;
  private final SandboxBackend backend;
  private final BackendDescription description;
  private final long number;
  private final int ranking;
  private final ConcurrentHashMap<Key, Pool> pools = new ConcurrentHashMap<>();
  /** Those too that are retired and not yet ended. */
  private final Set<Pool> unended = ConcurrentHashMap.newKeySet();
  private final Set<Digest> refused = ConcurrentHashMap.newKeySet();
  private final AtomicLong sandboxes = new AtomicLong();
  private final LongAdder served = new LongAdder();
  private volatile Probe probe = new Probe.Missing("its probe has not ended yet", "Wait a moment.");
  /** While calls move here from another; null when all come. */
  private volatile Succession succession;
  private volatile boolean leaving;
  private boolean draining;
  /** Written under the desk's lock. */
  private volatile int units;

  Generation(Desk desk, SandboxBackend backend, BackendDescription description, long number, int ranking) {
    this.desk = desk;
    this.backend = backend;
    this.description = description;
    this.number = number;
    this.ranking = ranking;
  }

  SandboxBackend backend() {
    return backend;
  }

  BackendDescription description() {
    return description;
  }

  String name() {
    return description.name();
  }

  long number() {
    return number;
  }

  int ranking() {
    return ranking;
  }

  boolean inProcess() {
    return description.shape() == BackendDescription.Shape.IN_PROCESS;
  }

  /** It has refused an image that another backend may run. */
  void refuse(Digest image) {
    if (refused.size() >= MOST_REFUSED) {
      // Each is only refused again.
      refused.clear();
    }
    refused.add(image);
  }

  boolean refuses(Digest image) {
    return !refused.isEmpty() && refused.contains(image);
  }

  /** How many of a pool's calls can run at one time. */
  int atOnce() {
    return inProcess() ? desk.settings().inProcessThreads() : Integer.MAX_VALUE;
  }

  void probe(Probe probe) {
    this.probe = probe;
  }

  Probe probe() {
    return probe;
  }

  /** @param from whose calls it takes bit by bit; null for all at once */
  void succeeds(Succession from) {
    succession = from;
  }

  /** Null when all calls come here. */
  Succession succession() {
    return succession;
  }

  /** Begins to drain: routes made from now on leave it out. */
  void leave() {
    leaving = true;
  }

  /** Whether calls may go there. */
  boolean open() {
    return !leaving && probe instanceof Probe.Usable;
  }

  int units() {
    return units;
  }

  /** Under the desk's lock. */
  void units(int change) {
    units += change;
  }

  String nextSandboxId() {
    return name() + "-" + number + "-" + sandboxes.incrementAndGet();
  }

  void served() {
    served.increment();
  }

  long servedCalls() {
    return served.sum();
  }

  /** The pool of a version's variant, made if there is none; null when this generation drains. */
  Pool pool(FunctionVersion version, int variant) {
    Key key = new Key(version.uid(), variant);
    Pool pool = pools.get(key);
    return pool != null ? pool : make(key, version);
  }

  /** The pool of a version's variant; null when there is none. */
  Pool present(FunctionVersion version, int variant) {
    return pools.get(new Key(version.uid(), variant));
  }

  /** The lock makes sure that no pool is made after {@link #retireAll} has gone through them. */
  private synchronized Pool make(Key key, FunctionVersion version) {
    if (draining) {
      return null;
    }
    return pools.computeIfAbsent(key, k -> {
      Pool pool = new Pool(desk, this, version, key.variant());
      unended.add(pool);
      desk.add(pool);
      return pool;
    });
  }

  /** Those that give something out. */
  List<Pool> pools() {
    return List.copyOf(pools.values());
  }

  /** The pools of a version. */
  void each(FunctionVersion version, Consumer<Pool> action) {
    for (int i = 0; i < version.spec().variants().size(); i++) {
      Pool pool = pools.get(new Key(version.uid(), i));
      if (pool != null) {
        action.accept(pool);
      }
    }
  }

  /** A pool gives nothing out any more; the next call makes another. */
  void retired(Pool pool) {
    pools.remove(new Key(pool.version().uid(), pool.index()), pool);
  }

  /** A pool has closed all that it had. */
  synchronized void ended(Pool pool) {
    unended.remove(pool);
    desk.remove(pool);
    notifyAll();
  }

  /** Makes and serves nothing new. After {@link #leave} and new routes, so that who is turned away here finds another place at once. */
  void retireAll() {
    leave();
    synchronized (this) {
      draining = true;
    }
    unended.forEach(Pool::retire);
  }

  void kill(Slot.Cause cause) {
    unended.forEach(pool -> pool.kill(cause));
  }

  /** Waits until everything in it is closed; false when the deadline came first, or the thread was interrupted (which stays set). */
  synchronized boolean awaitEmpty(long deadline) {
    while (!unended.isEmpty()) {
      long millis = (deadline - Clock.now()) / 1_000_000;
      if (millis <= 0) {
        return false;
      }
      try {
        wait(millis);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        return false;
      }
    }
    return true;
  }

  BackendStatus status() {
    int busy = 0;
    int idle = 0;
    for (Pool pool : unended) {
      busy += pool.busyCount();
      idle += pool.idleCount();
    }
    return new BackendStatus(description, probe, number, leaving ? BackendStatus.State.DRAINING : BackendStatus.State.ACTIVE, busy, idle,
        served.sum());
  }

  @Override
  public String toString() {
    return name() + " (generation " + number + ")";
  }
}
