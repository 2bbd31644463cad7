package dev.instar.operations;

import com.fasterxml.jackson.databind.JsonNode;
import java.lang.reflect.Array;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * One key that a configuration may have: what OSGi Metatype calls an attribute definition (compendium, chapter 105).
 *
 * @param id as it stands in the file
 * @param type of one value
 * @param list whether the value is a list of them
 * @param min the smallest number, or the shortest text in characters
 * @param max the largest number, or the longest text in characters
 * @param options the only values that are allowed; empty: all
 */
record Key(String id, Type type, boolean list, Optional<BigDecimal> min, Optional<BigDecimal> max, List<String> options) {
  /** A value that does not fit, told without the key's name. */
  static final class Unfit extends Exception {
    private static final long serialVersionUID = 1;

    Unfit(String message) {
      super(message);
    }
  }

  /** The types of Metatype that have a form in JSON. */
  enum Type {
    STRING(String.class, "a text"),
    BOOLEAN(Boolean.class, "true or false"),
    BYTE(Byte.class, "a whole number"),
    SHORT(Short.class, "a whole number"),
    INTEGER(Integer.class, "a whole number"),
    LONG(Long.class, "a whole number"),
    FLOAT(Float.class, "a number"),
    DOUBLE(Double.class, "a number");

    private final Class<?> box;
    private final String shown;

    Type(Class<?> box, String shown) {
      this.box = box;
      this.shown = shown;
    }

    boolean number() {
      return this != STRING && this != BOOLEAN;
    }

    boolean whole() {
      return this == BYTE || this == SHORT || this == INTEGER || this == LONG;
    }

    /** By the name that Metatype gives it; characters and passwords are texts here. */
    static Type of(String name) {
      return switch (name) {
        case "Boolean" -> BOOLEAN;
        case "Byte" -> BYTE;
        case "Short" -> SHORT;
        case "Integer" -> INTEGER;
        case "Long" -> LONG;
        case "Float" -> FLOAT;
        case "Double" -> DOUBLE;
        default -> STRING;
      };
    }

    private BigDecimal lowest() {
      return switch (this) {
        case BYTE -> BigDecimal.valueOf(Byte.MIN_VALUE);
        case SHORT -> BigDecimal.valueOf(Short.MIN_VALUE);
        case INTEGER -> BigDecimal.valueOf(Integer.MIN_VALUE);
        default -> BigDecimal.valueOf(Long.MIN_VALUE);
      };
    }

    private BigDecimal highest() {
      return switch (this) {
        case BYTE -> BigDecimal.valueOf(Byte.MAX_VALUE);
        case SHORT -> BigDecimal.valueOf(Short.MAX_VALUE);
        case INTEGER -> BigDecimal.valueOf(Integer.MAX_VALUE);
        default -> BigDecimal.valueOf(Long.MAX_VALUE);
      };
    }

    private Object box(BigDecimal number) {
      return switch (this) {
        case BYTE -> number.byteValueExact();
        case SHORT -> number.shortValueExact();
        case INTEGER -> number.intValueExact();
        case LONG -> number.longValueExact();
        case FLOAT -> number.floatValue();
        default -> number.doubleValue();
      };
    }
  }

  /** The value of a file, as ConfigAdmin takes it. */
  Object value(JsonNode node) throws Unfit {
    if (!list) {
      return single(node);
    }
    if (!node.isArray()) {
      throw new Unfit("is " + shown(node) + "; give a list, [ ], with " + expected() + " for each element");
    }
    Object array = Array.newInstance(type.box, node.size());
    for (int i = 0; i < node.size(); i++) {
      Array.set(array, i, single(node.get(i)));
    }
    return array;
  }

  /** The value of an override, which is text; elements of a list are separated by commas. */
  Object value(String text) throws Unfit {
    if (!list) {
      return parsed(text.strip());
    }
    List<Object> values = new ArrayList<>();
    for (String part : text.split(",")) {
      values.add(parsed(part.strip()));
    }
    return values.toArray((Object[]) Array.newInstance(type.box, 0));
  }

  private Object single(JsonNode node) throws Unfit {
    if (type.number() && node.isNumber()) {
      return checked(node.decimalValue(), node.toString());
    }
    if (type == Type.BOOLEAN && node.isBoolean()) {
      return node.booleanValue();
    }
    if (type == Type.STRING && node.isTextual()) {
      return checked(node.textValue());
    }
    throw new Unfit("is " + shown(node) + "; give " + expected());
  }

  private Object parsed(String text) throws Unfit {
    switch (type) {
      case STRING -> {
        return checked(text);
      }
      case BOOLEAN -> {
        if (text.equals("true") || text.equals("false")) {
          return Boolean.valueOf(text);
        }
      }
      default -> {
        try {
          return checked(new BigDecimal(text), text);
        } catch (NumberFormatException e) {
          // Told below, with what it is.
        }
      }
    }
    throw new Unfit("is \"" + text + "\"; give " + expected());
  }

  private Object checked(BigDecimal number, String shown) throws Unfit {
    boolean fits = min.map(m -> number.compareTo(m) >= 0).orElse(true) && max.map(m -> number.compareTo(m) <= 0).orElse(true);
    // A number with a huge exponent must not be spelt out to be compared: precision and scale tell enough.
    boolean whole = number.signum() == 0 || (number.precision() - number.scale() <= 20 && number.stripTrailingZeros().scale() <= 0);
    if (!fits || type.whole() && (!whole || number.compareTo(type.lowest()) < 0 || number.compareTo(type.highest()) > 0)
        || !options.isEmpty() && !options.contains(shown)) {
      throw new Unfit("is " + shown + "; give " + expected());
    }
    Object value = type.box(number);
    if (value instanceof Float f && f.isInfinite() || value instanceof Double d && d.isInfinite()) {
      throw new Unfit("is " + shown + ", which is too large; give " + expected());
    }
    return value;
  }

  private Object checked(String text) throws Unfit {
    boolean fits = min.map(m -> text.length() >= m.intValue()).orElse(true) && max.map(m -> text.length() <= m.intValue()).orElse(true);
    if (!fits || !options.isEmpty() && !options.contains(text)) {
      throw new Unfit("is \"" + text + "\"; give " + expected());
    }
    return text;
  }

  /** What fits, in words. */
  private String expected() {
    if (!options.isEmpty()) {
      return "one of " + String.join(", ", options);
    }
    String range = "";
    if (min.isPresent() || max.isPresent()) {
      range = min.isEmpty() ? " up to " + max.get() : max.isEmpty() ? " from " + min.get() : " from " + min.get() + " to " + max.get();
      range = type.number() ? range : " of" + range.replaceFirst("^ from", "") + " characters";
    }
    return type.shown + range;
  }

  private static String shown(JsonNode node) {
    String text = node.toString();
    return switch (node.getNodeType()) {
      case STRING -> "the text " + (text.length() > 80 ? text.substring(0, 80) + "…\"" : text);
      case NULL -> "null";
      case ARRAY -> "a list";
      case OBJECT -> "an object";
      default -> text.length() > 80 ? text.substring(0, 80) + "…" : text;
    };
  }
}
