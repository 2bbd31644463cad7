package dev.instar.network;

import dev.instar.api.network.Addresses;
import java.util.Arrays;
import java.util.List;

/**
 * A network of IPv4 addresses.
 *
 * @param base the first address
 * @param bits how many bits name it
 */
record Range(int base, int bits) {
  Range {
    if (bits < 0 || bits > 32) {
      throw new IllegalArgumentException("a network has 0 to 32 bits, not " + bits);
    }
    base &= Addresses.mask(bits);
  }

  /** @throws IllegalArgumentException when the text is none */
  static Range parse(String text) {
    int slash = text.indexOf('/');
    return new Range(Addresses.number(Addresses.parse(slash < 0 ? text : text.substring(0, slash))), slash < 0 ? 32 : Integer.parseInt(text.substring(slash + 1)));
  }

  static List<Range> parseAll(String... texts) {
    return Arrays.stream(texts).map(text -> parse(text.strip())).toList();
  }

  boolean overlaps(Range other) {
    int common = Addresses.mask(Math.min(bits, other.bits));
    return (base & common) == (other.base & common);
  }

  @Override
  public String toString() {
    return Addresses.of(base).getHostAddress() + "/" + bits;
  }
}
