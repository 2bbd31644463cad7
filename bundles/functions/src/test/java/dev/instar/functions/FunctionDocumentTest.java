package dev.instar.functions;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.instar.api.Digest;
import dev.instar.api.function.Function;
import dev.instar.api.function.FunctionSpec;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.function.HostLimits;
import dev.instar.api.function.Limits;
import dev.instar.api.function.SnapshotPolicy;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class FunctionDocumentTest {
  private static final Entry ENTRY = new Entry(new Function(Fixture.NAME, List.of(
      new FunctionVersion(Fixture.NAME, 2, "u2", Instant.parse("2026-01-02T03:04:05.123456789Z"), Fixture.spec(Digest.of(new byte[] {1}))),
      new FunctionVersion(Fixture.NAME, 5, "u5", Instant.EPOCH, Fixture.spec(Digest.of(new byte[] {2})))), 5, Optional.of(2)), 9);

  @Test
  void whatIsWrittenIsRead() throws IOException {
    assertEquals(ENTRY, FunctionDocument.read(FunctionDocument.write(ENTRY)));
  }

  @Test
  void limitsOfProcessesAreKeptWhereTheyWereGiven() throws IOException {
    Limits d = Limits.DEFAULT;
    HostLimits host = new HostLimits(OptionalInt.of(500), OptionalInt.of(200), Optional.of("0-1,3"), OptionalInt.of(9), OptionalInt.of(50));
    FunctionSpec spec = new FunctionSpec(Fixture.spec(Digest.of(new byte[] {1})).variants(), new Limits(d.memoryBytes(), d.tableElements(), d.stackBytes(), d.timeout(), d.runTime(),
        d.inputBytes(), d.outputBytes(), d.logBytes(), d.openFiles(), d.fileBytes(), d.madeFiles(), d.concurrency(), host), Map.of(), Map.of());
    Entry entry = new Entry(new Function(Fixture.NAME, List.of(new FunctionVersion(Fixture.NAME, 1, "u1", Instant.EPOCH, spec)), 1, Optional.empty()), 2);
    assertEquals(entry, FunctionDocument.read(FunctionDocument.write(entry)));
    assertFalse(new String(FunctionDocument.write(ENTRY), StandardCharsets.UTF_8).contains("cpu"));
  }

  @Test
  void namesOfSecretsAreKeptWhereThereAreSome() throws IOException {
    FunctionSpec spec = new FunctionSpec(Fixture.spec(Digest.of(new byte[] {1})).variants(), Limits.DEFAULT, Map.of(), Map.of(), SnapshotPolicy.DEFAULT, List.of("b", "a"));
    Entry entry = new Entry(new Function(Fixture.NAME, List.of(new FunctionVersion(Fixture.NAME, 1, "u1", Instant.EPOCH, spec)), 1, Optional.empty()), 2);
    String json = new String(FunctionDocument.write(entry), StandardCharsets.UTF_8);
    assertEquals(entry, FunctionDocument.read(json.getBytes(StandardCharsets.UTF_8)));
    assertFalse(new String(FunctionDocument.write(ENTRY), StandardCharsets.UTF_8).contains("secrets"));
    for (String bad : List.of("[\"a\",7]", "[\"../a\"]", "[\"A\"]")) {
      assertThrows(FunctionDocument.InvalidException.class, () -> FunctionDocument.read(json.replace("[\"a\",\"b\"]", bad).getBytes(StandardCharsets.UTF_8)), bad);
    }
  }

  @Test
  void aDocumentOfTheFirstReleaseHasTheDefaultsOfLaterLimits() throws IOException {
    String json = new String(FunctionDocument.write(ENTRY), StandardCharsets.UTF_8);
    String old = json.replaceAll("\"(tables|stack|runTime|openFiles|fileBytes|madeFiles)\":\\d+,", "");
    assertEquals(2 * 6, json.split(",").length - old.split(",").length);
    assertEquals(ENTRY, FunctionDocument.read(old.getBytes(StandardCharsets.UTF_8)));
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', quoteCharacter = '`', value = {
      "\"active\":5|\"active\":3", "\"previous\":2|\"previous\":4", "\"next\":9|\"next\":5", "\"number\":2|\"number\":5",
          "\"number\":2|\"number\":0", "\"user\":\"alice\"|\"user\":\"../x\"",
      "\"user\":\"alice\"|\"user\":null", "sha256:|sha257:", "1970-01-01T00|1970-13-01T00", "\"memory\":268435456|\"memory\":1e99",
          "\"memory\":268435456|\"memory\":-1",
      "\"openFiles\":128|\"openFiles\":3", "\"concurrency\":64|\"concurrency\":4294967360", "\"environment\":{}|\"environment\":{\"a\":1}", "\"labels\":{}|\"x\":{}",
          "\"next\":9|\"next\":9,\"next\":10", "\"format\":1|\"format\":\"1\""})
  void whatMakesNoSenseIsRefused(String from, String to) throws IOException {
    String json = new String(FunctionDocument.write(ENTRY), StandardCharsets.UTF_8);
    assertThrows(FunctionDocument.InvalidException.class, () -> FunctionDocument.read(json.replace(from, to).getBytes(StandardCharsets.UTF_8)));
  }

  @Test
  void bombsAndMutationsAreRefusedOrReadAndNeverAnythingElse() throws IOException {
    for (String bomb : new String[] {"", "{}", "[]", "null", "[".repeat(100_000), "{\"format\":" + "9".repeat(100_000) + "}", "{\"format\":1}{}"}) {
      assertThrows(IOException.class, () -> FunctionDocument.read(bomb.getBytes(StandardCharsets.UTF_8)));
    }
    byte[] good = FunctionDocument.write(ENTRY);
    Random random = new Random(7);
    for (int i = 0; i < 20_000; i++) {
      byte[] bad = good.clone();
      for (int n = 1 + random.nextInt(3); n > 0; n--) {
        bad[random.nextInt(bad.length)] = (byte) random.nextInt(256);
      }
      try {
        FunctionDocument.read(bad);
      } catch (IOException e) {
        // Refused: what the store expects.
      }
    }
  }
}
