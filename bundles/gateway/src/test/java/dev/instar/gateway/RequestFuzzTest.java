package dev.instar.gateway;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.code_intelligence.jazzer.junit.FuzzTest;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The small texts of a request: paths, queries, sizes, times and moments. What is accepted means what a second reading of it says. */
class RequestFuzzTest {
  private static final Pattern QUANTITY = Pattern.compile("([0-9]{1,18})([A-Za-z]*)");
  private static final Map<String, Long> BYTES = Map.of("", 1L, "Ki", 1L << 10, "Mi", 1L << 20, "Gi", 1L << 30, "Ti", 1L << 40);
  private static final Map<String, Long> MILLIS = Map.of("", 1L, "ms", 1L, "s", 1000L, "m", 60_000L, "h", 3_600_000L);

  @FuzzTest
  void whatIsAcceptedMeansOneThing(byte[] input) {
    // UTF-8 for what is text, Latin-1 for what a listener hands on byte by byte.
    for (String text : List.of(new String(input, StandardCharsets.UTF_8), new String(input, StandardCharsets.ISO_8859_1))) {
      path(text);
      query(text);
      quantities(text);
      moment(text);
    }
  }

  private static void path(String text) {
    List<String> segments;
    try {
      segments = RequestPath.segments(text);
    } catch (InstarException e) {
      refused(e);
      return;
    }
    StringBuilder again = new StringBuilder();
    for (String segment : segments) {
      assertFalse(segment.isEmpty() || segment.equals(".") || segment.equals(".."), text);
      assertTrue(segment.chars().noneMatch(c -> c == '/' || c == '\\' || Character.isISOControl(c)), text);
      again.append('/').append(encoded(segment));
    }
    assertEquals(segments, RequestPath.segments(again.isEmpty() ? "/" : again.toString()));
  }

  private static void query(String text) {
    for (String name : List.of("a", "since", "")) {
      try {
        Optional<String> value = RequestPath.parameter(text, name);
        if (value.isPresent()) {
          assertEquals(value, RequestPath.parameter("b=1&" + encoded(name) + "=" + encoded(value.get()), name), text);
        }
      } catch (InstarException e) {
        refused(e);
      }
    }
  }

  private static String encoded(String text) {
    StringBuilder encoded = new StringBuilder();
    for (byte b : text.getBytes(StandardCharsets.UTF_8)) {
      encoded.append("%%%02X".formatted(b & 0xff));
    }
    return encoded.toString();
  }

  private static void quantities(String text) {
    assertEquals(reading(text, BYTES).map(BigInteger::longValueExact).map(OptionalLong::of).orElse(OptionalLong.empty()),
        Quantities.bytes(JsonNodeFactory.instance.textNode(text)), text);
    assertEquals(reading(text, MILLIS).map(n -> Duration.ofMillis(n.longValueExact())), Quantities.duration(text), text);
    assertEquals(reading(text, Map.of("", 1L)).map(BigInteger::longValueExact).map(OptionalLong::of).orElse(OptionalLong.empty()),
        Quantities.number(text), text);
  }

  private static Optional<BigInteger> reading(String text, Map<String, Long> units) {
    Matcher parts = QUANTITY.matcher(text);
    if (!parts.matches() || !units.containsKey(parts.group(2))) {
      return Optional.empty();
    }
    BigInteger value = new BigInteger(parts.group(1)).multiply(BigInteger.valueOf(units.get(parts.group(2))));
    return value.bitLength() < 64 ? Optional.of(value) : Optional.empty();
  }

  private static void moment(String text) {
    try {
      Instant moment = NodeApi.instant(text);
      assertEquals(moment, NodeApi.instant(moment.toString()));
    } catch (InstarException e) {
      refused(e);
    }
  }

  private static void refused(InstarException e) {
    assertEquals(ErrorCode.BAD_REQUEST, e.code());
    assertTrue(e.problem().detail().chars().allMatch(c -> c >= ' ' && c <= '~'), () -> "printable: " + e.problem().detail());
    assertTrue(e.problem().detail().length() < 600, "short");
  }
}
