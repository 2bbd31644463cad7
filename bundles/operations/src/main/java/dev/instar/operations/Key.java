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
 * @param description may be empty
 * @param type of one value
 * @param list whether the value is a list of them
 * @param secret whether nobody may be shown a value
 * @param min the smallest number, or the shortest text in characters
 * @param max the largest number, or the longest text in characters
 * @param options the only values that are allowed; empty: all
 * @param standard what is in force where nobody says anything else, as it is declared
 */
record Key(String id, String description, Type type, boolean list, boolean secret, Optional<BigDecimal> min, Optional<BigDecimal> max, List<String> options, Optional<String> standard) {
  /** A value that does not fit, told without the key's name. */
  static final class Unfit extends Exception {
    private static final long serialVersionUID = 1;
    private final String found;
    private final String allowed;

    Unfit(String found, String allowed) {
      super("is " + found + "; give " + allowed);
      this.found = found;
      this.allowed = allowed;
    }

    /** The value, as it was found. */
    String found() {
      return found;
    }

    String allowed() {
      return allowed;
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

    /** One word for programs. */
    String word() {
      return this == STRING ? "text" : this == BOOLEAN ? "boolean" : whole() ? "integer" : "number";
    }

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
    return value(node, false);
  }

  /**
   * The value of a file, as ConfigAdmin takes it.
   *
   * @param lenient whether a text stands for what the key declares, as where all values are texts
   */
  Object value(JsonNode node, boolean lenient) throws Unfit {
    if (!list) {
      return single(node, lenient);
    }
    if (lenient && node.isTextual()) {
      return value(node.textValue());
    }
    if (!node.isArray()) {
      throw new Unfit(shown(node), "a list, [ ], with " + allowed() + " for each element");
    }
    Object array = Array.newInstance(type.box, node.size());
    for (int i = 0; i < node.size(); i++) {
      Array.set(array, i, single(node.get(i), lenient));
    }
    return array;
  }

  /** The value of a text; elements of a list are separated by commas, and one that is part of an element has a backslash before it. */
  Object value(String text) throws Unfit {
    if (!list) {
      return parsed(type == Type.STRING ? text : text.strip());
    }
    List<Object> values = new ArrayList<>();
    for (String part : elements(text)) {
      values.add(parsed(part));
    }
    return values.toArray((Object[]) Array.newInstance(type.box, 0));
  }

  /** The default, where one is declared that fits. */
  Optional<Object> standardValue() {
    try {
      return standard.isPresent() ? Optional.of(value(standard.get())) : Optional.empty();
    } catch (Unfit e) {
      return Optional.empty();
    }
  }

  private static List<String> elements(String text) {
    List<String> elements = new ArrayList<>();
    StringBuilder element = new StringBuilder();
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (c == '\\' && i + 1 < text.length() && (text.charAt(i + 1) == ',' || text.charAt(i + 1) == '\\')) {
        element.append(text.charAt(++i));
      } else if (c == ',') {
        elements.add(element.toString().strip());
        element.setLength(0);
      } else {
        element.append(c);
      }
    }
    if (!elements.isEmpty() || !element.toString().isBlank()) {
      elements.add(element.toString().strip());
    }
    return elements;
  }

  private Object single(JsonNode node, boolean lenient) throws Unfit {
    if (lenient && node.isTextual()) {
      return parsed(type == Type.STRING ? node.textValue() : node.textValue().strip());
    }
    if (type.number() && node.isNumber()) {
      return checked(node.decimalValue(), node.toString());
    }
    if (type == Type.BOOLEAN && node.isBoolean()) {
      return node.booleanValue();
    }
    if (type == Type.STRING && node.isTextual()) {
      return checked(node.textValue());
    }
    throw new Unfit(shown(node), allowed());
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
    throw new Unfit(quoted(text), allowed());
  }

  private Object checked(BigDecimal number, String shown) throws Unfit {
    boolean fits = min.map(m -> number.compareTo(m) >= 0).orElse(true) && max.map(m -> number.compareTo(m) <= 0).orElse(true);
    // A number with a huge exponent must not be spelt out to be compared: precision and scale tell enough.
    boolean whole = number.signum() == 0 || (number.precision() - number.scale() <= 20 && number.stripTrailingZeros().scale() <= 0);
    if (!fits || type.whole() && (!whole || number.compareTo(type.lowest()) < 0 || number.compareTo(type.highest()) > 0)
        || !options.isEmpty() && !options.contains(shown)) {
      throw new Unfit(shown, allowed());
    }
    Object value = type.box(number);
    if (value instanceof Float f && f.isInfinite() || value instanceof Double d && d.isInfinite()) {
      throw new Unfit(shown + ", which is too large", allowed());
    }
    return value;
  }

  private Object checked(String text) throws Unfit {
    boolean fits = min.map(m -> text.length() >= m.intValue()).orElse(true) && max.map(m -> text.length() <= m.intValue()).orElse(true);
    if (!fits || !options.isEmpty() && !options.contains(text)) {
      throw new Unfit(quoted(text), allowed());
    }
    return text;
  }

  /** What fits, in words. */
  String allowed() {
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

  private static String quoted(String text) {
    return "\"" + (text.length() > 80 ? text.substring(0, 80) + "…" : text) + "\"";
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
