package dev.instar.api.function;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;

/**
 * A function's name: its owner and its name within the owner's functions, written {@code user/function}.
 * Each part has 1 to 63 characters of {@code a-z 0-9 . _ -}, begins and ends with a letter or digit, and has no two dots
 * in a row. Lower case and ASCII only, so that no two names fall together on any file system or in any Unicode form.
 *
 * @param user the owner
 * @param function the name among the owner's functions
 */
public record FunctionName(String user, String function) implements Comparable<FunctionName> {
  private static final int LONGEST = 63;

  /** @throws InstarException {@link ErrorCode#BAD_NAME} when a part breaks the rules */
  public FunctionName {
    check("user", user);
    check("function", function);
  }

  /** Parses {@code user/function}. */
  public static FunctionName parse(String text) {
    int slash = text.indexOf('/');
    if (slash < 0) {
      throw new InstarException(ErrorCode.BAD_NAME, "'" + shown(text) + "' is not a function's name; write user/function.");
    }
    return new FunctionName(text.substring(0, slash), text.substring(slash + 1));
  }

  private static void check(String what, String part) {
    if (!valid(part)) {
      throw new InstarException(ErrorCode.BAD_NAME, "The " + what + " name '" + shown(part)
          + "' is not valid: 1 to 63 of a-z 0-9 . _ -, first and last a letter or digit, no two dots in a row.");
    }
  }

  /** Without a regular expression: this is done for each call. */
  private static boolean valid(String part) {
    int length = part.length();
    if (length == 0 || length > LONGEST || !alphanumeric(part.charAt(0)) || !alphanumeric(part.charAt(length - 1))) {
      return false;
    }
    for (int i = 1; i < length - 1; i++) {
      char c = part.charAt(i);
      if (!alphanumeric(c) && c != '_' && c != '-' && (c != '.' || part.charAt(i - 1) == '.')) {
        return false;
      }
    }
    return true;
  }

  private static boolean alphanumeric(char c) {
    return c >= 'a' && c <= 'z' || c >= '0' && c <= '9';
  }

  /** Only printable ASCII, shortened: a name that is refused must not garble a terminal or a log. */
  private static String shown(String part) {
    String safe = part.replaceAll("[^ -~]", "?");
    return safe.length() > 80 ? safe.substring(0, 80) + "..." : safe;
  }

  @Override
  public int compareTo(FunctionName o) {
    int c = user.compareTo(o.user);
    return c != 0 ? c : function.compareTo(o.function);
  }

  @Override
  public String toString() {
    return user + "/" + function;
  }
}
