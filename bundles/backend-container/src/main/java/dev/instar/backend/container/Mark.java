package dev.instar.backend.container;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/**
 * Tells the containers of one node from all others of the machine: the name of its directory below /run, and a variable in the environment of the
 * processes of the host that watch over its containers, {@code <data directory>-<run of the node>}.
 *
 * @param directory stands for the data directory
 * @param run of the node; the same for all components in it, so that two that overlap in a swap spare each other's containers
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

  /** The value of the variable. */
  String value() {
    return directory + "-" + run;
  }

  /** Whether it marks a process of a run of the node on this directory that is not this run. */
  boolean isPredecessors(String value) {
    return value.startsWith(directory + "-") && !value.equals(value());
  }
}
