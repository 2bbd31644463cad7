package dev.instar.scheduler;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.lease.Lease;
import dev.instar.api.lease.LeaseRequest;
import dev.instar.api.lease.Leases;
import dev.instar.api.sandbox.Freezable;
import dev.instar.api.sandbox.PreparedFunction;
import dev.instar.api.sandbox.Sandbox;
import dev.instar.api.sandbox.StartContext;
import dev.instar.api.secret.SecretLease;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.function.Function;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A lease of the right to have one sandbox: of a place in its pool, and of a unit of the node's and the backend's capacity. It is given
 * before the sandbox exists and closes exactly once, with the sandbox.
 *
 * <pre>
 *   granted ──start──▶ busy ──Pool.release──▶ idle ──Pool.takeIdle or hand-over──▶ busy
 *      └───────────────────────┴──────close────┴──▶ closed (once; sandbox first, then what it had on loan, then place and unit)
 * </pre>
 * It owns what the sandbox has on loan of the host, from the moment that it is taken: a start that fails half-way leaves it to close.
 * Whoever holds it (the call that it was granted to, then the pool, then the next call) must either release or close it. {@link #kill}
 * comes from other threads and never from a holder's duty: a killed slot is never used again, and its holder closes it. The monitor
 * guards what kill, start and close see of each other and is a leaf: nothing is locked under it.
 */
final class Slot {
  private static final Logger LOG = LoggerFactory.getLogger(Slot.class);

  /** Why a sandbox was killed. */
  enum Cause { DEADLINE, INTERRUPTED, DRAINED, RESET_OVERDUE }

  private final Pool pool;
  private final String id;
  private final List<Lease> leases = new ArrayList<>(0);
  private Slot predecessor;
  private Sandbox sandbox;
  private Thread starter;
  private boolean closed;
  private volatile Cause killed;
  /** Under the desk's lock: whether it still has its unit of capacity, or another slot took it over. */
  private boolean unit = true;
  /** Under the pool's lock. */
  private long idleSince;
  /** Started for nobody, and nobody has used it yet. */
  private volatile boolean spare;
  /** What freezing and thawing see of each other; a leaf, held over those two foreign calls. */
  private final Object ice = new Object();
  private boolean resting;
  private boolean frozen;

  /** @param predecessor the sandbox that makes room for this one and is closed before this one starts; null when there was room */
  Slot(Pool pool, String id, Slot predecessor) {
    this.pool = pool;
    this.id = id;
    this.predecessor = predecessor;
  }

  Pool pool() {
    return pool;
  }

  String id() {
    return id;
  }

  /** The sandbox of a slot that one holds and that was started. */
  Sandbox sandbox() {
    return sandbox;
  }

  /** Whether there is no sandbox in it yet. */
  boolean empty() {
    return sandbox == null;
  }

  /** Whether its sandbox is of use: what was idle may have died (its process was killed by the kernel), or what it has on loan is not what it should be any more. */
  boolean alive() {
    try {
      return sandbox.reusable() && leases.stream().allMatch(Lease::current);
    } catch (RuntimeException e) {
      return false;
    }
  }

  /** Why it was killed; null when it was not. */
  Cause killed() {
    return killed;
  }

  /**
   * Takes the leases that its sandbox needs and starts it, on this thread. What fails leaves the slot to its holder, who closes it.
   *
   * @param context with the leases given
   * @throws InstarException what a lender or the backend refused with
   */
  void start(PreparedFunction prepared, Instant deadline, long until, Function<Leases, StartContext> context) throws InterruptedException {
    closePredecessor();
    synchronized (this) {
      if (killed != null) {
        throw new InterruptedException("killed before its start");
      }
      starter = Thread.currentThread();
    }
    Sandbox made = null;
    try {
      made = prepared.start(context.apply(borrow(deadline, until)));
    } finally {
      synchronized (this) {
        starter = null;
        sandbox = made;
        if (killed != null) {
          // The interrupt was ours and must not meet what this thread does next.
          Thread.interrupted();
        }
      }
    }
    if (killed != null) {
      throw new InterruptedException("killed during its start");
    }
  }

  private Leases borrow(Instant deadline, long until) throws InterruptedException {
    Set<String> kinds = pool.generation().description().leases();
    if (!kinds.isEmpty()) {
      pool.lenders().take(kinds, new LeaseRequest(id, pool.generation().name(), pool.version(), deadline), until, leases::add);
    }
    Leases lent = new Leases(leases);
    if (!pool.version().spec().secrets().isEmpty() && lent.find(SecretLease.class).isEmpty()) {
      // It was deployed on another backend; a function that goes on without its secrets may do harm.
      throw new InstarException(ErrorCode.SECRET_MISSING, "Sandboxes of the backend '" + pool.generation().name() + "' are given no secrets, and " + pool.version().label() + " has some.");
    }
    return lent;
  }

  /** Ends what runs in it, from any thread. The first cause counts. After close it does nothing. */
  void kill(Cause cause) {
    synchronized (this) {
      if (closed) {
        return;
      }
      if (killed == null) {
        killed = cause;
      }
      if (sandbox != null) {
        try {
          sandbox.kill();
        } catch (Throwable e) {
          LOG.error("Killing sandbox {} of {} failed", id, pool.version().label(), e);
        }
      } else if (starter != null) {
        starter.interrupt();
      }
    }
  }

  /** Closes the sandbox, then gives place and unit back. Takes as long as the sandbox's close, up to two seconds. Idempotent. */
  void close() {
    synchronized (this) {
      if (closed) {
        return;
      }
      closed = true;
    }
    closePredecessor();
    if (sandbox != null) {
      try {
        sandbox.close();
      } catch (Throwable e) {
        LOG.error("Closing sandbox {} of {} failed", id, pool.version().label(), e);
      }
    }
    for (Lease lease : leases.reversed()) {
      try {
        lease.close();
      } catch (Throwable e) {
        LOG.error("Giving back what sandbox {} of {} had on loan failed", id, pool.version().label(), e);
      }
    }
    pool.gone(this);
  }

  /** The same on a thread of its own, for whom the wait is not. The pool counts the slot until it is closed, so a drain waits for it. */
  void closeAside() {
    GuestThread.startVirtual("instar-close-" + id, this::close);
  }

  private void closePredecessor() {
    Slot before = predecessor;
    predecessor = null;
    if (before != null) {
      GuestThread.ordinarily(before::close);
    }
  }

  /** From now on it may be frozen: nobody has it. */
  void rest() {
    synchronized (ice) {
      resting = true;
    }
  }

  /** Stops what runs in it, if nobody has it. */
  void freeze() {
    synchronized (ice) {
      if (!resting || pool.generation().inProcess() || !(sandbox instanceof Freezable freezable)) {
        return;
      }
      // Once, whatever comes of it.
      resting = false;
      try {
        frozen = freezable.freeze();
      } catch (RuntimeException e) {
        LOG.warn("Sandbox {} of {} could not be frozen", id, pool.version().label(), e);
      }
    }
  }

  /** Whoever has it uses it from now on: lets it go on where it was frozen. False when that fails, and it has to be closed. */
  boolean wake() {
    synchronized (ice) {
      resting = false;
      if (!frozen) {
        return true;
      }
      frozen = false;
      try {
        ((Freezable) sandbox).thaw();
        return true;
      } catch (RuntimeException e) {
        LOG.warn("Sandbox {} of {} could not be thawed", id, pool.version().label(), e);
        return false;
      }
    }
  }

  void spare(boolean is) {
    spare = is;
  }

  boolean spare() {
    return spare;
  }

  /** Under the desk's lock. Another slot takes this one's unit; the caller closes this one. */
  void cedeUnit() {
    unit = false;
  }

  /** Under the desk's lock. */
  boolean hasUnit() {
    return unit;
  }

  /** Under the pool's lock. */
  void idleSince(long moment) {
    idleSince = moment;
  }

  long idleSince() {
    return idleSince;
  }
}
