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
 */
final class GuardedEndPoint extends SocketChannelEndPoint {
  private final long headerNanos;
  private final AtomicInteger handling = new AtomicInteger();
  private volatile boolean http1 = true;
  // 0: no header has begun. Written by the thread that fills and by the one that begins a request, never at the same time.
  private volatile long headerSince;

  GuardedEndPoint(SocketChannel channel, ManagedSelector selector, SelectionKey key, Scheduler scheduler, Duration headerTimeout) {
    super(channel, selector, key, scheduler);
    headerNanos = headerTimeout.toNanos();
  }

  /** The headers are complete. */
  void requestBegins() {
    handling.incrementAndGet();
    headerSince = 0;
  }

  /** The exchange is over. Counted, since a pipelined request may begin before its predecessor's end is told. */
  void requestEnds() {
    handling.decrementAndGet();
  }

  @Override
  public int fill(ByteBuffer buffer) throws IOException {
    int filled = super.fill(buffer);
    if (filled > 0 && http1 && handling.get() == 0) {
      long now = System.nanoTime();
      if (headerSince == 0) {
        headerSince = now == 0 ? 1 : now;
      } else if (now - headerSince > headerNanos) {
        throw new EofException("headers not complete after " + Duration.ofNanos(headerNanos).toMillis() + " ms");
      }
    }
    return filled;
  }

  @Override
  public void upgrade(Connection connection) {
    http1 = false;
    super.upgrade(connection);
  }
}
