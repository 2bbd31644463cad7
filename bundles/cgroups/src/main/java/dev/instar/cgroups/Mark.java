package dev.instar.cgroups;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/**
 * What tells this node's cgroups from all others of the host: the name of the directory that holds them, {@code instar-<data directory>-<run of the node>}.
 *
 * @param directory stands for the data directory
 * @param run of the node; the same for all components in it, so that two that overlap in a swap spare each other's
 */
record Mark(String directory, String run) {
  private static final String PREFIX = "instar-";
  /** The process id and its start: the same in whatever class loader. */
  private static final String THIS_RUN = ProcessHandle.current().pid() + "." + ProcessHandle.current().info().startInstant()
      .map(start -> Long.toString(start.toEpochMilli())).orElse("0");

  /** By place and identity of the directory: in two containers that see the same hierarchies, the same path can be two directories. */
  static Mark of(Path directory) throws IOException {
    return of(directory, THIS_RUN);
  }

  static Mark of(Path directory, String run) throws IOException {
    Path real = directory.toRealPath();
    Object identity = Files.readAttributes(real, "fileKey").get("fileKey");
    try {
      byte[] hash = MessageDigest.getInstance("SHA-256").digest((real + "\n" + identity).getBytes(StandardCharsets.UTF_8));
      return new Mark(HexFormat.of().formatHex(hash, 0, 8), run);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("Every Java platform has SHA-256.", e);
    }
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
