package dev.instar.backend.wasm.memory;

import dev.instar.api.InstarException;
import dev.instar.wasi.pages.LibC;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Mapped memories kept for the next guest of the same image: to take one saves the mapping, about three system calls.
 *
 * <p>A memory that was taken is the taker's until it is closed. Its close resets the mapping, on the closing thread, and only then is it anybody
 * else's; each take wraps it in a memory of its own, so that whoever still holds a closed one meets an exception and not the next guest's bytes.
 * Thread-safe; no lock is held during a system call.
 */
public final class MemoryPool implements AutoCloseable {
  private final int idlePerImage;
  private final int idleInAll;
  private final MappingBudget budget;
  private final AtomicInteger leased = new AtomicInteger();
  private final Map<MemoryImage, Deque<Region>> idle = new HashMap<>();
  private int idleCount;
  private boolean closed;

  /**
   * @param idlePerImage how many unused memories it keeps of one image
   * @param idleInAll how many it keeps of all images together
   */
  public MemoryPool(int idlePerImage, int idleInAll) {
    this(idlePerImage, idleInAll, MappingBudget.OF_PROCESS);
  }

  MemoryPool(int idlePerImage, int idleInAll, MappingBudget budget) {
    if (idlePerImage < 0 || idleInAll < 0) {
      throw new IllegalArgumentException("A pool keeps at least 0 memories, not " + idlePerImage + " of an image and " + idleInAll + " in all");
    }
    this.idlePerImage = idlePerImage;
    this.idleInAll = idleInAll;
    this.budget = budget;
  }

  /**
   * A memory with the bytes of the image: an idle one, else a new one. The caller closes it.
   *
   * @throws dev.instar.api.InstarException NODE_BUSY when the process has mapped as many memories as it may, or the host gives no memory
   * @throws IllegalStateException when the pool or the image is closed
   */
  public CowMemory take(MemoryImage image) {
    Region region = takeIdle(image);
    while (region == null) {
      try {
        region = image.region(budget);
      } catch (InstarException e) {
        // What lies idle for other images must not keep this one waiting.
        if (!freeOne()) {
          throw e;
        }
      }
    }
    leased.incrementAndGet();
    return new CowMemory(image, region, used -> giveBack(image, used));
  }

  /** Frees the idle memories of an image, and does not keep those that come back from now on. Closes the image. */
  public void retire(MemoryImage image) {
    image.close();
    Deque<Region> freed;
    synchronized (idle) {
      freed = idle.remove(image);
      idleCount -= freed == null ? 0 : freed.size();
    }
    if (freed != null) {
      freed.forEach(Region::free);
    }
  }

  /** Memories that wait for a guest. */
  public int idle() {
    synchronized (idle) {
      return idleCount;
    }
  }

  /** Memories that were taken and not closed. */
  public int leased() {
    return leased.get();
  }

  /** Frees the idle memories; the others are freed when they are closed. */
  @Override
  public void close() {
    Map<MemoryImage, Deque<Region>> freed;
    synchronized (idle) {
      closed = true;
      freed = new HashMap<>(idle);
      idle.clear();
      idleCount = 0;
    }
    freed.values().forEach(regions -> regions.forEach(Region::free));
  }

  private Region takeIdle(MemoryImage image) {
    synchronized (idle) {
      if (closed) {
        throw new IllegalStateException("The memory pool is closed");
      }
      if (image.closed()) {
        throw new IllegalStateException("The memory image is closed");
      }
      Deque<Region> regions = idle.get(image);
      if (regions == null) {
        return null;
      }
      idleCount--;
      // The last one in has the warmest caches.
      Region region = regions.removeLast();
      if (regions.isEmpty()) {
        idle.remove(image);
      }
      return region;
    }
  }

  private boolean freeOne() {
    Region freed;
    synchronized (idle) {
      var images = idle.entrySet().iterator();
      if (!images.hasNext()) {
        return false;
      }
      Deque<Region> regions = images.next().getValue();
      freed = regions.removeFirst();
      idleCount--;
      if (regions.isEmpty()) {
        images.remove();
      }
    }
    freed.free();
    return true;
  }

  private void giveBack(MemoryImage image, Region region) {
    leased.decrementAndGet();
    boolean kept = false;
    try {
      if (wanted(image)) {
        region.reset();
        kept = keep(image, region);
      }
    } catch (LibC.Failure e) {
      // A mapping that cannot be reset is nobody's any more; a close does not throw.
    } finally {
      if (!kept) {
        region.free();
      }
    }
  }

  /** Spares the reset of a memory that would be freed after it. */
  private boolean wanted(MemoryImage image) {
    synchronized (idle) {
      Deque<Region> regions = idle.get(image);
      return !closed && !image.closed() && idleCount < idleInAll && (regions == null ? 0 : regions.size()) < idlePerImage;
    }
  }

  private boolean keep(MemoryImage image, Region region) {
    synchronized (idle) {
      if (!wanted(image)) {
        return false;
      }
      idle.computeIfAbsent(image, key -> new ArrayDeque<>()).addLast(region);
      idleCount++;
      return true;
    }
  }
}
