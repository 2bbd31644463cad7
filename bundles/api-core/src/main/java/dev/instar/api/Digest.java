package dev.instar.api;

import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.regex.Pattern;

/**
 * The identity of a blob by its content: {@code sha256:} and 64 lower-case hexadecimal digits (the notation of the OCI
 * image specification, "Digests").
 *
 * @param value the whole notation
 */
public record Digest(String value) {
  private static final Pattern FORM = Pattern.compile("sha256:[0-9a-f]{64}");

  /** @throws InstarException {@link ErrorCode#BAD_REQUEST} when it is not of that form */
  public Digest {
    if (!FORM.matcher(value).matches()) {
      throw new InstarException(ErrorCode.BAD_REQUEST,
          "'" + shown(value) + "' is not a digest; give sha256: and 64 lower-case hexadecimal digits.");
    }
  }

  /** Only printable ASCII, shortened: what is refused must not garble a terminal or a log. */
  private static String shown(String value) {
    String start = value.length() > 80 ? value.substring(0, 80) + "..." : value;
    return start.replaceAll("[^ -~]", "?");
  }

  /** The 64 digits alone. */
  public String hex() {
    return value.substring("sha256:".length());
  }

  /** The digest of what {@code sha256} has been fed; resets it. */
  public static Digest of(MessageDigest sha256) {
    return new Digest("sha256:" + HexFormat.of().formatHex(sha256.digest()));
  }

  public static Digest of(byte[] content) {
    MessageDigest sha256 = sha256();
    sha256.update(content);
    return of(sha256);
  }

  /** A fresh SHA-256, which every Java platform has. */
  public static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }

  @Override
  public String toString() {
    return value;
  }
}
