package dev.instar.listener;

import dev.instar.api.Threads;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.eclipse.jetty.io.AbstractConnection;
import org.eclipse.jetty.io.Connection;
import org.eclipse.jetty.io.EndPoint;
import org.eclipse.jetty.io.EofException;
import org.eclipse.jetty.io.ManagedSelector;
import org.eclipse.jetty.io.SocketChannelEndPoint;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.util.BufferUtil;
import org.eclipse.jetty.util.thread.Scheduler;

/**
 * A connection whose HTTP/1 request headers must be complete within a time from their first byte. Jetty's idle time begins anew with
 * each byte, so that a caller who sends one now and then would hold a connection for days.
 *
 * <p>The time is looked at when bytes come; when none come the idle time ends the connection. Bytes that come while a request is being handled are
 * its body, which {@link PacedRequest} watches. HTTP/2 frames its headers; there the idle time and the control frames' limit hold.
 *
 * <p>What wraps the chunks of a body (sizes, extensions, trailers) is bounded here too: Jetty skips it without end, and it is nobody's body, so no limit
 * of a body would ever hold it.
 *
 * <p>It also looks for a caller who has gone while its request is being handled, which HTTP/1 leaves unseen: nobody reads the connection then. What
 * comes instead of its end (the next request, sent ahead, or the farewell of TLS) is kept for whoever reads next. Under TLS the handshake counts as part
 * of the first request's headers, and a caller who says farewell before he goes is seen only when the answer is written.
 *
 * <p>An HTTP/1 connection in clear text is read {@value #SMALL_READ} bytes at a time, which most requests fit in, and {@value #LARGE_READ} while there is
 * more: each read has a buffer of its own ({@link RequestBuffers}), there are two reads a request, and a call that waits keeps its buffer.
 */
final class GuardedEndPoint extends SocketChannelEndPoint {
  static final int SMALL_READ = 2 << 10;
  static final int LARGE_READ = 8 << 10;
  private static final int LOOK_BYTES = 1024;
  private static final int IN_PLACE = 4;
  // A chunk of one byte has 5 bytes around it ("1", two line ends); generous senders add an extension.
  private static final int WRAPPING_PER_BYTE = 16;
  // TLS adds up to 38 bytes to each record (a header of 5, a nonce of 8, a tag of 16 and some), and a byte may have one of its own.
  private static final int SECURE_WRAPPING_PER_BYTE = WRAPPING_PER_BYTE + 40;

  private final long headerNanos;
  private final int wrappingBytes;
  private final boolean secure;
  private final AtomicInteger handling = new AtomicInteger();
  /** How often it was read in place since it last waited for bytes. Of one thread after the other. */
  private volatile int inPlace;
  private final AtomicReference<Request> current = new AtomicReference<>();
  private final Object filling = new Object();
  private volatile boolean http1 = true;
  // What a look has read. Changed under the lock.
  private volatile ByteBuffer early = BufferUtil.EMPTY_BUFFER;
  // Of the thread that looks: the request at the last look.
  private Request looked;
  // 0: no header has begun. Written by the thread that fills and by the one that begins a request, never at the same time.
  private volatile long headerSince;
  // Reads of a body and fills for it follow one another (Content.Source), so plain fields do.
  private boolean chunked;
  private long wrapping;
  // 0: nothing has come since the last bytes of the body.
  private long wrappingSince;

  /** @param wrappingBytes how many bytes may wrap a chunked body, beyond {@value #WRAPPING_PER_BYTE} for each of its bytes */
  GuardedEndPoint(SocketChannel channel, ManagedSelector selector, SelectionKey key, Scheduler scheduler, Duration headerTimeout, int wrappingBytes, boolean secure) {
    super(channel, selector, key, scheduler);
    this.secure = secure;
    headerNanos = headerTimeout.toNanos();
    this.wrappingBytes = wrappingBytes;
  }

  /** The connection's own end below whatever lies on it, such as TLS. */
  static Optional<GuardedEndPoint> of(EndPoint endPoint) {
    EndPoint lowest = endPoint;
    while (lowest instanceof EndPoint.Wrapper wrapper) {
      lowest = wrapper.unwrap();
    }
    return lowest instanceof GuardedEndPoint guarded ? Optional.of(guarded) : Optional.empty();
  }

  /** TLS is agreed: bytes are HTTP/1 from now on, and the time of its first header has not begun. */
  void beginsHttp1() {
    headerSince = 0;
  }

  /** As much as the next read is to take. Under TLS reads follow its records. */
  private void size(boolean more) {
    if (!secure && http1 && getConnection() instanceof AbstractConnection reader) {
      reader.setInputBufferSize(more ? LARGE_READ : SMALL_READ);
    }
  }

  /** Bytes are frames of HTTP/2 from now on. */
  void beginsHttp2() {
    http1 = false;
  }

  /** The headers are complete. */
  void requestBegins(Request request) {
    current.set(request);
    handling.incrementAndGet();
    headerSince = 0;
    chunked = false;
  }

  /** The request's body comes in chunks. */
  void chunksBegin() {
    chunked = true;
    wrapping = 0;
    wrappingSince = 0;
  }

  /** So many bytes of what came were the body's own. */
  void unwrapped(int bytes) {
    wrapping = Math.max(0, wrapping - (long) bytes * (secure ? SECURE_WRAPPING_PER_BYTE : WRAPPING_PER_BYTE));
    wrappingSince = 0;
  }

  /** The exchange is over. Counted, since a pipelined request may begin before its predecessor's end is told. */
  void requestEnds(Request request) {
    current.compareAndSet(request, null);
    handling.decrementAndGet();
  }

  /** Fails the request when its caller has gone; one that was not there at the last look is left alone, as most end before the next. */
  void look() {
    Request request = current.get();
    boolean again = request != null && request == looked;
    looked = request;
    // Who waits for bytes sees their end as well.
    if (again && http1 && !getFillInterest().isInterested() && hasGone()) {
      try {
        request.fail(new EofException("the caller went away"));
      } catch (RuntimeException e) {
        // It has ended just now.
      }
    }
  }

  private boolean hasGone() {
    synchronized (filling) {
      if (early.hasRemaining()) {
        return false;
      }
      ByteBuffer bytes = BufferUtil.allocate(LOOK_BYTES);
      try {
        if (super.fill(bytes) < 0) {
          return true;
        }
      } catch (IOException e) {
        return true;
      }
      early = bytes;
    }
    if (early.hasRemaining() && getFillInterest().isInterested()) {
      // It has begun to wait for what has been taken out of the socket by now.
      getFillInterest().fillable();
    }
    return false;
  }

  /** Whether who has ended an exchange may look for the next one. */
  boolean mayGoOn() {
    int before = inPlace;
    inPlace = before + 1;
    return before < IN_PLACE;
  }

  /** Either this sees what a look has read, or the look sees the interest. */
  @Override
  protected void needsFillInterest() {
    inPlace = 0;
    if (early.hasRemaining()) {
      Threads.startVirtual("http-early", () -> getFillInterest().fillable());
    } else {
      super.needsFillInterest();
    }
  }

  @Override
  public int fill(ByteBuffer buffer) throws IOException {
    int room = BufferUtil.space(buffer);
    int filled;
    synchronized (filling) {
      filled = early.hasRemaining() ? BufferUtil.append(buffer, early) : super.fill(buffer);
    }
    if (filled > 0) {
      size(filled == room);
    }
    if (filled > 0 && http1 && handling.get() == 0) {
      long now = now();
      if (headerSince == 0) {
        headerSince = now;
      } else if (now - headerSince > headerNanos) {
        throw new EofException("headers not complete after " + Duration.ofNanos(headerNanos).toMillis() + " ms");
      }
    } else if (filled > 0 && chunked) {
      wrapping += filled;
      if (wrapping > wrappingBytes) {
        throw new EofException("more than " + wrappingBytes + " bytes around the chunks of a body");
      }
      // None of them is a byte of the body, so the data rate does not see that time goes by.
      long now = now();
      if (wrappingSince == 0) {
        wrappingSince = now;
      } else if (now - wrappingSince > headerNanos) {
        throw new EofException("a chunk not begun after " + Duration.ofNanos(headerNanos).toMillis() + " ms");
      }
    }
    return filled;
  }

  /** Never 0, which means that nothing has begun. */
  private static long now() {
    long now = System.nanoTime();
    return now == 0 ? 1 : now;
  }

  @Override
  public void upgrade(Connection connection) {
    http1 = false;
    super.upgrade(connection);
  }
}
