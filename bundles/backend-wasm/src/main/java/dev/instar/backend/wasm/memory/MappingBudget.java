package dev.instar.backend.wasm.memory;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * How many memories this process may have mapped at once. Linux bounds the mappings of a process (sysctl vm.max_map_count, 65 530 by default),
 * and a JVM that meets that bound dies of failed thread stacks and code caches; so we stop well before.
 */
final class MappingBudget {
  /** The image, the writable pages behind it, the reserve; and where each memory is the only one of its image, the image's own view. */
  private static final int MAPPINGS_OF_A_MEMORY = 4;

  static final MappingBudget OF_PROCESS = new MappingBudget(memoriesOf(maxMapCount()));

  private final int limit;
  private final AtomicInteger used = new AtomicInteger();

  MappingBudget(int limit) {
    this.limit = limit;
  }

  /** Three quarters of all mappings: what is left is the JVM's own and that of other native code. */
  static int memoriesOf(int maxMapCount) {
    return maxMapCount / 4 * 3 / MAPPINGS_OF_A_MEMORY;
  }

  boolean take() {
    int now = used.get();
    while (now < limit) {
      int seen = used.compareAndExchange(now, now + 1);
      if (seen == now) {
        return true;
      }
      now = seen;
    }
    return false;
  }

  void giveBack() {
    used.decrementAndGet();
  }

  int used() {
    return used.get();
  }

  int limit() {
    return limit;
  }

  InstarException exhausted() {
    return new InstarException(ErrorCode.NODE_BUSY,
        "All " + limit + " linear memories that this process may map are in use; raise the sysctl vm.max_map_count or run fewer sandboxes");
  }

  private static int maxMapCount() {
    try {
      // Not Files.readString: it reads a file of size 0 byte by byte, and a sysctl has an end after the first read.
      return Integer.parseInt(Files.readAllLines(Path.of("/proc/sys/vm/max_map_count")).getFirst().strip());
    } catch (IOException | NumberFormatException e) {
      return 65_530;
    }
  }
}
