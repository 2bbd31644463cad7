package dev.instar.cgroups;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Optional;
import java.util.OptionalLong;

/** The files by which the kernel is told and tells. A write is one call of the kernel, because each is a command. */
final class ControlFile {
  private ControlFile() {}

  static void write(Path file, String value) throws IOException {
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
      channel.write(ByteBuffer.wrap(value.getBytes(StandardCharsets.US_ASCII)));
    }
  }

  /** Writes a limit, where the kernel has the file for it. */
  static void limit(String name, Path file, String value) throws IOException {
    try {
      write(file, value);
    } catch (IOException e) {
      throw new LimitRefused(name, value, e);
    }
  }

  static String read(Path file) throws IOException {
    return Files.readString(file, StandardCharsets.US_ASCII).strip();
  }

  /** The number in a file; empty where it is not there, or has none ("max"). */
  static OptionalLong number(Path file) {
    try {
      return parse(read(file));
    } catch (IOException e) {
      return OptionalLong.empty();
    }
  }

  /** The number behind a key, in a file of lines with a key and a number each. */
  static OptionalLong number(Path file, String key) {
    try {
      for (String line : read(file).lines().toList()) {
        if (line.startsWith(key + " ")) {
          return parse(line.substring(key.length() + 1));
        }
      }
    } catch (IOException e) {
      // It is not counted here.
    }
    return OptionalLong.empty();
  }

  private static OptionalLong parse(String text) {
    return !text.isEmpty() && text.length() < 19 && text.chars().allMatch(c -> c >= '0' && c <= '9') ? OptionalLong.of(Long.parseLong(text)) : OptionalLong.empty();
  }

  /** Those that this process may run on, as the kernel writes lists. */
  static Optional<String> processors() {
    try {
      return read(Path.of("/proc/self/status")).lines().filter(line -> line.startsWith("Cpus_allowed_list:")).findFirst().map(line -> line.substring(line.indexOf(':') + 1).strip());
    } catch (IOException e) {
      return Optional.empty();
    }
  }

  /** What the kernel said, without the path. */
  static String reason(IOException e) {
    if (e instanceof FileSystemException f && f.getReason() != null) {
      return f.getReason();
    }
    return e.getMessage() == null || e instanceof FileSystemException ? e.getClass().getSimpleName().replace("Exception", "") : e.getMessage();
  }
}
