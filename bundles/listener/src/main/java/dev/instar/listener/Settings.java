package dev.instar.listener;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;

/**
 * A listener's configuration; {@link ListenerConfig} says what each is for.
 *
 * @param minBytesPerSecond 0: no limit
 * @param tls empty: HTTP in clear text
 * @param hosts names that callers may use for the node, beside those that it knows itself
 */
public record Settings(String name, String bind, int port, int maxHeaderBytes, Duration headerTimeout, Duration idleTimeout, int minBytesPerSecond,
    Duration dataRateGrace, int maxConnections, Duration entryWait, Duration stopTimeout, int http2MaxStreams, int http2MaxControlFrames, Optional<Tls> tls, List<String> hosts) {

  /** What holds when nothing is configured, but on a free port of the loopback address. */
  public static final Settings FREE_PORT = new Settings("main", "127.0.0.1", 0, 16 << 10, Duration.ofSeconds(10), Duration.ofSeconds(30), 512,
      Duration.ofSeconds(10), 10_000, Duration.ofSeconds(10), Duration.ofSeconds(30), 128, 128);

  /**
   * The two files of PEM that TLS takes.
   *
   * @param certificate the node's certificate first, then those up to one that callers know
   * @param key of the certificate, in PKCS #8
   */
  public record Tls(Path certificate, Path key) {}

  public Settings {
    hosts = List.copyOf(hosts);
  }

  /** In clear text and without further names. */
  public Settings(String name, String bind, int port, int maxHeaderBytes, Duration headerTimeout, Duration idleTimeout, int minBytesPerSecond, Duration dataRateGrace,
      int maxConnections, Duration entryWait, Duration stopTimeout, int http2MaxStreams, int http2MaxControlFrames) {
    this(name, bind, port, maxHeaderBytes, headerTimeout, idleTimeout, minBytesPerSecond, dataRateGrace, maxConnections, entryWait, stopTimeout, http2MaxStreams, http2MaxControlFrames,
        Optional.empty(), List.of());
  }

  /** @throws InstarException BAD_REQUEST when a file has a name that none can have */
  static Settings of(ListenerConfig config) {
    return new Settings(config.name(), config.bind(), config.port(), config.max$_$header$_$bytes(), Duration.ofMillis(config.header$_$timeout$_$ms()),
        Duration.ofMillis(config.idle$_$timeout$_$ms()), config.min$_$bytes$_$per$_$second(), Duration.ofMillis(config.data$_$rate$_$grace$_$ms()),
        config.max$_$connections(), Duration.ofMillis(config.entry$_$wait$_$ms()), Duration.ofMillis(config.stop$_$timeout$_$ms()),
        config.http2$_$max$_$streams(), config.http2$_$max$_$control$_$frames(),
        tls(config.tls$_$certificate(), config.tls$_$key()),
        List.of(config.hosts()).stream().map(String::strip).filter(host -> !host.isEmpty()).toList());
  }

  /** @throws InstarException BAD_REQUEST when a file has a name that none can have */
  static Optional<Tls> tls(String certificate, String key) {
    return certificate.isEmpty() && key.isEmpty() ? Optional.empty() : Optional.of(new Tls(path(certificate), path(key)));
  }

  private static Path path(String name) {
    try {
      return Path.of(name);
    } catch (InvalidPathException e) {
      throw new InstarException(ErrorCode.BAD_REQUEST, "A file named in tls-certificate or tls-key of " + ListenerConfig.PID + ".cfg.json cannot be one: " + e.getReason() + ".");
    }
  }

  /** The same with TLS. */
  public Settings with(Tls files) {
    return new Settings(name, bind, port, maxHeaderBytes, headerTimeout, idleTimeout, minBytesPerSecond, dataRateGrace, maxConnections, entryWait, stopTimeout, http2MaxStreams,
        http2MaxControlFrames, Optional.of(files), hosts);
  }

  /** The same on another address. */
  public Settings on(String address, List<String> names) {
    return new Settings(name, address, port, maxHeaderBytes, headerTimeout, idleTimeout, minBytesPerSecond, dataRateGrace, maxConnections, entryWait, stopTimeout, http2MaxStreams,
        http2MaxControlFrames, tls, names);
  }

  /** The same on another address and port, with or without TLS. */
  Settings at(String address, int otherPort, Optional<Tls> files) {
    return new Settings(name, address, otherPort, maxHeaderBytes, headerTimeout, idleTimeout, minBytesPerSecond, dataRateGrace, maxConnections, entryWait, stopTimeout, http2MaxStreams,
        http2MaxControlFrames, files, hosts);
  }

  boolean sameAddress(Settings other) {
    return port == other.port && bind.equals(other.bind);
  }

  /** Whether only this machine can reach it. An address that does not exist counts as one that others can. */
  boolean loopback() {
    try {
      return InetAddress.getByName(bind).isLoopbackAddress();
    } catch (UnknownHostException e) {
      return false;
    }
  }
}
