package dev.instar.api.operations;

import java.util.List;
import java.util.Optional;

/**
 * What a file would change.
 *
 * @param pid of the configuration that it is for
 * @param changes in the order of the keys
 */
public record ConfigurationComparison(String pid, List<Change> changes) {
  /**
   * One value that would be another.
   *
   * @param from what is in force; empty where nothing is, and for a secret
   * @param to what would be; empty where nothing would be, and for a secret
   * @param secret whether either is kept from everybody but the component
   */
  public record Change(String key, Optional<Object> from, Optional<Object> to, boolean secret) {}

  public ConfigurationComparison {
    changes = List.copyOf(changes);
  }
}
