package dev.instar.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.stream.DoubleStream;
import org.junit.jupiter.api.Test;

class SpreadTest {
  @Test
  void theMedianIsTheMiddleOfWhatIsSorted() {
    assertEquals(new Spread(1, 3, 50), Spread.of(DoubleStream.of(50, 1, 3)));
    assertEquals(new Spread(7, 7, 7), Spread.of(DoubleStream.of(7)));
  }

  @Test
  void ofAnEvenNumberItLiesBetweenTheTwoInTheMiddle() {
    assertEquals(new Spread(-1, 2.5, 100), Spread.of(DoubleStream.of(100, 2, -1, 3)));
  }

  @Test
  void nothingHasNoMedian() {
    assertThrows(IllegalArgumentException.class, () -> Spread.of(DoubleStream.of()));
  }
}
