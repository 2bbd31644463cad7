package dev.instar.api.data;

import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * Says which component of this process may write to an area of the data directory. In a swap the new component starts before the
 * old one stops; one that keeps what it has read in memory takes this lock first, or each would write over what the other has written.
 *
 * <p>It holds between components of one process, whatever bundle they come from. Other processes are kept away by the {@link DataDirectory}'s lock.
 */
public final class AreaLock implements AutoCloseable {
  private static final Map<Path, Semaphore> AREAS = new ConcurrentHashMap<>();

  private final Semaphore area;
  private final AtomicBoolean held = new AtomicBoolean(true);

  private AreaLock(Semaphore area) {
    this.area = area;
  }

  /** The lock, if nobody holds it. */
  public static Optional<AreaLock> tryTake(Path area) {
    Semaphore semaphore = semaphore(area);
    return semaphore.tryAcquire() ? Optional.of(new AreaLock(semaphore)) : Optional.empty();
  }

  /** The lock, as soon as nobody holds it. */
  public static AreaLock take(Path area) throws InterruptedException {
    Semaphore semaphore = semaphore(area);
    semaphore.acquire();
    return new AreaLock(semaphore);
  }

  private static Semaphore semaphore(Path area) {
    return AREAS.computeIfAbsent(area.toAbsolutePath().normalize(), a -> new Semaphore(1, true));
  }

  /** Gives it back, from any thread. Idempotent. */
  @Override
  public void close() {
    if (held.getAndSet(false)) {
      area.release();
    }
  }
}
