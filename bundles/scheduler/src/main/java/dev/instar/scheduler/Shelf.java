package dev.instar.scheduler;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.Set;

/**
 * What is prepared on this node, and its bound. Prepared code takes memory for classes (measured for WebAssembly: five times the module's
 * bytes), and an image of the initialised memory a descriptor and a mapping, so of ten thousand functions that were each called once only
 * some can stay. Over the bound goes what has no sandbox and no call, the longest unused first; but for the most recently used one, however
 * large, or a deployment would throw away what it has just made. A backend makes it again when it is called.
 *
 * <p>Lock order: the monitor, then one pool. Pools are retired without it.
 */
final class Shelf {
  /** What a small image counts: a descriptor, a mapping and a class loader are not free. */
  static final long LEAST = 64L << 10;

  private final Map<Pool, Long> charges = new HashMap<>();
  private long total;

  /** A pool has something prepared, of an image of so many bytes. */
  synchronized void add(Pool pool, long bytes) {
    long charge = Math.max(LEAST, bytes);
    charges.put(pool, charge);
    total += charge;
  }

  /** It has not any more. Idempotent. */
  synchronized void remove(Pool pool) {
    Long charge = charges.remove(pool);
    total -= charge == null ? 0 : charge;
  }

  /** Retires what is unused until the rest is within the limit. */
  void trim(long limit) {
    surplus(limit).forEach(Pool::retire);
  }

  private synchronized List<Pool> surplus(long limit) {
    if (total <= limit) {
      return List.of();
    }
    record Unused(Pool pool, long since) {}
    // Mostly one goes, for one that has come: not worth sorting all.
    PriorityQueue<Unused> unused = new PriorityQueue<>(Comparator.comparingLong(Unused::since));
    for (Pool pool : charges.keySet()) {
      long since = pool.unusedSince();
      if (since != Clock.NEVER) {
        unused.add(new Unused(pool, since));
      }
    }
    List<Pool> surplus = new ArrayList<>();
    while (unused.size() > 1 && total > limit) {
      Pool oldest = unused.remove().pool();
      surplus.add(oldest);
      remove(oldest);
    }
    return surplus;
  }

  /** For tests: the bytes that are counted. */
  synchronized long total() {
    return total;
  }

  /** For tests. */
  synchronized Set<Pool> pools() {
    return Set.copyOf(charges.keySet());
  }
}
