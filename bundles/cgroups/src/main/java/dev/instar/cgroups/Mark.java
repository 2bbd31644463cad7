package dev.instar.cgroups;

import dev.instar.api.data.NodeMark;
import java.io.IOException;
import java.nio.file.Path;

/**
 * What tells this node's cgroups from all others of the host: the name of the directory that holds them, {@code instar-<data directory>-<run of the node>}.
 *
 * @param directory the first half of that of the {@link NodeMark}, since it stands in many paths
 * @param run that of the {@link NodeMark}
 */
record Mark(String directory, String run) {
  private static final String PREFIX = "instar-";
  private static final int DIGITS = 16;

  static Mark of(Path directory) throws IOException {
    NodeMark node = NodeMark.of(directory);
    return new Mark(node.directory().substring(0, DIGITS), node.run());
  }

  static Mark of(Path directory, String run) throws IOException {
    return new Mark(of(directory).directory, run);
  }

  /** The directory of this run. */
  String name() {
    return PREFIX + directory + "-" + run;
  }

  /** Whether a directory of this name was made by a run of the node on this data directory that is not this run. */
  boolean isPredecessors(String name) {
    return name.startsWith(PREFIX + directory + "-") && !name.equals(name());
  }
}
