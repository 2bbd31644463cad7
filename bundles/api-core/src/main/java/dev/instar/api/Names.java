package dev.instar.api;

/**
 * What users, functions and secrets may be named: 1 to 63 characters of {@code a-z 0-9 . _ -}, a letter or digit first and last, no two dots in a row. Lower
 * case and ASCII only, so that no two names fall together on any file system or in any Unicode form, and each is a file name as it is.
 */
public final class Names {
  private static final int LONGEST = 63;

  private Names() {}

  /**
   * Lets good names pass.
   *
   * @param what is named, for the message
   * @throws InstarException {@link ErrorCode#BAD_NAME} when the name breaks the rules
   */
  public static void check(String what, String name) {
    if (!valid(name)) {
      throw new InstarException(ErrorCode.BAD_NAME, "The " + what + " name '" + shown(name)
          + "' is not valid: 1 to 63 of a-z 0-9 . _ -, first and last a letter or digit, no two dots in a row.");
    }
  }

  /** Without a regular expression: this is done for each call. */
  private static boolean valid(String name) {
    int length = name.length();
    if (length == 0 || length > LONGEST || !alphanumeric(name.charAt(0)) || !alphanumeric(name.charAt(length - 1))) {
      return false;
    }
    for (int i = 1; i < length - 1; i++) {
      char c = name.charAt(i);
      if (!alphanumeric(c) && c != '_' && c != '-' && (c != '.' || name.charAt(i - 1) == '.')) {
        return false;
      }
    }
    return true;
  }

  private static boolean alphanumeric(char c) {
    return c >= 'a' && c <= 'z' || c >= '0' && c <= '9';
  }

  /** Only printable ASCII, shortened: a name that is refused must not garble a terminal or a log. */
  public static String shown(String name) {
    String safe = name.replaceAll("[^ -~]", "?");
    return safe.length() > 80 ? safe.substring(0, 80) + "..." : safe;
  }
}
