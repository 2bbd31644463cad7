package dev.instar.api.http;

import java.security.SecureRandom;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Ids of requests: 13 characters of {@code 0-9 a-z} without {@code i l o u} (Crockford's base 32). What a caller sends as an id is never taken over.
 *
 * <p>Each is one step of a counter that begins at a random place, stirred by a bijection: no two are alike while the process
 * lives, two processes hardly ever meet, and an id tells neither how many requests there were nor what the next one will be called.
 */
public final class RequestId {
  private static final char[] DIGITS = "0123456789abcdefghjkmnpqrstvwxyz".toCharArray();
  private static final long KEY = new SecureRandom().nextLong();
  private static final AtomicLong NEXT = new AtomicLong(new SecureRandom().nextLong());

  private RequestId() {}

  /** A fresh one. */
  public static String next() {
    long x = NEXT.getAndIncrement() ^ KEY;
    // The finaliser of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014): each step can be undone, so no value comes twice.
    x = (x ^ (x >>> 30)) * 0xbf58476d1ce4e5b9L;
    x = (x ^ (x >>> 27)) * 0x94d049bb133111ebL;
    x ^= x >>> 31;
    char[] id = new char[13];
    for (int i = 12; i >= 0; i--) {
      id[i] = DIGITS[(int) (x & 31)];
      x >>>= 5;
    }
    return new String(id);
  }
}
