package dev.instar.snapshots;

import dev.instar.api.Digest;
import dev.instar.api.data.PositionedFile;
import dev.instar.api.snapshot.SnapshotStore;
import java.io.IOException;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.zip.DataFormatException;
import java.util.zip.Deflater;
import java.util.zip.Inflater;

/** What is done with the chunks of a memory file: sums, compression, zeros. */
final class Chunks {
  static final int SIZE = SnapshotStore.CHUNK_BYTES;
  static final int SUM_BYTES = 32;
  /** In place of a SHA-256, which nobody can find content for. */
  static final byte[] HOLE = new byte[SUM_BYTES];

  private static final byte[] ZEROS = new byte[SIZE];

  private Chunks() {}

  static int count(long bytes) {
    return Math.toIntExact((bytes + SIZE - 1) / SIZE);
  }

  static int length(long bytes, int chunk) {
    return (int) Math.min(SIZE, bytes - (long) chunk * SIZE);
  }

  /** Of up to {@link #SIZE} bytes. */
  static boolean isZero(byte[] bytes, int from, int to) {
    return Arrays.equals(bytes, from, to, ZEROS, 0, to - from);
  }

  static byte[] sum(byte[] chunk, int length) {
    MessageDigest sha256 = Digest.sha256();
    sha256.update(chunk, 0, length);
    return sha256.digest();
  }

  /** At the fastest level: a publication must not take a processor from running functions for longer than it gains on the disk. */
  static byte[] deflate(byte[] chunk, int length) {
    try (Deflater deflater = new Deflater(Deflater.BEST_SPEED, true)) {
      deflater.setInput(chunk, 0, length);
      deflater.finish();
      byte[] packed = new byte[length + 1024];
      int size = 0;
      while (!deflater.finished()) {
        if (size == packed.length) {
          packed = Arrays.copyOf(packed, 2 * packed.length);
        }
        size += deflater.deflate(packed, size, packed.length - size);
      }
      return Arrays.copyOf(packed, size);
    }
  }

  /** Writes {@code length} bytes into {@code chunk}. @return whether {@code packed} holds just so many and nothing after them */
  static boolean inflate(byte[] packed, byte[] chunk, int length) {
    try (Inflater inflater = new Inflater(true)) {
      inflater.setInput(packed);
      int size = 0;
      while (size < length) {
        int more = inflater.inflate(chunk, size, length - size);
        if (more == 0) {
          return false;
        }
        size += more;
      }
      return inflater.inflate(new byte[1]) == 0 && inflater.finished() && inflater.getRemaining() == 0;
    } catch (DataFormatException e) {
      return false;
    }
  }

  static void read(Path file, long offset, byte[] into, int length) throws IOException {
    try (PositionedFile in = PositionedFile.open(file)) {
      in.read(offset, into, length);
    }
  }
}
