package dev.instar.api.function;

import java.util.List;
import java.util.Optional;

/**
 * A function with its versions, as it is at one moment.
 *
 * @param name its name
 * @param versions oldest first; at least one
 * @param active the number of the version that answers calls
 * @param previous the number that was active before, to which a roll-back returns; empty when there is none
 */
public record Function(FunctionName name, List<FunctionVersion> versions, int active, Optional<Integer> previous) {
  public Function {
    versions = List.copyOf(versions);
  }

  public FunctionVersion activeVersion() {
    return version(active).orElseThrow();
  }

  public Optional<FunctionVersion> version(int number) {
    // Asked twice in each call.
    for (FunctionVersion version : versions) {
      if (version.number() == number) {
        return Optional.of(version);
      }
    }
    return Optional.empty();
  }
}
