package dev.instar.functions;

import java.time.Duration;

/**
 * @param maxVersions kept of one function
 * @param imageGrace for which an unused image is kept
 * @param serviceWait for which publishing waits for a service that is being replaced
 */
public record Settings(int maxVersions, Duration imageGrace, Duration serviceWait) {
  public static final Settings DEFAULT = new Settings(32, Duration.ofHours(1), Duration.ofSeconds(10));

  static Settings of(FunctionsConfig config) {
    return new Settings(config.max$_$versions(), Duration.ofSeconds(config.image$_$grace$_$seconds()),
        Duration.ofMillis(config.service$_$wait$_$millis()));
  }
}
