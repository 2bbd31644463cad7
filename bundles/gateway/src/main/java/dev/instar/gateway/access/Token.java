package dev.instar.gateway.access;

import dev.instar.api.Digest;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.util.Base64;
import java.util.regex.Pattern;

/**
 * What tokens look like and how they are compared. A fresh one has 256 random bits. The node keeps SHA-256 sums only, and compares those: how long
 * that takes tells nothing of the token, since nobody can choose how the sum of a guess begins.
 */
final class Token {
  /** What a bearer token may have (RFC 6750, section 2.1), long enough that no word of a language is one. */
  private static final Pattern FORM = Pattern.compile("[A-Za-z0-9._~+/-]{32,512}=*");
  private static final int LONGEST = 600;

  private Token() {}

  /** @param kind a word that tells people, and scanners for secrets, what they have found */
  static String fresh(String kind) {
    byte[] bits = new byte[32];
    new SecureRandom().nextBytes(bits);
    return "instar-" + kind + "-" + Base64.getUrlEncoder().withoutPadding().encodeToString(bits);
  }

  static boolean valid(String token) {
    return token.length() <= LONGEST && FORM.matcher(token).matches();
  }

  static Digest digest(String token) {
    return Digest.of(token.getBytes(StandardCharsets.UTF_8));
  }

  static boolean same(Digest one, Digest other) {
    return MessageDigest.isEqual(one.value().getBytes(StandardCharsets.US_ASCII), other.value().getBytes(StandardCharsets.US_ASCII));
  }
}
