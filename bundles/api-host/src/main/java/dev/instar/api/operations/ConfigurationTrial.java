package dev.instar.api.operations;

import java.util.Map;
import java.util.Optional;

/**
 * Of a part that can tell before a change of its configuration whether that would hold, where its declaration cannot: an address may be written rightly and not
 * be there. Whoever changes a configuration by a command or by the API asks it first; where it objects, nothing is changed. It may come and go with its part.
 */
public interface ConfigurationTrial {
  /** Whose configuration it tries. */
  String pid();

  /**
   * What is against these values, now. Changes nothing, ends within seconds, and does not throw.
   *
   * @param values of all keys, in their declared types, as they would be in force
   */
  Optional<ConfigurationProblem> objection(Map<String, Object> values);
}
