package dev.instar.api.data;

import dev.instar.api.Digest;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.Arrays;

/**
 * Bytes in a file that knows when it is damaged: the bytes, then their SHA-256. It guards against damage, not against who may write there. For
 * documents that people read there is {@link ChecksummedDocument}.
 */
public final class ChecksummedBytes {
  private static final int SUM_BYTES = 32;

  private ChecksummedBytes() {}

  /** Writes a cache's file, see {@link DurableFiles#writeUnsynced}; a power cut may damage it, which {@link #read} sees. */
  public static void writeUnsynced(Path file, byte[] bytes) throws IOException {
    byte[] sum = sum(bytes, bytes.length);
    DurableFiles.writeUnsynced(file, out -> {
      out.write(bytes);
      out.write(sum);
    });
  }

  /**
   * The bytes.
   *
   * @throws ChecksummedDocument.DamagedException when the file is there but is not what was written
   * @throws IOException when it cannot be read
   */
  public static byte[] read(Path file) throws IOException {
    byte[] all = Files.readAllBytes(file);
    int length = all.length - SUM_BYTES;
    if (length < 0) {
      throw new ChecksummedDocument.DamagedException(file, "it has only " + all.length + " bytes");
    }
    if (!Arrays.equals(sum(all, length), 0, SUM_BYTES, all, length, all.length)) {
      throw new ChecksummedDocument.DamagedException(file, "its checksum does not fit");
    }
    return Arrays.copyOf(all, length);
  }

  private static byte[] sum(byte[] bytes, int length) {
    MessageDigest sha256 = Digest.sha256();
    sha256.update(bytes, 0, length);
    return sha256.digest();
  }
}
