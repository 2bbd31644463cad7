package dev.instar.api.http;

import java.security.SecureRandom;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Ids of requests: 13 characters of {@code 0-9 a-z} without {@code i l o u} (Crockford's base 32). What a caller sends as an id is never taken over.
 *
 * <p>Each is one step of a counter that begins at a random place, stirred by a bijection with keys of the process: no two are alike while the process
 * lives, two processes hardly ever meet, and who has seen some does not simply compute the next. It is a name all the same, and no secret: nothing may
 * be granted to a caller because it knows one.
 */
public final class RequestId {
  private static final char[] DIGITS = "0123456789abcdefghjkmnpqrstvwxyz".toCharArray();
  // Before, between and after the two stirrings: each of these could be undone by anybody if the next key were not in the way.
  private static final long BEFORE;
  private static final long BETWEEN;
  private static final long AFTER;
  private static final AtomicLong NEXT;

  static {
    SecureRandom random = new SecureRandom();
    BEFORE = random.nextLong();
    BETWEEN = random.nextLong();
    AFTER = random.nextLong();
    NEXT = new AtomicLong(random.nextLong());
  }

  private RequestId() {}

  /** A fresh one. */
  public static String next() {
    long x = stir(stir(NEXT.getAndIncrement() ^ BEFORE) + BETWEEN) ^ AFTER;
    char[] id = new char[13];
    for (int i = 12; i >= 0; i--) {
      id[i] = DIGITS[(int) (x & 31)];
      x >>>= 5;
    }
    return new String(id);
  }

  /** The finaliser of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014): each step can be undone, so no value comes twice. */
  private static long stir(long x) {
    x = (x ^ (x >>> 30)) * 0xbf58476d1ce4e5b9L;
    x = (x ^ (x >>> 27)) * 0x94d049bb133111ebL;
    return x ^ (x >>> 31);
  }
}
