package dev.instar.api.operations;

import java.math.BigDecimal;
import java.util.List;
import java.util.Objects;
import java.util.Optional;

/**
 * One key of a configuration.
 *
 * @param key as it stands in the file
 * @param type what a value is: text, boolean, integer, number
 * @param list whether the value is a list of them
 * @param description what its bundle says that it is for; may be empty
 * @param value what is in force; empty where nothing is, and for a secret
 * @param standard what is in force where nobody says anything else
 * @param min the smallest number, or the shortest text in characters
 * @param max the largest number, or the longest text in characters
 * @param options the only values that are allowed; empty: all
 * @param source who says the value
 * @param secret whether the value is kept from everybody but the component
 * @param written the placeholders as they stand in the file, where the value comes from some
 */
public record ConfigurationSetting(String key, String type, boolean list, String description, Optional<Object> value, Optional<Object> standard, Optional<BigDecimal> min, Optional<BigDecimal> max,
    List<String> options, Source source, boolean secret, Optional<String> written) {
  /** Who says a value. */
  public enum Source {
    DEFAULT, FILE,
    /** An option that the node was started with, which wins over the file. */
    OVERRIDE
  }

  public ConfigurationSetting {
    Objects.requireNonNull(key);
    options = List.copyOf(options);
  }
}
