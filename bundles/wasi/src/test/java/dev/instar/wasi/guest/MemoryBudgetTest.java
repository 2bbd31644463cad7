package dev.instar.wasi.guest;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class MemoryBudgetTest {
  private final MemoryBudget budget = MemoryBudget.ofMachine("dev.instar.backend.wasm", 0);
  private final AtomicInteger asked = new AtomicInteger();

  @BeforeEach
  void raised() {
    budget.limit(100);
  }

  private Problem refused(MemoryBudget of, long bytes, long held) {
    long before = of.used();
    Problem problem = assertThrows(InstarException.class, () -> of.demand(bytes, held, () -> {
      asked.incrementAndGet();
      return false;
    })).problem();
    assertEquals(before, of.used());
    return problem;
  }

  @Test
  void whatMayFitLaterIsToldToTryAgain() {
    assertTrue(budget.take(60));
    Problem problem = refused(budget, 60, 40);
    assertEquals(ErrorCode.NODE_BUSY, problem.code());
    assertTrue(problem.retryAfter().isPresent());
    assertTrue(problem.detail().contains("guest-memory-bytes"), problem.detail());
    assertEquals(1, asked.get());
  }

  @Test
  void whatNeverFitsIsToldTheNodesBoundAndCostsNobodyAnIdleSandbox() {
    assertTrue(budget.take(60));
    Problem problem = refused(budget, 101, 0);
    assertEquals(ErrorCode.OUT_OF_MEMORY, problem.code());
    assertFalse(problem.retryAfter().isPresent());
    assertEquals(100L, problem.members().get("limitBytes"));
    assertTrue(problem.detail().contains("101 bytes") && problem.detail().contains("guest-memory-bytes of dev.instar.backend.wasm"), problem.detail());
    assertEquals(0, asked.get());
  }

  @Test
  void whatTheGuestHoldsCountsWithWhatItAsksFor() {
    assertTrue(budget.take(60));
    assertEquals(ErrorCode.OUT_OF_MEMORY, refused(budget, 41, 60).code());
    assertEquals(0, asked.get());
    budget.demand(40, 60, () -> false);
    assertEquals(100, budget.used());
  }

  @Test
  void theHeapsBoundIsNamedByTheOptionThatRaisesIt() {
    Problem problem = refused(MemoryBudget.ofHeap(100), 101, 0);
    assertEquals(ErrorCode.OUT_OF_MEMORY, problem.code());
    assertTrue(problem.detail().contains("-Xmx"), problem.detail());
  }
}
