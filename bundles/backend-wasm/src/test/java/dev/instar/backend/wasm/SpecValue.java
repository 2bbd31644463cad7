package dev.instar.backend.wasm;

import com.dylibso.chicory.wasm.types.Value;

/**
 * A value of the specification tests.
 *
 * @param type as the text format names it
 * @param value its bits as an unsigned number, {@code nan:canonical}, {@code nan:arithmetic}, or for a reference {@code null} or a number
 */
record SpecValue(String type, String value) {
  /** As the engine passes it. */
  long bits() {
    return switch (type) {
      case "i32" -> Integer.parseUnsignedInt(value);
      case "f32" -> Integer.toUnsignedLong(Integer.parseUnsignedInt(value));
      case "i64", "f64" -> Long.parseUnsignedLong(value);
      case "externref", "funcref" -> value.equals("null") ? Value.REF_NULL_VALUE : Long.parseLong(value);
      default -> throw new AssertionError("a value of the unknown type " + type);
    };
  }

  boolean matches(long actual) {
    return switch (value) {
      // The sign of a NaN is left open; a canonical one has the highest bit of its payload and no other, an arithmetic one at least that.
      case "nan:canonical" -> type.equals("f32") ? (actual & 0x7fff_ffffL) == 0x7fc0_0000L : (actual & Long.MAX_VALUE) == 0x7ff8_0000_0000_0000L;
      case "nan:arithmetic" -> type.equals("f32") ? (actual & 0x7fc0_0000L) == 0x7fc0_0000L
          : (actual & 0x7ff8_0000_0000_0000L) == 0x7ff8_0000_0000_0000L;
      default -> switch (type) {
        case "i32", "f32" -> (int) actual == (int) bits();
        default -> actual == bits();
      };
    };
  }

  @Override
  public String toString() {
    return type + ":" + value;
  }
}
