package dev.instar.api.invocation;

import dev.instar.api.function.FunctionName;
import java.util.Objects;

/** Whose calls are meant. The narrower one wins: a function's before its user's before everybody's. */
public sealed interface BackendScope {
  /** Every function's. */
  record All() implements BackendScope {}

  /** Those of a user's functions. */
  record User(String user) implements BackendScope {
    public User {
      Objects.requireNonNull(user);
    }
  }

  /** Those of a function. */
  record One(FunctionName function) implements BackendScope {
    public One {
      Objects.requireNonNull(function);
    }
  }

  /** Whether a function is meant. */
  default boolean covers(FunctionName name) {
    return switch (this) {
      case All _ -> true;
      case User(String user) -> user.equals(name.user());
      case One(FunctionName function) -> function.equals(name);
    };
  }
}
