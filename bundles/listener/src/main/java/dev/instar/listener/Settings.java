package dev.instar.listener;

import java.time.Duration;

/**
 * A listener's configuration; {@link ListenerConfig} says what each is for.
 *
 * @param minBytesPerSecond 0: no limit
 */
public record Settings(String name, String bind, int port, int maxHeaderBytes, Duration headerTimeout, Duration idleTimeout, int minBytesPerSecond,
    Duration dataRateGrace, int maxConnections, Duration entryWait, Duration stopTimeout, int http2MaxStreams, int http2MaxControlFrames) {

  /** What holds when nothing is configured, but on a free port of the loopback address. */
  public static final Settings FREE_PORT = new Settings("main", "127.0.0.1", 0, 16 << 10, Duration.ofSeconds(10), Duration.ofSeconds(30), 512,
      Duration.ofSeconds(10), 10_000, Duration.ofSeconds(10), Duration.ofSeconds(30), 128, 128);

  static Settings of(ListenerConfig config) {
    return new Settings(config.name(), config.bind(), config.port(), config.max$_$header$_$bytes(), Duration.ofMillis(config.header$_$timeout$_$ms()),
        Duration.ofMillis(config.idle$_$timeout$_$ms()), config.min$_$bytes$_$per$_$second(), Duration.ofMillis(config.data$_$rate$_$grace$_$ms()),
        config.max$_$connections(), Duration.ofMillis(config.entry$_$wait$_$ms()), Duration.ofMillis(config.stop$_$timeout$_$ms()),
        config.http2$_$max$_$streams(), config.http2$_$max$_$control$_$frames());
  }

  boolean sameAddress(Settings other) {
    return port == other.port && bind.equals(other.bind);
  }
}
