package dev.instar.api.function;

import java.time.Instant;
import java.util.Objects;

/**
 * One immutable version of a function.
 *
 * @param name the function
 * @param number 1 for the first; a number is not given twice while the function exists
 * @param uid unique for ever on this node, so that a function removed and made again never meets its former self's sandboxes
 * @param created when it was published
 * @param spec what was deployed
 */
public record FunctionVersion(FunctionName name, int number, String uid, Instant created, FunctionSpec spec) {
  public FunctionVersion {
    Objects.requireNonNull(name);
    Objects.requireNonNull(uid);
    Objects.requireNonNull(created);
    Objects.requireNonNull(spec);
  }

  /** {@code user/function@number}. */
  public String label() {
    return name + "@" + number;
  }
}
