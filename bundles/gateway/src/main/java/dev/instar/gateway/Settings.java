package dev.instar.gateway;

import java.time.Duration;

/** The gateway's configuration; {@link GatewayConfig} says what each is for. */
public record Settings(int maxExchanges, int reservedExchanges, long maxUploadBytes, int maxFollowers, Duration serviceWait, Duration drain) {
  /** What holds when nothing is configured. */
  public static final Settings DEFAULT = new Settings(8192, 64, 64L << 20, 64, Duration.ofSeconds(10), Duration.ofSeconds(30));

  static Settings of(GatewayConfig config) {
    return new Settings(config.max$_$exchanges(), config.reserved$_$exchanges(), config.max$_$upload$_$bytes(), config.max$_$followers(),
        Duration.ofMillis(config.service$_$wait$_$ms()), Duration.ofMillis(config.drain$_$ms()));
  }
}
