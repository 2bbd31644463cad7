package dev.instar.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import org.junit.jupiter.api.Test;

class CpuTimeTest {
  @Test
  void timesOfTheProcessAndOfItsEndedChildrenAreAdded() {
    String stat = "4242 (java) S 1 4242 4242 0 -1 4194560 1 2 3 4 150 50 7 3 20 0 31 0 12345 1 2 3";
    assertEquals(Duration.ofMillis(2100).toNanos(), CpuTime.nanos(stat));
  }

  @Test
  void aNameMayHoldBlanksAndBrackets() {
    String stat = "1 (a) R 9 (b c) S 1 4242 4242 0 -1 4194560 1 2 3 4 1 0 0 0 20 0 31 0 12345 1 2 3";
    assertEquals(Duration.ofMillis(10).toNanos(), CpuTime.nanos(stat));
  }

  @Test
  void anythingElseIsRefused() {
    assertThrows(IllegalArgumentException.class, () -> CpuTime.nanos("1 (java) S 1 2 3"));
    assertThrows(IllegalArgumentException.class, () -> CpuTime.nanos(""));
  }

  @Test
  void whatADescendantUsesCounts() throws Exception {
    // The child waits for its own child, which works until 30 ticks are gone.
    Process shell = new ProcessBuilder("sh", "-c", "sh -c 'while :; do :; done' & wait").start();
    try {
      long deadline = System.nanoTime() + Duration.ofSeconds(60).toNanos();
      while (CpuTime.of(shell.toHandle()) < Duration.ofMillis(300).toNanos()) {
        assertTrue(System.nanoTime() < deadline, "the child's child uses the processor, and that is not seen");
        Thread.sleep(20);
      }
      assertTrue(CpuTime.alone(shell.toHandle()) < Duration.ofMillis(100).toNanos(), "the shell itself only waits");
    } finally {
      shell.descendants().forEach(ProcessHandle::destroyForcibly);
      shell.destroyForcibly().waitFor();
    }
    assertEquals(0, CpuTime.of(shell.toHandle()), "it has ended");
  }
}
