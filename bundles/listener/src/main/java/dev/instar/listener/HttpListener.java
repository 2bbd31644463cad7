package dev.instar.listener;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import dev.instar.api.Threads;
import dev.instar.api.http.HttpEntry;
import dev.instar.api.http.ServiceSlot;
import java.net.BindException;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.channels.SelectionKey;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.eclipse.jetty.http.HttpCompliance;
import org.eclipse.jetty.http.UriCompliance;
import org.eclipse.jetty.http2.WindowRateControl;
import org.eclipse.jetty.http2.server.HTTP2CServerConnectionFactory;
import org.eclipse.jetty.http2.server.HTTP2ServerConnectionFactory;
import org.eclipse.jetty.io.Connection;
import org.eclipse.jetty.io.EndPoint;
import org.eclipse.jetty.io.ManagedSelector;
import org.eclipse.jetty.io.SocketChannelEndPoint;
import org.eclipse.jetty.server.ConnectionFactory;
import org.eclipse.jetty.server.Connector;
import org.eclipse.jetty.server.HttpConfiguration;
import org.eclipse.jetty.server.HttpConnectionFactory;
import org.eclipse.jetty.server.NetworkConnectionLimit;
import org.eclipse.jetty.server.SecureRequestCustomizer;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.server.SslConnectionFactory;
import org.eclipse.jetty.util.ssl.SslContextFactory;
import org.eclipse.jetty.util.thread.QueuedThreadPool;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One open port: a Jetty server that speaks HTTP/1.1 and HTTP/2, over TLS (chosen by ALPN) or in clear text (by prior knowledge and by upgrade).
 *
 * <pre>
 *   Server ── ServerConnector ── GuardedEndPoint      header time
 *      │            ├── HttpConnectionFactory          header size, RFC 9110 and RFC 3986 to the letter
 *      │            ├── HTTP2ServerConnectionFactory   streams, control frames
 *      │            └── SslConnectionFactory           with TLS: PemIdentity, read again when its files change
 *      ├── ProblemErrorHandler                         what Jetty refuses, as problem documents
 *      └── EntryHandler                                names and origins (Site), data rate, wait for the entry, drain
 * </pre>
 *
 * Selectors and acceptors run on a few platform threads, which hand requests to the entry too; what may block is done on virtual threads.
 */
public final class HttpListener implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(HttpListener.class);
  // A selector hands calls over without waiting, so one keeps several processors busy; on two of them a second one halves what the node can do, as each then finds one request at
  // a time where it would have found several, and has to be woken for it (docs/performance.md).
  private static final int SELECTORS = Math.max(1, Runtime.getRuntime().availableProcessors() / 4);
  // One acceptor, the selectors, and spares for what Jetty itself has to do aside.
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
  private final HTTP2ServerConnectionFactory http2;
  private final Optional<SslContextFactory.Server> ssl;
  private final NetworkConnectionLimit connections;
  private final EntryHandler handler;
  private volatile Settings settings;
  private volatile Set<String> certified;
  // Of what was read last, whether it could be used or not. Touched by the thread that looks, and before it.
  private volatile String stamp = "";

  private HttpListener(Settings settings, Optional<PemIdentity> identity, ServiceSlot<HttpEntry> entries) {
    certified = identity.map(PemIdentity::names).orElse(Set.of());
    ssl = identity.map(HttpListener::contexts);
    QueuedThreadPool threads = new QueuedThreadPool(PLATFORM_THREADS + SELECTORS, 3 + SELECTORS);
    threads.setName("http");
    threads.setDaemon(true);
    server = new Server(threads, null, new RequestBuffers());
    http = new HttpConfiguration();
    http.setUseInputDirectByteBuffers(false); // see RequestBuffers
    http.setUseOutputDirectByteBuffers(true);
    http.setSendServerVersion(false);
    http.setSendXPoweredBy(false);
    http.setHttpCompliance(HttpCompliance.RFC7230); // Jetty's name for no violation allowed at all, as RFC 9110 and 9112 want it
    http.setUriCompliance(UriCompliance.RFC3986);
    if (ssl.isPresent()) {
      // Else Jetty adds one that refuses each Host that is not in the certificate, the ones of our configuration included; Site knows them all.
      http.addCustomizer(new SecureRequestCustomizer(false));
    }
    http2 = ssl.isEmpty() ? new HTTP2CServerConnectionFactory(http) : new HTTP2ServerConnectionFactory(http) {
      @Override
      public Connection newConnection(Connector connector, EndPoint endPoint) {
        GuardedEndPoint.of(endPoint).ifPresent(GuardedEndPoint::beginsHttp2);
        return super.newConnection(connector, endPoint);
      }
    };
    http2.setConnectProtocolEnabled(false);
    http2.setInitialStreamRecvWindow(STREAM_WINDOW);
    http2.setInitialSessionRecvWindow(CONNECTION_WINDOW);
    HttpConnectionFactory http1 = new HttpConnectionFactory(http) {
      @Override
      public Connection newConnection(Connector connector, EndPoint endPoint) {
        GuardedEndPoint.of(endPoint).ifPresent(GuardedEndPoint::beginsHttp1);
        return super.newConnection(connector, endPoint);
      }
    };
    if (ssl.isEmpty()) {
      http1.setInputBufferSize(GuardedEndPoint.SMALL_READ);
    }
    ConnectionFactory[] protocols = ssl.isPresent() ? new ConnectionFactory[] {new SslConnectionFactory(ssl.get(), "alpn"), new AlpnConnectionFactory(), http2, http1}
        : new ConnectionFactory[] {http1, http2};
    connector = new ServerConnector(server, new InPlace(threads), null, null, 1, SELECTORS, protocols) {
      @Override
      protected SocketChannelEndPoint newEndPoint(SocketChannel channel, ManagedSelector selector, SelectionKey key) {
        GuardedEndPoint endPoint = new GuardedEndPoint(channel, selector, key, getScheduler(), HttpListener.this.settings.headerTimeout(),
            WRAPPING_BYTES, ssl.isPresent());
        endPoint.setIdleTimeout(getIdleTimeout());
        return endPoint;
      }
    };
    connector.setHost(settings.bind());
    connector.setPort(settings.port());
    connections = new NetworkConnectionLimit(settings.maxConnections(), connector);
    ProblemErrorHandler errors = new ProblemErrorHandler(http);
    handler = new EntryHandler(entries, errors, settings, new Site(settings, certified));
    server.setAttribute(HttpEntry.LOOPBACK, settings.loopback());
    server.addConnector(connector);
    server.addBean(connections);
    server.setHandler(handler);
    server.setErrorHandler(errors);
    apply(settings);
  }

  /**
   * Opens the port and serves it.
   *
   * @throws InstarException FORBIDDEN for an address off loopback without TLS, BAD_REQUEST for one that does not exist or for files that cannot be used, CONFLICT for a port
   *     that is taken
   */
  public static HttpListener open(Settings settings, ServiceSlot<HttpEntry> entries) {
    checkAddress(settings);
    String stamp = settings.tls().map(PemIdentity::stamp).orElse("");
    HttpListener listener = new HttpListener(settings, settings.tls().map(PemIdentity::read), entries);
    listener.stamp = stamp;
    try {
      listener.server.start();
      listener.look();
      return listener;
    } catch (Exception e) {
      listener.stop();
      throw cannotOpen(settings, e);
    }
  }

  private static SslContextFactory.Server contexts(PemIdentity identity) {
    SslContextFactory.Server contexts = new SslContextFactory.Server();
    contexts.setKeyStore(identity.store());
    contexts.setKeyStorePassword(PemIdentity.PASSWORD);
    contexts.setIncludeProtocols("TLSv1.3", "TLSv1.2");
    contexts.setRenegotiationAllowed(false);
    return contexts;
  }

  /** Looks for callers who have gone, and for a new certificate, now and every second until the listener is closed. */
  private void look() {
    try {
      for (EndPoint endPoint : connector.getConnectedEndPoints()) {
        if (endPoint instanceof GuardedEndPoint guarded) {
          guarded.look();
        }
      }
      ssl.ifPresent(this::renew);
    } finally {
      connector.getScheduler().schedule(this::look, LOOK_MILLIS, TimeUnit.MILLISECONDS);
    }
  }

  /** Takes files that have changed. What cannot be used, as when one of the two has come and the other has not, leaves things as they are. */
  private void renew(SslContextFactory.Server contexts) {
    Settings.Tls files = settings.tls().orElseThrow();
    String now = PemIdentity.stamp(files);
    if (now.equals(stamp)) {
      return;
    }
    stamp = now;
    try {
      PemIdentity identity = PemIdentity.read(files);
      contexts.reload(c -> c.setKeyStore(identity.store()));
      certified = identity.names();
      handler.site(new Site(settings, certified));
      LOG.info("The certificate in {} is used for new connections.", files.certificate());
    } catch (InstarException e) {
      LOG.warn("{} The one before it stays in use.", e.problem().detail());
    } catch (Exception e) {
      LOG.error("The certificate in {} could not be taken.", files.certificate(), e);
    }
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
    handler.site(new Site(changed, certified));
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

  static void checkAddress(Settings settings) {
    try {
      InetAddress.getByName(settings.bind());
    } catch (UnknownHostException e) {
      throw new InstarException(ErrorCode.BAD_REQUEST, "The listener cannot open on '" + settings.bind() + "': there is no such address. Use --host 127.0.0.1, or set bind in " + ListenerConfig.PID
          + ".cfg.json.");
    }
    if (settings.tls().isEmpty() && !settings.loopback()) {
      throw new InstarException(ErrorCode.FORBIDDEN, "The listener does not open on " + settings.bind()
          + " in clear text: off loopback everything goes over TLS, and every caller needs a token. Set tls-certificate and tls-key (PEM files) in " + ListenerConfig.PID
          + ".cfg.json, give callers tokens with 'instar users add', or use --host 127.0.0.1.");
    }
  }

  static InstarException cannotOpen(Settings settings, Exception e) {
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
