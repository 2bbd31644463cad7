package dev.instar.scheduler;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;

class JudgeTest {
  private static final long MILLI = 1_000_000;

  private final Judge judge = new Judge(2, 0);
  private long now;
  private Set<String> heavy = Set.of();

  /** Some looks of 10 ms each; alice makes a call of 0.1 ms in each, which is half a percent of the processors. */
  private void looks(int count, long hadNanos, int calls, boolean inBackground) {
    for (int i = 0; i < count; i++) {
      now += 10 * MILLI;
      judge.had("alice", MILLI / 10);
      judge.had("mallory", hadNanos);
      heavy = judge.judge(now, calls == 0 ? Map.of("alice", 1) : Map.of("alice", 1, "mallory", calls), inBackground ? Set.of("mallory") : Set.of(), true);
    }
  }

  @Test
  void whoseCallsAreLongIsHeavyBesideOneWhoHasLittle() {
    looks(50, 10 * MILLI, 2, false);
    assertEquals(Set.of("mallory"), heavy);
  }

  @Test
  void whoseManyCallsAreShortIsNot() {
    looks(100, 10 * MILLI, 100, false);
    assertEquals(Set.of(), heavy);
  }

  @Test
  void whoGetsNothingInTheBackgroundStaysHeavy() {
    looks(50, 10 * MILLI, 2, false);
    looks(1000, 0, 0, true);
    assertEquals(Set.of("mallory"), heavy);
  }

  @Test
  void whoseCallsInTheBackgroundAreShortIsNoLongerHeavy() {
    looks(50, 10 * MILLI, 2, false);
    looks(500, MILLI / 2, 10, true);
    assertEquals(Set.of(), heavy);
  }

  @Test
  void whoHasNoCallIsNoLongerHeavy() {
    looks(50, 10 * MILLI, 2, false);
    looks(500, 0, 0, false);
    assertEquals(Set.of(), heavy);
  }

  @Test
  void whoIsAloneIsNotHeavy() {
    for (int i = 0; i < 100; i++) {
      now += 10 * MILLI;
      judge.had("mallory", 20 * MILLI);
      assertEquals(Set.of(), judge.judge(now, Map.of("mallory", 1), Set.of(), true));
    }
  }
}
