package dev.instar.listener;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import org.junit.jupiter.api.Test;

class DataRateTest {
  private final DataRate rate = new DataRate(100, Duration.ofSeconds(2));

  @Test
  void asksForNothingWithinTheGrace() {
    assertFalse(rate.tooSlow(0, 2_000_000_000L));
  }

  @Test
  void asksForTheRateAfterIt() {
    assertTrue(rate.tooSlow(99, 3_000_000_000L));
    assertFalse(rate.tooSlow(100, 3_000_000_000L));
  }

  @Test
  void doesNotOverflow() {
    DataRate fast = new DataRate(1 << 30, Duration.ofSeconds(10));
    assertTrue(fast.tooSlow(1L << 32, Duration.ofDays(300).toNanos()));
    assertFalse(fast.tooSlow(Long.MAX_VALUE, Duration.ofDays(1).toNanos()));
  }

  @Test
  void givesAWriteItsTime() {
    assertEquals(Duration.ofMillis(2500), rate.time(50));
  }
}
