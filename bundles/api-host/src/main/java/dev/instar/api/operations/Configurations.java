package dev.instar.api.operations;

import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * The configuration of a running node: for each PID the defaults of its bundle, then what its file says, then what the node was started with.
 *
 * <p>Values are strings, booleans, numbers, or lists of these. What changes a file checks it first against what the bundle declares, and returns when
 * the file is on the disk and the new values are in ConfigAdmin; the component that reads them gets them a moment later. A change that is refused
 * leaves the file and the values as they were. All methods may be called by any thread; changes happen one after another.
 *
 * <p>They fail with {@code config-not-found} for a PID that no bundle of the node takes, and with {@code config-refused} for what does not fit.
 */
public interface Configurations {
  /** What there is, by PID; a factory that has no configuration yet is in it once, under its own PID. */
  List<ConfigurationInfo> list();

  /** One of them. */
  ConfigurationInfo get(String pid);

  /** Makes the file hold these values and no others. */
  ConfigurationInfo replace(String pid, Map<String, Object> values);

  /**
   * Changes some values in the file and leaves the rest of it as it is, comments included.
   *
   * @param reset keys that get their defaults back
   */
  ConfigurationInfo change(String pid, Map<String, Object> values, Set<String> reset);

  /** Deletes the file, so that the defaults hold; of a factory, the configuration goes. @return whether there was a file */
  boolean remove(String pid);

  /** What would change if a file of this name had this content. @throws dev.instar.api.InstarException {@code config-refused} when it would be refused */
  ConfigurationComparison compare(String file, byte[] content);
}
