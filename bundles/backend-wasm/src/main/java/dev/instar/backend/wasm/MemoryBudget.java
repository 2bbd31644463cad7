package dev.instar.backend.wasm;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import dev.instar.api.sandbox.StartContext.Room;
import dev.instar.backend.wasm.wasi.ByteBudget;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicLong;

/**
 * What all guests together may use of the Java heap, or of the machine's memory. The limits of functions may add up to more than there is; at
 * this bound the guest that asks ends, and not the node.
 */
final class MemoryBudget implements ByteBudget {
  static final Duration SOON = Duration.ofSeconds(1);

  private final AtomicLong used = new AtomicLong();
  private final String exhausted;
  private volatile long limit;

  private MemoryBudget(long limit, String exhausted) {
    this.limit = limit;
    this.exhausted = exhausted;
  }

  /** For tables, files and instances. */
  static MemoryBudget ofHeap(long limit) {
    return new MemoryBudget(limit, "The functions of this node together use all that backend-wasm may give them of the Java heap, which is half of it; "
        + "try again later, or give the node more (-Xmx).");
  }

  /** For linear memories. */
  static MemoryBudget ofMachine(long limit) {
    return new MemoryBudget(limit,
        "The functions of this node together use all the memory that backend-wasm may give them (guest-memory-bytes); try again later.");
  }

  void limit(long bytes) {
    limit = bytes;
  }

  long used() {
    return used.get();
  }

  /**
   * @param room is asked to close idle sandboxes until there is enough
   * @throws InstarException NODE_BUSY when there is not so much left
   */
  void demand(long bytes, Room room) {
    if (!take(bytes, room)) {
      throw new InstarException(Problem.of(ErrorCode.NODE_BUSY, exhausted).retryAfter(SOON));
    }
  }

  /** @param room is asked to close idle sandboxes until there is enough */
  boolean take(long bytes, Room room) {
    while (!take(bytes)) {
      // Idle sandboxes must not be lost for what will never fit.
      if (bytes > limit || !room.make()) {
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
  boolean takeToWait(long bytes) {
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
