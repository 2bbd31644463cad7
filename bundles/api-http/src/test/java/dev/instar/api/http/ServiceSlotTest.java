package dev.instar.api.http;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;

class ServiceSlotTest {
  private final ServiceSlot<String> slot = new ServiceSlot<>("clock");

  @Test
  void highestRankingThenOldestIsCurrent() {
    slot.bind("late", Map.of("service.id", 9L));
    slot.bind("early", Map.of("service.id", 3L));
    assertEquals(Optional.of("early"), slot.current());
    slot.bind("high", Map.of("service.id", 12L, "service.ranking", 5));
    assertEquals(Optional.of("high"), slot.current());
    slot.bind("high", Map.of("service.id", 12L, "service.ranking", -5));
    assertEquals(Optional.of("early"), slot.current());
    slot.unbind("early");
    slot.unbind("late");
    assertEquals(Optional.of("high"), slot.current());
    slot.unbind("high");
    assertTrue(slot.current().isEmpty());
  }

  @Test
  void saysWhatIsMissing() {
    InstarException e = assertThrows(InstarException.class, () -> slot.await(Duration.ofMillis(1)));
    assertEquals(ErrorCode.NOT_READY, e.code());
    assertTrue(e.problem().detail().contains("clock"));
    assertTrue(e.problem().retryAfter().isPresent());
  }

  @Test
  void whoWaitsIsServedByTheOneThatComes() throws Exception {
    CompletableFuture<String> waiting = new CompletableFuture<>();
    Thread.ofVirtual().start(() -> {
      try {
        waiting.complete(slot.await(Duration.ofMinutes(1)));
      } catch (Throwable e) {
        waiting.completeExceptionally(e);
      }
    });
    slot.bind("it", Map.of());
    assertEquals("it", waiting.get());
  }

  @Test
  void aSuccessorIsNotTheOneThatIsUnwanted() throws Exception {
    slot.bind("old", Map.of("service.ranking", 1));
    assertEquals(Optional.empty(), slot.awaitOther(Optional.of("old"), Duration.ofMillis(1)));
    slot.bind("new", Map.of("service.ranking", 2));
    assertEquals(Optional.of("new"), slot.awaitOther(Optional.of("old"), Duration.ofMinutes(1)));
  }
}
