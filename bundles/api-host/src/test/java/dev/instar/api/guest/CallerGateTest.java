package dev.instar.api.guest;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(30)
class CallerGateTest {
  private final CallerGate gate = new CallerGate("guest");

  private ErrorCode refused() {
    return assertThrows(InstarException.class, gate::enter).code();
  }

  @Test
  void aKillInterruptsWhoIsInsideAndLeavesNoInterruptBehind() throws Exception {
    CountDownLatch inside = new CountDownLatch(1);
    CompletableFuture<Boolean> interruptedAfterwards = new CompletableFuture<>();
    Thread caller = Thread.ofPlatform().start(() -> {
      gate.enter();
      inside.countDown();
      try {
        Thread.sleep(TimeUnit.HOURS.toMillis(1));
        interruptedAfterwards.completeExceptionally(new AssertionError("it slept"));
      } catch (InterruptedException e) {
        // A second one, as of somebody who kills once more.
        Thread.currentThread().interrupt();
        gate.leave();
        interruptedAfterwards.complete(Thread.currentThread().isInterrupted());
      }
    });
    inside.await();
    assertTrue(gate.isOccupied());
    assertTrue(gate.kill());
    assertFalse(interruptedAfterwards.get());
    caller.join();
    assertFalse(gate.isOccupied());
    assertEquals(ErrorCode.TIMED_OUT, refused());
    assertTrue(gate.timedOut().problem().detail().contains("its guest"));
  }

  @Test
  void whoLeavesWithoutAKillKeepsTheInterruptOfOthers() {
    gate.enter();
    assertFalse(gate.isOccupied(), "by another");
    Thread.currentThread().interrupt();
    gate.leave();
    assertTrue(Thread.interrupted());
  }

  @Test
  void nobodyComesInAfterTheCloseAndAKillFindsNothing() {
    assertTrue(gate.close());
    assertFalse(gate.close());
    assertFalse(gate.kill());
    assertFalse(gate.isKilled());
    assertEquals(ErrorCode.SANDBOX_CRASHED, refused());
  }
}
