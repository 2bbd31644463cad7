package dev.instar.wasi.guest;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import dev.instar.api.sandbox.StartContext.Room;
import dev.instar.wasi.ByteBudget;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;

/**
 * What all guests together may use of the Java heap, or of the machine's memory. The limits of functions may add up to more than there is; at
 * this bound the guest that asks ends, and not the node.
 */
public final class MemoryBudget implements ByteBudget {
  public static final Duration SOON = Duration.ofSeconds(1);

  private final AtomicLong used = new AtomicLong();
  private final String what;
  private final String key;
  private volatile long limit;

  private MemoryBudget(long limit, String what, String key) {
    this.limit = limit;
    this.what = what;
    this.key = key;
  }

  /** For tables, files and instances. */
  public static MemoryBudget ofHeap(long limit) {
    return new MemoryBudget(limit, "of the Java heap, half of it,", "give the node a larger heap (-Xmx)");
  }

  /** For linear memories. @param backend the PID of its configuration */
  public static MemoryBudget ofMachine(String backend, long limit) {
    return new MemoryBudget(limit, "of memory", "raise guest-memory-bytes of " + backend);
  }

  public void limit(long bytes) {
    limit = bytes;
  }

  public long used() {
    return used.get();
  }

  /**
   * @param held what who asks has of it already, and keeps
   * @param room is asked to close idle sandboxes until there is enough
   * @throws InstarException NODE_BUSY when there is not so much left; OUT_OF_MEMORY when there never will be
   */
  public void demand(long bytes, long held, Room room) {
    if (take(bytes, held, room)) {
      return;
    }
    long bound = limit;
    if (bytes > bound - held) {
      throw new InstarException(ErrorCode.OUT_OF_MEMORY, "The function needs " + (held + bytes) + " bytes " + what
          + " and this node's bound for all functions together is " + bound + " bytes; " + key + " if it must have so much.", Map.of("limitBytes", bound));
    }
    throw new InstarException(Problem.of(ErrorCode.NODE_BUSY, "The functions of this node together use all " + bound + " bytes " + what
        + " that they may have; try again later, or " + key + ".").retryAfter(SOON));
  }

  /** @param room is asked to close idle sandboxes until there is enough */
  public boolean take(long bytes, Room room) {
    return take(bytes, 0, room);
  }

  private boolean take(long bytes, long held, Room room) {
    while (!take(bytes)) {
      // Idle sandboxes must not be lost for what will never fit.
      if (bytes > limit - held || !room.make()) {
        return false;
      }
    }
    return true;
  }

  @Override
  public boolean take(long bytes) {
    if (used.addAndGet(bytes) <= limit) {
      return true;
    }
    used.addAndGet(-bytes);
    return false;
  }

  /** Takes for those who only wait: no more than a quarter of all, so that enough is left for those who run. */
  public boolean takeToWait(long bytes) {
    if (used.addAndGet(bytes) <= limit / 4) {
      return true;
    }
    used.addAndGet(-bytes);
    return false;
  }

  @Override
  public void give(long bytes) {
    used.addAndGet(-bytes);
  }
}
