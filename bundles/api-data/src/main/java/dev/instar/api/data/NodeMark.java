package dev.instar.api.data;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/**
 * What a node writes on all that it has of its host (processes, mounts, cgroups), so that a start finds what a killed predecessor left, and takes nothing of
 * others.
 *
 * @param directory stands for the data directory: 32 hexadecimal digits of a hash, so that guests do not learn the path
 * @param run of the node; the same for all components in it, so that two that overlap in a swap spare each other's
 */
public record NodeMark(String directory, String run) {
  private static final int BYTES = 16;
  /** The process id and its start: the same in whatever class loader. */
  private static final String THIS_RUN = ProcessHandle.current().pid() + "." + ProcessHandle.current().info().startInstant()
      .map(start -> Long.toString(start.toEpochMilli())).orElse("0");

  /** What tells this run of a node from all others of the host until that boots anew. */
  public static String thisRun() {
    return THIS_RUN;
  }

  /**
   * That of this run on a data directory: by place and identity of the directory, as the same path can be two directories in two containers that both see the
   * same processes.
   *
   * @throws IOException when the directory is not there
   */
  public static NodeMark of(Path directory) throws IOException {
    Path real = directory.toRealPath();
    Object identity = Files.readAttributes(real, "fileKey").get("fileKey");
    try {
      byte[] hash = MessageDigest.getInstance("SHA-256").digest((real + "\n" + identity).getBytes(StandardCharsets.UTF_8));
      return new NodeMark(HexFormat.of().formatHex(hash, 0, BYTES), THIS_RUN);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("Every Java platform has SHA-256.", e);
    }
  }
}
