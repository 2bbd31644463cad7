package dev.instar.api.operations;

import java.util.List;

/**
 * One configuration as it stands.
 *
 * @param pid with {@code ~} and a name where it is one of a factory's
 * @param description what its bundle says that it is for; may be empty
 * @param factory whether the PID is that of a factory, under which there is no configuration
 * @param state where its values come from
 * @param files names of the files that are for it
 * @param problems why its files are not in force
 * @param settings its keys
 */
public record ConfigurationInfo(String pid, String description, boolean factory, State state, List<String> files, List<ConfigurationProblem> problems, List<ConfigurationSetting> settings) {
  /** Where a configuration's values come from. */
  public enum State {
    /** There is no file. */
    DEFAULT,
    /** The file is in force. */
    FILE,
    /** The file is refused: what was in force before it is, or the defaults. */
    REFUSED,
    /** No bundle takes the file yet. */
    WAITING
  }

  public ConfigurationInfo {
    files = List.copyOf(files);
    problems = List.copyOf(problems);
    settings = List.copyOf(settings);
  }
}
