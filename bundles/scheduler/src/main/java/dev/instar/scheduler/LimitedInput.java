package dev.instar.scheduler;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import java.io.IOException;
import java.io.InputStream;
import java.util.Objects;
import java.util.OptionalLong;

/** A call's body within its limit. It remembers why it failed, because a function must not decide how that is told. */
final class LimitedInput extends InputStream {
  private final InputStream in;
  private final long limit;
  private final Parking parking;
  private final long length;
  private long left;
  private volatile Problem failure;
  private volatile boolean detached;

  /** @param length how much it is, where that is known */
  LimitedInput(InputStream in, OptionalLong length, long limit, Parking parking) {
    this.in = in;
    this.length = length.orElse(Long.MAX_VALUE);
    this.limit = limit;
    this.left = limit;
    this.parking = parking;
  }

  /** Why it failed; null when it did not. */
  Problem failure() {
    return failure;
  }

  /** The call has ended: a sandbox that still runs reads nothing more. */
  void detach() {
    detached = true;
  }

  @Override
  public int read() throws IOException {
    byte[] one = new byte[1];
    return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
  }

  @Override
  public int read(byte[] bytes, int offset, int length) throws IOException {
    Objects.checkFromIndexSize(offset, length, bytes.length);
    if (detached) {
      throw new IOException("The call has ended.");
    }
    if (length == 0) {
      return 0;
    }
    try {
      if (left == 0) {
        // One more byte tells a body of exactly the limit from one that is too large.
        if (waitAndRead(new byte[1], 0, 1) < 0) {
          return -1;
        }
        failure = Refusal.inputTooLarge(limit);
        throw new InstarException(failure);
      }
      int count = waitAndRead(bytes, offset, (int) Math.min(length, left));
      left -= Math.max(count, 0);
      return count;
    } catch (InstarException e) {
      failure = e.problem();
      throw e;
    } catch (IOException e) {
      failure = Problem.of(ErrorCode.CALLER_GONE, "The caller went away before its input was read.");
      throw e;
    }
  }

  private int waitAndRead(byte[] bytes, int offset, int count) throws IOException {
    // The end of a body of known length is not waited for: most calls read it, and would queue for their permit a second time.
    if (in.available() > 0 || limit - left >= length) {
      return in.read(bytes, offset, count);
    }
    parking.park();
    try {
      return in.read(bytes, offset, count);
    } finally {
      parking.unpark();
    }
  }

  @Override
  public int available() throws IOException {
    return detached ? 0 : (int) Math.min(left, in.available());
  }
}
