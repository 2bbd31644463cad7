package dev.instar.gateway;

import com.fasterxml.jackson.databind.JsonNode;
import java.math.BigDecimal;
import java.time.Duration;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.regex.Pattern;

/** Sizes and times as people write them: {@code 64Mi}, {@code 10Ki}, {@code 1Gi}; {@code 500ms}, {@code 30s}, {@code 2m}, {@code 1h}. */
final class Quantities {
  private static final Pattern PROCESSORS = Pattern.compile("[0-9]{1,7}m|[0-9]{1,4}(\\.[0-9]{1,3})?");

  private Quantities() {}

  /** Bytes, from an integer or a string with Ki, Mi, Gi, Ti or nothing behind the number. */
  static OptionalLong bytes(JsonNode value) {
    if (value.isIntegralNumber() && value.canConvertToLong()) {
      return value.longValue() < 0 ? OptionalLong.empty() : OptionalLong.of(value.longValue());
    }
    return value.isTextual() ? bytes(value.textValue()) : OptionalLong.empty();
  }

  private static OptionalLong bytes(String text) {
    int digits = digits(text);
    int shift = switch (text.substring(digits)) {
      case "" -> 0;
      case "Ki" -> 10;
      case "Mi" -> 20;
      case "Gi" -> 30;
      case "Ti" -> 40;
      default -> -1;
    };
    OptionalLong number = number(text, digits);
    return shift < 0 || number.isEmpty() || number.getAsLong() > Long.MAX_VALUE >> shift ? OptionalLong.empty() : OptionalLong.of(number.getAsLong() << shift);
  }

  /** A time, from an integer (milliseconds) or a string. */
  static Optional<Duration> duration(JsonNode value) {
    if (value.isIntegralNumber() && value.canConvertToLong()) {
      return value.longValue() < 0 ? Optional.empty() : Optional.of(Duration.ofMillis(value.longValue()));
    }
    return value.isTextual() ? duration(value.textValue()) : Optional.empty();
  }

  /** A time; a number alone is milliseconds. */
  static Optional<Duration> duration(String text) {
    int digits = digits(text);
    long millis = switch (text.substring(digits)) {
      case "", "ms" -> 1;
      case "s" -> 1000;
      case "m" -> 60_000;
      case "h" -> 3_600_000;
      default -> 0;
    };
    OptionalLong number = number(text, digits);
    return millis == 0 || number.isEmpty() || number.getAsLong() > Long.MAX_VALUE / millis ? Optional.empty() : Optional.of(Duration.ofMillis(number.getAsLong() * millis));
  }

  /** Processors in thousandths, from an integer (of thousandths) or a string: {@code 500m}, or processors, {@code 0.5}, {@code 2}. */
  static OptionalInt thousandths(JsonNode value) {
    if (value.isIntegralNumber()) {
      return value.canConvertToInt() && value.intValue() >= 0 ? OptionalInt.of(value.intValue()) : OptionalInt.empty();
    }
    String text = value.isTextual() ? value.textValue() : "";
    if (PROCESSORS.matcher(text).matches()) {
      return OptionalInt.of(text.endsWith("m") ? Integer.parseInt(text, 0, text.length() - 1, 10) : new BigDecimal(text).movePointRight(3).intValueExact());
    }
    return OptionalInt.empty();
  }

  /** A whole number that is not negative. */
  static OptionalLong number(String text) {
    return digits(text) == text.length() ? number(text, text.length()) : OptionalLong.empty();
  }

  private static OptionalLong number(String text, int digits) {
    // 18 digits fit into a long.
    return digits == 0 || digits > 18 ? OptionalLong.empty() : OptionalLong.of(Long.parseLong(text, 0, digits, 10));
  }

  private static int digits(String text) {
    int digits = 0;
    while (digits < text.length() && text.charAt(digits) >= '0' && text.charAt(digits) <= '9') {
      digits++;
    }
    return digits;
  }
}
