package dev.instar.backend.container;

import dev.instar.api.data.NodeMark;
import java.io.IOException;
import java.nio.file.Path;

/**
 * Tells the containers of one node from all others of the machine: the name of its directory below /run, and a variable in the environment of the
 * processes of the host that watch over its containers, {@code <data directory>-<run of the node>}.
 *
 * @param directory and {@code run}: see {@link NodeMark}
 */
record Mark(String directory, String run) {
  static Mark of(Path directory) throws IOException {
    NodeMark node = NodeMark.of(directory);
    return new Mark(node.directory(), node.run());
  }

  /** The value of the variable. */
  String value() {
    return directory + "-" + run;
  }

  /** Whether it marks a process of a run of the node on this directory that is not this run. */
  boolean isPredecessors(String value) {
    return value.startsWith(directory + "-") && !value.equals(value());
  }
}
