package dev.instar.api.http;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.api.Test;

class RequestIdTest {
  @Test
  void idsAreShortPlainAndNeverTwice() {
    Set<String> seen = new HashSet<>();
    for (int i = 0; i < 100_000; i++) {
      String id = RequestId.next();
      assertTrue(id.matches("[0-9a-hjkmnp-tv-z]{13}"), id);
      seen.add(id);
    }
    assertEquals(100_000, seen.size());
  }

  /** What anybody could do with two ids, knowing how they are made: undo the last stirring of one, step its counter, and stir again. */
  @Test
  void theNextIdIsNotComputedFromTheLast() {
    int guessed = 0;
    for (int i = 0; i < 1000; i++) {
      long last = Long.parseUnsignedLong(plain(RequestId.next()), 32);
      String next = RequestId.next();
      long counter = unstir(last);
      for (int carry = 1; carry <= 64; carry++) {
        // A counter that goes up by one changes its lowest bits up to the carry, whatever it is combined with by exclusive or.
        long candidate = stir(counter ^ (carry == 64 ? -1 : (1L << carry) - 1));
        guessed += plain(next).equals(pad(Long.toUnsignedString(candidate, 32))) ? 1 : 0;
      }
    }
    assertEquals(0, guessed);
  }

  /** Crockford's digits as those of {@link Long#parseUnsignedLong}. */
  private static String plain(String id) {
    StringBuilder plain = new StringBuilder();
    for (char c : id.toCharArray()) {
      plain.append(Character.forDigit("0123456789abcdefghjkmnpqrstvwxyz".indexOf(c), 32));
    }
    return plain.toString();
  }

  private static String pad(String digits) {
    return "0".repeat(13 - digits.length()) + digits;
  }

  private static long stir(long x) {
    x = (x ^ (x >>> 30)) * 0xbf58476d1ce4e5b9L;
    x = (x ^ (x >>> 27)) * 0x94d049bb133111ebL;
    return x ^ (x >>> 31);
  }

  private static long unstir(long x) {
    x = (unshift(x, 31)) * inverse(0x94d049bb133111ebL);
    x = (unshift(x, 27)) * inverse(0xbf58476d1ce4e5b9L);
    return unshift(x, 30);
  }

  private static long unshift(long x, int bits) {
    long undone = x;
    for (int i = bits; i < 64; i += bits) {
      undone = x ^ (undone >>> bits);
    }
    return undone;
  }

  /** Of an odd number modulo 2 to the 64th, by Newton's method. */
  private static long inverse(long odd) {
    long inverse = odd;
    for (int i = 0; i < 6; i++) {
      inverse *= 2 - odd * inverse;
    }
    return inverse;
  }
}
