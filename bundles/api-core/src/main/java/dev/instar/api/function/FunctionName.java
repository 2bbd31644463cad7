package dev.instar.api.function;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Names;

/**
 * A function's name: its owner and its name within the owner's functions, written {@code user/function}; each part by the rules of {@link Names}.
 *
 * @param user the owner
 * @param function the name among the owner's functions
 */
public record FunctionName(String user, String function) implements Comparable<FunctionName> {
  /** @throws InstarException {@link ErrorCode#BAD_NAME} when a part breaks the rules */
  public FunctionName {
    Names.check("user", user);
    Names.check("function", function);
  }

  /** Parses {@code user/function}. */
  public static FunctionName parse(String text) {
    int slash = text.indexOf('/');
    if (slash < 0) {
      throw new InstarException(ErrorCode.BAD_NAME, "'" + Names.shown(text) + "' is not a function's name; write user/function.");
    }
    return new FunctionName(text.substring(0, slash), text.substring(slash + 1));
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
