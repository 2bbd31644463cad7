package dev.instar.functions;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.instar.api.function.FunctionName;
import java.util.concurrent.Executors;
import org.junit.jupiter.api.Test;

class NameLocksTest {
  @Test
  void oneAtATimePerNameAndNothingIsKept() throws Exception {
    NameLocks locks = new NameLocks();
    int[] counters = new int[5];
    try (var threads = Executors.newVirtualThreadPerTaskExecutor()) {
      for (int i = 0; i < 1000; i++) {
        int which = i % counters.length;
        threads.submit(() -> {
          try (var _ = locks.take(new FunctionName("u", "f" + which))) {
            int before = counters[which];
            Thread.yield();
            counters[which] = before + 1;
          }
        });
      }
    }
    for (int counter : counters) {
      assertEquals(200, counter);
    }
    Thread.currentThread().interrupt();
    assertThrows(InterruptedException.class, () -> locks.takeInterruptibly(new FunctionName("u", "f")));
    assertEquals(0, locks.size());
  }
}
