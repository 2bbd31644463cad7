package dev.instar.gateway;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Paths and queries as RFC 3986 writes them, taken apart once and refused when they could be read in two ways. The listener refuses most of these
 * by itself; a gateway does not rely on which listener it has.
 */
final class RequestPath {
  private static final int QUOTED_CHARS = 80;

  private RequestPath() {}

  /**
   * The segments, percent-decoded once; a slash at the end is ignored.
   *
   * @throws InstarException BAD_REQUEST for an empty or dot segment, a path parameter, a character that a path cannot hold, an encoded slash,
   *     backslash or control character, or bytes that are no UTF-8
   */
  static List<String> segments(String path) {
    if (path.isEmpty() || path.charAt(0) != '/') {
      throw malformed("does not begin with '/'", path);
    }
    List<String> segments = new ArrayList<>(8);
    if (path.length() == 1) {
      return segments;
    }
    int end = path.endsWith("/") ? path.length() - 1 : path.length();
    for (int from = 1; from <= end; ) {
      int slash = path.indexOf('/', from);
      int to = slash < 0 ? end : slash;
      segments.add(segment(path, from, to));
      from = to + 1;
    }
    return segments;
  }

  private static String segment(String path, int from, int to) {
    if (from == to) {
      throw malformed("has an empty segment", path);
    }
    boolean encoded = false;
    for (int i = from; i < to; i++) {
      char c = path.charAt(i);
      if (c == '%') {
        encoded = true;
      } else if (!pathCharacter(c)) {
        throw malformed("has a character that a path cannot hold", path);
      }
    }
    String segment = encoded ? decode(path, from, to, false) : path.substring(from, to);
    if (".".equals(segment) || "..".equals(segment)) {
      throw malformed("has a segment '.' or '..'", path);
    }
    if (encoded) {
      for (int i = 0; i < segment.length(); i++) {
        char c = segment.charAt(i);
        if (c == '/' || c == '\\' || Character.isISOControl(c)) {
          throw malformed("has an encoded slash, backslash or control character", path);
        }
      }
    }
    return segment;
  }

  /** RFC 3986, section 3.3, but without ';': parameters of segments mean something to nobody here. */
  private static boolean pathCharacter(char c) {
    return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || "-._~!$&'()*+,=:@".indexOf(c) >= 0;
  }

  /** The first value of a query parameter. @throws InstarException BAD_REQUEST when it is encoded wrongly */
  static Optional<String> parameter(String query, String name) {
    for (int from = 0; from < query.length(); ) {
      int amp = query.indexOf('&', from);
      int to = amp < 0 ? query.length() : amp;
      int equals = query.indexOf('=', from);
      int nameEnd = equals < 0 || equals > to ? to : equals;
      if (name.equals(decode(query, from, nameEnd, true))) {
        return Optional.of(nameEnd == to ? "" : decode(query, nameEnd + 1, to, true));
      }
      from = to + 1;
    }
    return Optional.empty();
  }

  private static String decode(String text, int from, int to, boolean form) {
    byte[] bytes = new byte[to - from];
    int length = 0;
    for (int i = from; i < to; i++) {
      char c = text.charAt(i);
      if (c == '%') {
        int high = i + 2 < to ? hexDigit(text.charAt(i + 1)) : -1;
        int low = i + 2 < to ? hexDigit(text.charAt(i + 2)) : -1;
        if (high < 0 || low < 0) {
          throw malformed("has a '%' that two hexadecimal digits do not follow", text);
        }
        bytes[length++] = (byte) (high << 4 | low);
        i += 2;
      } else if (c > '~') {
        throw malformed("has a character that is not ASCII and not encoded", text);
      } else {
        bytes[length++] = (byte) (form && c == '+' ? ' ' : c);
      }
    }
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes, 0, length)).toString();
    } catch (CharacterCodingException e) {
      throw malformed("is not UTF-8 when it is decoded", text);
    }
  }

  /** ASCII only: {@link Character#digit} takes the digits of every script. */
  private static int hexDigit(char c) {
    return c < 128 ? Character.digit(c, 16) : -1;
  }

  private static InstarException malformed(String what, String text) {
    StringBuilder shown = new StringBuilder();
    for (int i = 0; i < Math.min(text.length(), QUOTED_CHARS); i++) {
      char c = text.charAt(i);
      shown.append(c >= ' ' && c <= '~' ? c : '?');
    }
    return new InstarException(ErrorCode.BAD_REQUEST, "'" + shown + (text.length() > QUOTED_CHARS ? "..." : "") + "' " + what + ".");
  }
}
