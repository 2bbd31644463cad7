package dev.instar.listener;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicInteger;
import org.eclipse.jetty.io.Connection;
import org.eclipse.jetty.io.EofException;
import org.eclipse.jetty.io.ManagedSelector;
import org.eclipse.jetty.io.SocketChannelEndPoint;
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
 */
final class GuardedEndPoint extends SocketChannelEndPoint {
  // A chunk of one byte has 5 bytes around it ("1", two line ends); generous senders add an extension.
  private static final int WRAPPING_PER_BYTE = 16;

  private final long headerNanos;
  private final int wrappingBytes;
  private final AtomicInteger handling = new AtomicInteger();
  private volatile boolean http1 = true;
  // 0: no header has begun. Written by the thread that fills and by the one that begins a request, never at the same time.
  private volatile long headerSince;
  // Reads of a body and fills for it follow one another (Content.Source), so plain fields do.
  private boolean chunked;
  private long wrapping;
  // 0: nothing has come since the last bytes of the body.
  private long wrappingSince;

  /** @param wrappingBytes how many bytes may wrap a chunked body, beyond {@value #WRAPPING_PER_BYTE} for each of its bytes */
  GuardedEndPoint(SocketChannel channel, ManagedSelector selector, SelectionKey key, Scheduler scheduler, Duration headerTimeout, int wrappingBytes) {
    super(channel, selector, key, scheduler);
    headerNanos = headerTimeout.toNanos();
    this.wrappingBytes = wrappingBytes;
  }

  /** The headers are complete. */
  void requestBegins() {
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
    wrapping = Math.max(0, wrapping - (long) bytes * WRAPPING_PER_BYTE);
    wrappingSince = 0;
  }

  /** The exchange is over. Counted, since a pipelined request may begin before its predecessor's end is told. */
  void requestEnds() {
    handling.decrementAndGet();
  }

  @Override
  public int fill(ByteBuffer buffer) throws IOException {
    int filled = super.fill(buffer);
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
