package dev.instar.launcher.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.time.Instant;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine.TypeConversionException;

class ArgumentsTest {
  @ParameterizedTest
  @CsvSource({"0,0", "65536,65536", "10Ki,10240", "64Mi,67108864", "1Gi,1073741824", "8589934591Gi,9223372035781033984"})
  void sizes(String text, long bytes) {
    assertEquals(bytes, new Arguments.SizeConverter().convert(text).bytes());
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "-1", "64M", "64MiB", "1.5Gi", "Mi", "64 Mi", "8589934592Gi", "9999999999999999999"})
  void notSizes(String text) {
    assertThrows(TypeConversionException.class, () -> new Arguments.SizeConverter().convert(text));
  }

  @ParameterizedTest
  @CsvSource({"500ms,500", "0s,0", "30s,30000", "2m,120000", "1h,3600000"})
  void times(String text, long millis) {
    assertEquals(Duration.ofMillis(millis), new Arguments.DurationConverter().convert(text));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "30", "s", "-1s", "1d", "1.5s", "30 s"})
  void notTimes(String text) {
    assertThrows(TypeConversionException.class, () -> new Arguments.DurationConverter().convert(text));
  }

  @Test
  void sinceIsAPointInTimeOrATimeAgo() {
    assertEquals(Instant.parse("2026-01-31T12:00:00Z"), new Arguments.SinceConverter().convert("2026-01-31T12:00:00Z"));
    Instant tenMinutesAgo = Instant.now().minus(Duration.ofMinutes(10));
    Instant converted = new Arguments.SinceConverter().convert("10m");
    assertTrue(Duration.between(tenMinutesAgo, converted).abs().compareTo(Duration.ofMinutes(1)) < 0, () -> "10m is " + converted);
    assertThrows(TypeConversionException.class, () -> new Arguments.SinceConverter().convert("yesterday"));
  }

  @Test
  void namesAreEncodedSoThatTheNodeJudgesThemWhole() {
    assertEquals("/v1/functions/demo/echo", new Arguments.NameConverter().convert("demo/echo").path());
    assertEquals("/v1/functions/..%3F/a%20b%25%23", new Arguments.NameConverter().convert("..?/a b%#").path());
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "echo", "/echo", "demo/", "a/b/c"})
  void notNames(String text) {
    assertThrows(TypeConversionException.class, () -> new Arguments.NameConverter().convert(text));
  }

  @Test
  void urls() {
    assertEquals("http://localhost:9000", new Arguments.UrlConverter().convert("http://localhost:9000/").toString());
    assertEquals("https://[::1]:1/x", new Arguments.UrlConverter().convert("https://[::1]:1/x").toString());
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "localhost:8080", "ftp://a", "http://", "http://a/?b", "http://a b"})
  void notUrls(String text) {
    assertThrows(TypeConversionException.class, () -> new Arguments.UrlConverter().convert(text));
  }
}
