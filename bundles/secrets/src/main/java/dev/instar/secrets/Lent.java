package dev.instar.secrets;

import dev.instar.api.secret.SecretLease;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileTime;
import java.util.Arrays;
import java.util.Collections;
import java.util.Map;

/** The values of some secrets, and the files that they were read from. */
final class Lent implements SecretLease {
  private final Map<Path, Stamp> files;
  private final Map<String, byte[]> values;

  /**
   * Tells one file from another that was put in its place.
   *
   * @param key device and inode
   */
  record Stamp(Object key, FileTime modified, long size) {
    static Stamp of(Path file) throws IOException {
      BasicFileAttributes now = Files.readAttributes(file, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
      return new Stamp(now.fileKey(), now.lastModifiedTime(), now.size());
    }
  }

  Lent(Map<Path, Stamp> files, Map<String, byte[]> values) {
    this.files = files;
    this.values = Collections.unmodifiableMap(values);
  }

  @Override
  public Map<String, byte[]> values() {
    return values;
  }

  @Override
  public boolean current() {
    try {
      for (Map.Entry<Path, Stamp> file : files.entrySet()) {
        if (!file.getValue().equals(Stamp.of(file.getKey()))) {
          return false;
        }
      }
      return true;
    } catch (IOException e) {
      return false;
    }
  }

  /** What a dump of the heap would show of them is gone with the sandbox. */
  @Override
  public void close() {
    values.values().forEach(value -> Arrays.fill(value, (byte) 0));
  }
}
