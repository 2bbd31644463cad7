package dev.instar.listener;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import dev.instar.api.http.HttpEntry;
import dev.instar.api.http.ServiceSlot;
import java.net.BindException;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.channels.SelectionKey;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.eclipse.jetty.http.HttpCompliance;
import org.eclipse.jetty.http.UriCompliance;
import org.eclipse.jetty.http2.WindowRateControl;
import org.eclipse.jetty.http2.server.HTTP2CServerConnectionFactory;
import org.eclipse.jetty.io.EndPoint;
import org.eclipse.jetty.io.ManagedSelector;
import org.eclipse.jetty.io.SocketChannelEndPoint;
import org.eclipse.jetty.server.HttpConfiguration;
import org.eclipse.jetty.server.HttpConnectionFactory;
import org.eclipse.jetty.server.NetworkConnectionLimit;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.util.VirtualThreads;
import org.eclipse.jetty.util.thread.QueuedThreadPool;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One open port: a Jetty server that speaks HTTP/1.1 and HTTP/2 in clear text (by prior knowledge and by upgrade).
 *
 * <pre>
 *   Server ── ServerConnector ── GuardedEndPoint      header time
 *      │            ├── HttpConnectionFactory          header size, RFC 9110 and RFC 3986 to the letter
 *      │            └── HTTP2CServerConnectionFactory  streams, control frames
 *      ├── ProblemErrorHandler                         what Jetty refuses, as problem documents
 *      └── EntryHandler                                data rate, wait for the entry, drain
 * </pre>
 *
 * Selectors and acceptors run on a few platform threads; each request on a virtual thread of its own.
 */
public final class HttpListener implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(HttpListener.class);
  // One acceptor, two selectors, and spares that keep producing while a virtual thread is being started.
  private static final int PLATFORM_THREADS = 16;
  // Of chunk sizes, extensions and trailers together, beside a share of the body; a read of Jetty's takes 8 KiB.
  private static final int WRAPPING_BYTES = 64 << 10;

  // What a peer may send that nobody has read yet lies on the heap until somebody does; Jetty would take 1 MiB from each connection.
  private static final int STREAM_WINDOW = 64 << 10;
  private static final int CONNECTION_WINDOW = 256 << 10;
  private static final long LOOK_MILLIS = 1000;
  /** For a call to end that has been told to; a sandbox does within a second. */
  private static final Duration KILL = Duration.ofSeconds(5);
  /** For answers to leave whose exchanges have ended. */
  private static final Duration LAST = Duration.ofSeconds(1);

  private final Server server;
  private final ServerConnector connector;
  private final HttpConfiguration http;
  private final HTTP2CServerConnectionFactory http2;
  private final NetworkConnectionLimit connections;
  private final EntryHandler handler;
  private volatile Settings settings;

  private HttpListener(Settings settings, ServiceSlot<HttpEntry> entries) {
    QueuedThreadPool threads = new QueuedThreadPool(PLATFORM_THREADS, 4);
    threads.setName("http");
    threads.setDaemon(true);
    threads.setVirtualThreadsExecutor(VirtualThreads.getNamedVirtualThreadsExecutor("http-"));
    server = new Server(threads, null, new RequestBuffers());
    http = new HttpConfiguration();
    http.setUseInputDirectByteBuffers(false); // see RequestBuffers
    http.setUseOutputDirectByteBuffers(true);
    http.setSendServerVersion(false);
    http.setSendXPoweredBy(false);
    http.setHttpCompliance(HttpCompliance.RFC7230); // Jetty's name for no violation allowed at all, as RFC 9110 and 9112 want it
    http.setUriCompliance(UriCompliance.RFC3986);
    http2 = new HTTP2CServerConnectionFactory(http);
    http2.setConnectProtocolEnabled(false);
    http2.setInitialStreamRecvWindow(STREAM_WINDOW);
    http2.setInitialSessionRecvWindow(CONNECTION_WINDOW);
    connector = new ServerConnector(server, 1, 2, new HttpConnectionFactory(http), http2) {
      @Override
      protected SocketChannelEndPoint newEndPoint(SocketChannel channel, ManagedSelector selector, SelectionKey key) {
        GuardedEndPoint endPoint = new GuardedEndPoint(channel, selector, key, getScheduler(), HttpListener.this.settings.headerTimeout(),
            WRAPPING_BYTES);
        endPoint.setIdleTimeout(getIdleTimeout());
        return endPoint;
      }
    };
    connector.setHost(settings.bind());
    connector.setPort(settings.port());
    connections = new NetworkConnectionLimit(settings.maxConnections(), connector);
    ProblemErrorHandler errors = new ProblemErrorHandler(http);
    handler = new EntryHandler(entries, errors, settings);
    server.addConnector(connector);
    server.addBean(connections);
    server.setHandler(handler);
    server.setErrorHandler(errors);
    apply(settings);
  }

  /**
   * Opens the port and serves it.
   *
   * @throws InstarException FORBIDDEN for an address off loopback, BAD_REQUEST for one that does not exist, CONFLICT for a port that is taken
   */
  public static HttpListener open(Settings settings, ServiceSlot<HttpEntry> entries) {
    checkLoopback(settings.bind());
    HttpListener listener = new HttpListener(settings, entries);
    try {
      listener.server.start();
      listener.look();
      return listener;
    } catch (Exception e) {
      listener.stop();
      throw cannotOpen(settings, e);
    }
  }

  /** Looks for callers who have gone, now and every second until the listener is closed. */
  private void look() {
    for (EndPoint endPoint : connector.getConnectedEndPoints()) {
      if (endPoint instanceof GuardedEndPoint guarded) {
        guarded.look();
      }
    }
    connector.getScheduler().schedule(this::look, LOOK_MILLIS, TimeUnit.MILLISECONDS);
  }

  /** The real port. */
  public int port() {
    return connector.getLocalPort();
  }

  /** What holds now. */
  public Settings settings() {
    return settings;
  }

  /** Takes over everything but name, address and port; connections that are open keep what they began with. */
  void apply(Settings changed) {
    settings = changed;
    http.setRequestHeaderSize(changed.maxHeaderBytes());
    connector.setIdleTimeout(changed.idleTimeout().toMillis());
    connections.setMaxNetworkConnectionCount(changed.maxConnections());
    http2.setMaxConcurrentStreams(changed.http2MaxStreams());
    http2.setRateControlFactory(new WindowRateControl.Factory(changed.http2MaxControlFrames()));
    server.setStopTimeout(changed.stopTimeout().toMillis());
    handler.apply(changed);
  }

  /**
   * The end of the node: refuses new calls with 503 while the port stays open, so that whoever asks learns that the node is not ready, lets those that run
   * end up to the stop time, ends the others with an answer, and then closes. The stop time holds for all of it.
   */
  public void drain() {
    long end = System.nanoTime() + settings.stopTimeout().toNanos();
    try {
      handler.drain(settings.stopTimeout(), KILL);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    // What only looks may use what is left; those who follow a log end when the port is closed.
    server.setStopTimeout(Math.max(LAST.toMillis(), (end - System.nanoTime()) / 1_000_000));
    stop();
  }

  /** Takes no new connection and no new request, lets the running exchanges end up to the stop time, then closes. */
  @Override
  public void close() {
    stop();
  }

  private void stop() {
    try {
      server.stop();
    } catch (Exception e) {
      if (e instanceof TimeoutException) {
        LOG.warn("{} exchanges had not ended after {} ms; their connections were closed.", handler.inFlight(), settings.stopTimeout().toMillis());
      } else {
        LOG.warn("The listener on port {} did not stop cleanly.", settings.port(), e);
      }
      if (e instanceof InterruptedException) {
        Thread.currentThread().interrupt();
      }
    }
  }

  private static void checkLoopback(String bind) {
    try {
      if (!InetAddress.getByName(bind).isLoopbackAddress()) {
        throw new InstarException(ErrorCode.FORBIDDEN, "The listener does not open on " + bind
            + ": off loopback everything needs TLS and a credential, which this version cannot be given yet. Use --bind 127.0.0.1, or set bind in " + ListenerConfig.PID
            + ".cfg.json.");
      }
    } catch (UnknownHostException e) {
      throw new InstarException(ErrorCode.BAD_REQUEST, "The listener cannot open on '" + bind + "': there is no such address. Use --bind 127.0.0.1, or set bind in " + ListenerConfig.PID
            + ".cfg.json.");
    }
  }

  private static InstarException cannotOpen(Settings settings, Exception e) {
    String where = "port " + settings.port() + " of " + settings.bind();
    for (Throwable cause = e; cause != null; cause = cause.getCause()) {
      if (cause instanceof BindException) {
        return new InstarException(Problem.of(ErrorCode.CONFLICT, "The listener cannot open " + where + " (" + cause.getMessage()
            + "). Stop what listens there, or use another --port, or set port in " + ListenerConfig.PID
            + ".cfg.json."), e);
      }
    }
    String why = e.getMessage() != null ? e.getMessage() : e.getClass().getSimpleName();
    return new InstarException(Problem.of(ErrorCode.CONFLICT, "The listener cannot open " + where + ": " + why + "."), e);
  }
}
