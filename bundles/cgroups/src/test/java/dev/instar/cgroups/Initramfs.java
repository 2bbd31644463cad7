package dev.instar.cgroups;

import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;

/** A root file system that Linux starts from: a cpio archive of the form "newc", as Documentation/driver-api/early-userspace/buffer-format.rst has it. */
final class Initramfs implements AutoCloseable {
  private static final int DIRECTORY = 0040755;
  private static final int PROGRAM = 0100755;

  private final OutputStream out;
  private final Set<String> directories = new HashSet<>();
  private int inode;
  private long written;

  Initramfs(Path file) throws IOException {
    out = new BufferedOutputStream(Files.newOutputStream(file), 1 << 16);
  }

  void directory(String name) throws IOException {
    if (name.isEmpty() || !directories.add(name)) {
      return;
    }
    parent(name);
    header(name, DIRECTORY, 0);
  }

  private void parent(String name) throws IOException {
    directory(name.contains("/") ? name.substring(0, name.lastIndexOf('/')) : "");
  }

  void file(String name, byte[] content) throws IOException {
    parent(name);
    header(name, PROGRAM, content.length);
    out.write(content);
    written += content.length;
    pad();
  }

  /** With what a link leads to. */
  void file(String name, Path source) throws IOException {
    parent(name);
    long size = Files.size(source);
    header(name, PROGRAM, size);
    written += Files.copy(source, out);
    pad();
  }

  /** All that is below, but for what has one of the names. */
  void tree(String name, Path source, List<String> without) throws IOException {
    try (Stream<Path> files = Files.walk(source)) {
      for (Path file : files.filter(Files::isRegularFile).filter(file -> !without.contains(file.getFileName().toString())).toList()) {
        file(name + "/" + source.relativize(file), file);
      }
    }
  }

  private void header(String name, int mode, long size) throws IOException {
    byte[] path = name.getBytes(StandardCharsets.UTF_8);
    // Magic, inode, mode, owner, group, links, time, size, device, special device, length of the name, checksum.
    String header = String.format("070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", ++inode, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, path.length + 1, 0);
    out.write(header.getBytes(StandardCharsets.US_ASCII));
    out.write(path);
    out.write(0);
    written += header.length() + path.length + 1;
    pad();
  }

  private void pad() throws IOException {
    for (; written % 4 != 0; written++) {
      out.write(0);
    }
  }

  @Override
  public void close() throws IOException {
    header("TRAILER!!!", 0, 0);
    out.close();
  }
}
