package dev.instar.scheduler;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import java.io.IOException;
import java.io.OutputStream;
import java.util.Objects;

/** A call's answer within its limit. It remembers why it failed, because a function must not decide how that is told. */
final class LimitedOutput extends OutputStream {
  /** Up to here what holds an answer back, or a socket's buffer, takes it without waiting for the caller. */
  private static final long UNLIKELY_TO_WAIT = 16 << 10;

  private final OutputStream out;
  private final long limit;
  private final Parking parking;
  private long written;
  private volatile Problem failure;
  private volatile boolean detached;

  LimitedOutput(OutputStream out, long limit, Parking parking) {
    this.out = out;
    this.limit = limit;
    this.parking = parking;
  }

  /** Why it failed; null when it did not. */
  Problem failure() {
    return failure;
  }

  /** Bytes that the function has answered, or was about to when the caller took no more. */
  long written() {
    return written;
  }

  /** The call has ended: a sandbox that still runs writes nothing more. */
  void detach() {
    detached = true;
  }

  @Override
  public void write(int b) throws IOException {
    write(new byte[] {(byte) b}, 0, 1);
  }

  @Override
  public void write(byte[] bytes, int offset, int length) throws IOException {
    Objects.checkFromIndexSize(offset, length, bytes.length);
    if (detached) {
      throw new IOException("The call has ended.");
    }
    if (length > limit - written) {
      failure = Refusal.outputTooLarge(limit);
      throw new InstarException(failure);
    }
    written += length;
    waiting(() -> out.write(bytes, offset, length));
  }

  @Override
  public void flush() throws IOException {
    if (!detached) {
      waiting(out::flush);
    }
  }

  private void waiting(Writing writing) throws IOException {
    try {
      if (written <= UNLIKELY_TO_WAIT) {
        writing.run();
        return;
      }
      parking.park();
      try {
        writing.run();
      } finally {
        parking.unpark();
      }
    } catch (InstarException e) {
      failure = e.problem();
      throw e;
    } catch (IOException e) {
      failure = Problem.of(ErrorCode.CALLER_GONE, "The caller went away before the answer was written.");
      throw e;
    }
  }

  @FunctionalInterface
  private interface Writing {
    void run() throws IOException;
  }
}
