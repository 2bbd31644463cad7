package dev.instar.api.http;

import dev.instar.api.Problem;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.TreeMap;

/**
 * Problems as {@code application/problem+json} documents (RFC 9457), the same from whoever answers: listener and gateway.
 * The members are {@code type}, {@code code}, {@code status}, {@code title}, {@code detail}, {@code instance} (the request's id), then the problem's own.
 */
public final class ProblemDocument {
  /** The media type of a problem document. */
  public static final String MEDIA_TYPE = "application/problem+json";
  /** What precedes the code in {@code type}. */
  public static final String TYPE_PREFIX = "urn:instar:error:";

  private ProblemDocument() {}

  /** The document, in UTF-8. */
  public static byte[] of(Problem problem, String requestId) {
    StringBuilder out = new StringBuilder(256);
    out.append("{\"type\":\"").append(TYPE_PREFIX).append(problem.code().code());
    out.append("\",\"code\":\"").append(problem.code().code());
    out.append("\",\"status\":").append(problem.code().status());
    out.append(",\"title\":");
    value(out, problem.code().title());
    out.append(",\"detail\":");
    value(out, problem.detail());
    out.append(",\"instance\":");
    value(out, requestId);
    for (Map.Entry<String, Object> member : new TreeMap<>(problem.members()).entrySet()) {
      out.append(',');
      value(out, member.getKey());
      out.append(':');
      value(out, member.getValue());
    }
    return out.append("}\n").toString().getBytes(StandardCharsets.UTF_8);
  }

  /** Whole seconds for Retry-After; empty when there is nothing to wait for. At least 1, since 0 makes clients hammer. */
  public static String retryAfter(Problem problem) {
    return problem.retryAfter().map(wait -> Long.toString(Math.max(1, (wait.toMillis() + 999) / 1000))).orElse("");
  }

  private static void value(StringBuilder out, Object value) {
    switch (value) {
      case Boolean bool -> out.append(bool.booleanValue());
      case Double number when !Double.isFinite(number) -> string(out, number.toString());
      case Float number when !Float.isFinite(number) -> string(out, number.toString());
      case Number number -> out.append(number);
      case Iterable<?> list -> {
        String separator = "[";
        for (Object element : list) {
          out.append(separator);
          value(out, element);
          separator = ",";
        }
        out.append("[".equals(separator) ? "[]" : "]");
      }
      default -> string(out, value.toString());
    }
  }

  private static void string(StringBuilder out, String text) {
    out.append('"');
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      boolean loneSurrogate = Character.isSurrogate(c) && !(Character.isHighSurrogate(c) && i + 1 < text.length() && Character.isLowSurrogate(text.charAt(i + 1)))
          && !(Character.isLowSurrogate(c) && i > 0 && Character.isHighSurrogate(text.charAt(i - 1)));
      if (c == '"' || c == '\\') {
        out.append('\\').append(c);
      } else if (c == '\n') {
        out.append("\\n");
      } else if (c < ' ' || (c >= 0x7f && c <= 0x9f) || c == '<' || c == '\u2028' || c == '\u2029' || loneSurrogate) {
        out.append("\\u").append(Character.forDigit(c >> 12, 16)).append(Character.forDigit((c >> 8) & 15, 16))
            .append(Character.forDigit((c >> 4) & 15, 16)).append(Character.forDigit(c & 15, 16));
      } else {
        out.append(c);
      }
    }
    out.append('"');
  }
}
