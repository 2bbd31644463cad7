package dev.instar.gateway;

import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicLongFieldUpdater;

/**
 * The heap that bodies and answers hold at one time, for as long as their exchanges last. Thousands of callers who each send 64 KiB and stop would
 * fill it otherwise: what a caller sends costs it nothing to leave there.
 *
 * <p>Counted are the arrays that are there, not the lengths that callers declare. The first {@value #FREE} bytes are not counted: an exchange
 * costs the node as much in any case, and the number of exchanges has a limit of its own; so an ordinary call touches no shared counter.
 */
final class HeldBytes {
  /** Arrays up to this length are not counted. */
  static final int FREE = 4 << 10;

  private final long budget;
  private final AtomicLong held = new AtomicLong();

  HeldBytes(long budget) {
    this.budget = budget;
  }

  /** A quarter of the heap: the collector needs room, and so do the functions' instances. */
  static HeldBytes ofHeap() {
    return new HeldBytes(Runtime.getRuntime().maxMemory() / 4);
  }

  /** Bytes that are held now. */
  long held() {
    return held.get();
  }

  Lease lease() {
    return new Lease(this);
  }

  private boolean take(long bytes) {
    if (held.addAndGet(bytes) <= budget) {
      return true;
    }
    held.addAndGet(-bytes);
    return false;
  }

  /**
   * What one exchange holds. A sandbox that was given up may still write while the exchange ends, so any thread may call any method; what comes after
   * {@link #close} is refused.
   */
  static final class Lease implements AutoCloseable {
    private static final AtomicLongFieldUpdater<Lease> BYTES = AtomicLongFieldUpdater.newUpdater(Lease.class, "bytes");
    private static final long CLOSED = -1;

    private final HeldBytes of;
    private volatile long bytes;

    private Lease(HeldBytes of) {
      this.of = of;
    }

    /** An array of one length takes the place of another (0: none). False, and nothing changed, when there is no room for that. */
    boolean resize(int from, int to) {
      long more = counted(to) - counted(from);
      if (more == 0) {
        return true;
      }
      if (more > 0 && !of.take(more)) {
        return false;
      }
      while (true) {
        long now = bytes;
        if (now == CLOSED) {
          if (more > 0) {
            of.held.addAndGet(-more);
          }
          return false;
        }
        if (BYTES.compareAndSet(this, now, now + more)) {
          if (more < 0) {
            of.held.addAndGet(more);
          }
          return true;
        }
      }
    }

    private static long counted(int length) {
      return length <= FREE ? 0 : length;
    }

    /** Gives everything back, once. */
    @Override
    public void close() {
      long last = BYTES.getAndSet(this, CLOSED);
      if (last > 0) {
        of.held.addAndGet(-last);
      }
    }
  }
}
