package dev.instar.api.operations;

import java.util.Objects;
import java.util.Optional;

/**
 * One thing that is wrong with a configuration.
 *
 * @param detail a sentence or two that name the file, the line, the key, the value and what fits
 * @param key that it is about
 * @param value as it was found, where it may be shown
 * @param allowed what fits
 */
public record ConfigurationProblem(String detail, Optional<String> key, Optional<String> value, Optional<String> allowed) {
  public ConfigurationProblem {
    Objects.requireNonNull(detail);
    Objects.requireNonNull(key);
    Objects.requireNonNull(value);
    Objects.requireNonNull(allowed);
  }
}
