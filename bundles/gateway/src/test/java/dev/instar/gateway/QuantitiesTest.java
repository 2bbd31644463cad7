package dev.instar.gateway;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;

class QuantitiesTest {
  private static final JsonNodeFactory JSON = JsonNodeFactory.instance;

  @Test
  void readsSizes() {
    assertEquals(OptionalLong.of(65536), Quantities.bytes(JSON.numberNode(65536)));
    assertEquals(OptionalLong.of(64 << 20), Quantities.bytes(JSON.textNode("64Mi")));
    assertEquals(OptionalLong.of(10 << 10), Quantities.bytes(JSON.textNode("10Ki")));
    assertEquals(OptionalLong.of(1 << 30), Quantities.bytes(JSON.textNode("1Gi")));
    assertEquals(OptionalLong.of(7), Quantities.bytes(JSON.textNode("7")));
    for (String wrong : List.of("", "Mi", "-1", "1.5Mi", "1 Mi", "1MB", "1mi", "9999999999999999999", "99999999999Gi", "\u0661")) {
      assertTrue(Quantities.bytes(JSON.textNode(wrong)).isEmpty(), wrong);
    }
    assertTrue(Quantities.bytes(JSON.numberNode(-1)).isEmpty());
    assertTrue(Quantities.bytes(JSON.numberNode(1.5)).isEmpty());
    assertTrue(Quantities.bytes(JSON.booleanNode(true)).isEmpty());
  }

  @Test
  void readsTimes() {
    assertEquals(Optional.of(Duration.ofMillis(500)), Quantities.duration("500ms"));
    assertEquals(Optional.of(Duration.ofSeconds(30)), Quantities.duration("30s"));
    assertEquals(Optional.of(Duration.ofMinutes(2)), Quantities.duration("2m"));
    assertEquals(Optional.of(Duration.ofHours(1)), Quantities.duration("1h"));
    assertEquals(Optional.of(Duration.ofMillis(250)), Quantities.duration(JSON.numberNode(250)));
    for (String wrong : List.of("", "s", "-1s", "1.5s", "1d", "999999999999999999h", "1 s")) {
      assertTrue(Quantities.duration(wrong).isEmpty(), wrong);
    }
  }

  @Test
  void readsProcessors() {
    assertEquals(OptionalInt.of(500), Quantities.thousandths(JSON.textNode("500m")));
    assertEquals(OptionalInt.of(500), Quantities.thousandths(JSON.textNode("0.5")));
    assertEquals(OptionalInt.of(2000), Quantities.thousandths(JSON.textNode("2")));
    assertEquals(OptionalInt.of(250), Quantities.thousandths(JSON.numberNode(250)));
    for (String wrong : List.of("", "m", "-1", "1.", ".5", "0.0005", "1e3", "99999", "1 m", "2cpu", "\u0661")) {
      assertTrue(Quantities.thousandths(JSON.textNode(wrong)).isEmpty(), wrong);
    }
    assertTrue(Quantities.thousandths(JSON.numberNode(0.5)).isEmpty());
    assertTrue(Quantities.thousandths(JSON.numberNode(-1)).isEmpty());
    assertTrue(Quantities.thousandths(JSON.numberNode(1L << 40)).isEmpty());
  }
}
