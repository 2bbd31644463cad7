package dev.instar.backend.process;

import dev.instar.api.data.NodeMark;
import java.io.IOException;
import java.nio.file.Path;
import java.util.UUID;

/**
 * What tells a sandbox's processes from all others of the machine: the value of a variable in their environment,
 * {@code <data directory>-<run of the node>-<sandbox>}.
 *
 * @param directory and {@code run}: see {@link NodeMark}
 */
record Mark(String directory, String run) {
  static Mark of(Path directory) throws IOException {
    NodeMark node = NodeMark.of(directory);
    return new Mark(node.directory(), node.run());
  }

  String newSandbox() {
    return directory + "-" + run + "-" + UUID.randomUUID();
  }

  /** Whether it marks a process of a run of the node on this directory that is not this run. */
  boolean isPredecessors(String value) {
    return value.startsWith(directory + "-") && !value.startsWith(directory + "-" + run + "-");
  }
}
