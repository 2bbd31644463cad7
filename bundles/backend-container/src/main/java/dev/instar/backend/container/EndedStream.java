package dev.instar.backend.container;

import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;
import java.util.Optional;
import java.util.function.Consumer;

/** A stream that ends with a secret and eight bytes behind it, while the stream below stays open. For one reader, of arrays. */
final class EndedStream extends InputStream {
  private static final int TAIL = 8;

  private final InputStream in;
  private final byte[] secret;
  private final Consumer<Optional<byte[]>> ended;
  private final byte[] pending = new byte[16 << 10];
  private int count;
  /** The stream below has ended. */
  private boolean drained;
  private boolean over;

  /** @param ended told once: the bytes behind the secret, or nothing when the stream below has ended before, or this was closed */
  EndedStream(InputStream in, byte[] secret, Consumer<Optional<byte[]>> ended) {
    this.in = in;
    this.secret = secret.clone();
    this.ended = ended;
  }

  @Override
  public int read() throws IOException {
    byte[] one = new byte[1];
    return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
  }

  @Override
  public int read(byte[] bytes, int offset, int length) throws IOException {
    while (!over) {
      int free = free();
      if (free > 0) {
        int given = Math.min(free, length);
        System.arraycopy(pending, 0, bytes, offset, given);
        count -= given;
        System.arraycopy(pending, given, pending, 0, count);
        return given;
      }
      if (count >= secret.length + TAIL) {
        end(Optional.of(Arrays.copyOfRange(pending, secret.length, secret.length + TAIL)));
      } else if (drained) {
        end(Optional.empty());
      } else {
        int got = in.read(pending, count, pending.length - count);
        drained = got < 0;
        count += Math.max(0, got);
      }
    }
    return -1;
  }

  /** How many of the pending bytes are none of the secret. */
  private int free() {
    for (int at = 0; at < count; at++) {
      int most = Math.min(secret.length, count - at);
      if (pending[at] == secret[0] && Arrays.equals(pending, at, at + most, secret, 0, most)) {
        return drained && count - at < secret.length + TAIL ? count : at;
      }
    }
    return count;
  }

  private void end(Optional<byte[]> tail) {
    if (!over) {
      over = true;
      ended.accept(tail);
    }
  }

  /** Leaves the stream below open. */
  @Override
  public void close() {
    end(Optional.empty());
  }
}
