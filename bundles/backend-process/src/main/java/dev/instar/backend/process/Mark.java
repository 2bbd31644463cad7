package dev.instar.backend.process;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.UUID;

/**
 * What tells a sandbox's processes from all others of the machine: the value of a variable in their environment,
 * {@code <data directory>-<run of the node>-<sandbox>}.
 *
 * @param directory stands for the data directory: a hash, so that guests do not learn the path
 * @param run of the node; the same for all components in it, so that two that overlap in a swap spare each other's processes
 */
record Mark(String directory, String run) {
  /** The process id and its start: the same in whatever class loader. */
  private static final String THIS_RUN = ProcessHandle.current().pid() + "." + ProcessHandle.current().info().startInstant()
      .map(start -> Long.toString(start.toEpochMilli())).orElse("0");

  /** By place and identity of the directory: in two containers, both that see the same processes, the same path can be two directories. */
  static Mark of(Path directory) throws IOException {
    Path real = directory.toRealPath();
    Object identity = Files.readAttributes(real, "fileKey").get("fileKey");
    try {
      byte[] hash = MessageDigest.getInstance("SHA-256").digest((real + "\n" + identity).getBytes(StandardCharsets.UTF_8));
      return new Mark(HexFormat.of().formatHex(hash, 0, 16), THIS_RUN);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("Every Java platform has SHA-256.", e);
    }
  }

  String newSandbox() {
    return directory + "-" + run + "-" + UUID.randomUUID();
  }

  /** Whether it marks a process of a run of the node on this directory that is not this run. */
  boolean isPredecessors(String value) {
    return value.startsWith(directory + "-") && !value.startsWith(directory + "-" + run + "-");
  }
}
