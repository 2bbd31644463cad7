package dev.instar.gateway;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.eclipse.jetty.http.HttpException;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.http.HttpHeaderValue;
import org.eclipse.jetty.http.HttpVersion;
import org.eclipse.jetty.io.Content;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.util.Blocker;

/**
 * A request's body as a blocking stream with a limit. The first read that has to wait is what sends 100 Continue, so a caller that asked for it
 * sends nothing before the checks that precede the read.
 */
final class Body extends InputStream {
  private final Request request;
  private final OptionalLong declared;
  private Content.Chunk chunk;
  private long limit = Long.MAX_VALUE;
  private long taken;
  private boolean ended;
  private boolean waited;
  /** Null while the body has not failed. */
  private Throwable failure;

  Body(Request request) {
    this.request = request;
    long length = request.getLength();
    boolean none = length < 0 && request.getConnectionMetaData().getHttpVersion().getVersion() < HttpVersion.HTTP_2.getVersion()
        && !request.getHeaders().contains(HttpHeader.TRANSFER_ENCODING);
    declared = none ? OptionalLong.of(0) : length >= 0 ? OptionalLong.of(length) : OptionalLong.empty();
  }

  /** How long the caller said that it is. */
  OptionalLong declared() {
    return declared;
  }

  /** @throws InstarException TOO_LARGE when the declared length is over it already */
  void limit(long bytes) {
    if (declared.isPresent() && declared.getAsLong() > bytes) {
      throw tooLarge(bytes);
    }
    limit = bytes;
  }

  private static InstarException tooLarge(long limit) {
    return new InstarException(ErrorCode.TOO_LARGE, "The body is larger than the " + limit + " bytes that are taken here.", Map.of("limitBytes", limit));
  }

  @Override
  public int read() throws IOException {
    byte[] one = new byte[1];
    return read(one, 0, 1) < 0 ? -1 : one[0] & 255;
  }

  @Override
  public int read(byte[] bytes, int offset, int length) throws IOException {
    Objects.checkFromIndexSize(offset, length, bytes.length);
    if (length == 0) {
      return 0;
    }
    if (!fetch()) {
      return -1;
    }
    ByteBuffer buffer = chunk.getByteBuffer();
    int n = Math.min(length, buffer.remaining());
    if (n > limit - taken) {
      throw tooLarge(limit);
    }
    buffer.get(bytes, offset, n);
    taken += n;
    if (!buffer.hasRemaining()) {
      release();
    }
    return n;
  }

  @Override
  public int available() {
    return chunk == null ? 0 : chunk.remaining();
  }

  /** All of it, where that is a number of bytes up to the limit and has come; it can be read all the same until {@link #skip}. Does not block. */
  Optional<byte[]> peek(int most) {
    if (declared.isEmpty() || declared.getAsLong() > most || taken > 0) {
      return Optional.empty();
    }
    int length = (int) declared.getAsLong();
    try {
      if (length > 0 && chunk == null && !ended) {
        poll();
      }
    } catch (IOException | InstarException e) {
      // Whoever reads it is told.
      return Optional.empty();
    }
    if (length == 0 || chunk != null && chunk.remaining() == length) {
      byte[] bytes = new byte[length];
      if (length > 0) {
        chunk.getByteBuffer().get(chunk.getByteBuffer().position(), bytes);
      }
      return Optional.of(bytes);
    }
    return Optional.empty();
  }

  /** What {@link #peek} has returned has been used. */
  void skip() {
    if (chunk != null) {
      taken += chunk.remaining();
      release();
    }
  }

  /** Waits until there is a byte; false at the end. */
  private boolean fetch() throws IOException {
    if (failure != null) {
      throw failure(failure);
    }
    while (chunk == null) {
      if (ended) {
        return false;
      }
      if (!poll()) {
        waited = true;
        try (Blocker.Runnable blocker = Blocker.runnable()) {
          request.demand(blocker);
          blocker.block();
        }
      }
    }
    return true;
  }

  /** Takes what has come; false when nothing has. */
  private boolean poll() throws IOException {
    Content.Chunk next = request.read();
    if (next == null) {
      return false;
    }
    if (Content.Chunk.isFailure(next)) {
      failure = next.getFailure();
      throw failure(failure);
    }
    chunk = next;
    if (!next.hasRemaining()) {
      release();
    }
    return true;
  }

  private void release() {
    ended |= chunk.isLast();
    chunk.release();
    chunk = null;
  }

  private static IOException failure(Throwable failure) {
    for (Throwable t = failure; t != null; t = t.getCause()) {
      if (t instanceof TimeoutException) {
        throw new InstarException(ErrorCode.TOO_SLOW, "The body came too slowly: " + (t.getMessage() == null ? "nothing came in time" : t.getMessage()) + ".");
      }
      if (t instanceof HttpException) {
        // The caller is still there and made a mistake, which is worth a sentence.
        throw new InstarException(ErrorCode.BAD_BODY, "The body is malformed: a chunk's size must be a hexadecimal number that fits, and each chunk must end where it says.");
      }
    }
    return new CallerGone("the body was cut", failure);
  }

  /** Whether nothing is left to read, without waiting for it. */
  boolean ended() {
    try {
      while (!ended && chunk == null && poll()) {
        // An empty chunk brings the end; one with bytes is not the end.
      }
    } catch (IOException | InstarException e) {
      return false;
    }
    return ended;
  }

  /** How much is still to come, where that is known. */
  OptionalLong left() {
    return declared.isPresent() ? OptionalLong.of(declared.getAsLong() - taken) : OptionalLong.empty();
  }

  /** Whether the caller waits for 100 Continue, which it has not been sent. */
  boolean held() {
    return !waited && taken == 0 && request.getHeaders().contains(HttpHeader.EXPECT, HttpHeaderValue.CONTINUE.asString());
  }

  /**
   * Throws away what still comes, up to a number of bytes and a time. An answer to a caller that is still sending would otherwise be lost: a
   * connection that is closed with unread bytes is reset by the kernel, and a reset discards what the caller has not read yet (RFC 9112, section 9.6).
   */
  void drain(long bytes, long nanos) throws InterruptedException {
    long deadline = System.nanoTime() + nanos;
    long left = bytes;
    try {
      while (!ended && left > 0) {
        if (chunk != null) {
          left -= chunk.remaining();
          release();
        } else if (!poll()) {
          CountDownLatch come = new CountDownLatch(1);
          request.demand(come::countDown);
          if (!come.await(deadline - System.nanoTime(), TimeUnit.NANOSECONDS)) {
            return;
          }
        }
      }
    } catch (IOException | InstarException e) {
      // Gone, or too slow: there is nobody to be polite to.
    }
  }

  /** Gives back what was read but not taken. */
  @Override
  public void close() {
    if (chunk != null) {
      release();
    }
  }
}
