package dev.instar.api.function;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.instar.api.InstarException;
import java.time.Duration;
import org.junit.jupiter.api.Test;

class LimitsTest {
  @Test
  void aValueOutOfRangeIsSaidOfTheNameThatTheUserGave() {
    InstarException e = assertThrows(InstarException.class, () -> new Limits(1, Duration.ofSeconds(1), 1, 1, 1, 1));
    assertEquals("The limit memory is 1; give 65536 to 4294967296.", e.problem().detail());
  }
}
