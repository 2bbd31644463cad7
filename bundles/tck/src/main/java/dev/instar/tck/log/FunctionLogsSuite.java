package dev.instar.tck.log;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.Digest;
import dev.instar.api.function.FunctionName;
import dev.instar.api.function.FunctionSpec;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.function.Limits;
import dev.instar.api.function.Variant;
import dev.instar.api.log.FunctionLogs;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What every {@link FunctionLogs} does. */
@Timeout(60)
public abstract class FunctionLogsSuite {
  private static final FunctionName ECHO = new FunctionName("demo", "echo");
  private FunctionLogs logs;

  /** Logs without entries. */
  protected abstract FunctionLogs emptyLogs() throws Exception;

  @BeforeEach
  void open() throws Exception {
    logs = emptyLogs();
  }

  private static FunctionVersion version(FunctionName name, int number) {
    Variant variant = new Variant(Digest.of(new byte[0]), Variant.WASM, Optional.empty());
    Instant created = Instant.now();
    return new FunctionVersion(name, number, name + "-" + number + "-" + created, created,
        new FunctionSpec(List.of(variant), Limits.DEFAULT, Map.of(), Map.of()));
  }

  private void write(String invocation, long limit, String... pieces) {
    try (FunctionLogs.Sink sink = logs.open(version(ECHO, 3), invocation, limit)) {
      for (String piece : pieces) {
        byte[] bytes = piece.getBytes(StandardCharsets.ISO_8859_1);
        sink.write(bytes, 0, bytes.length);
      }
    }
  }

  /** Entries may become readable a moment after they were written. */
  private List<FunctionLogs.Entry> await(int entries) throws InterruptedException {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
    List<FunctionLogs.Entry> read = logs.read(ECHO, 1000, Instant.EPOCH);
    while (read.size() < entries && System.nanoTime() < end) {
      TimeUnit.MILLISECONDS.sleep(5);
      read = logs.read(ECHO, 1000, Instant.EPOCH);
    }
    return read;
  }

  @Test
  void bytesBecomeLinesWithWhoWroteThem() throws Exception {
    write("i1", 1000, "on", "e\ntwo\nthr", "ee");
    List<FunctionLogs.Entry> entries = await(3);
    assertEquals(List.of("one", "two", "three"), entries.stream().map(FunctionLogs.Entry::text).toList());
    assertEquals(3, entries.getFirst().version());
    assertEquals("i1", entries.getFirst().invocationId());
  }

  @Test
  void whatIsOverTheLimitIsDroppedAndCounted() throws Exception {
    write("i1", 10, "0123456789abcdef\nmore\n");
    List<FunctionLogs.Entry> entries = await(2);
    assertEquals("0123456789", entries.getFirst().text());
    assertTrue(entries.getLast().text().contains("12"), () -> "12 bytes were dropped, but the last line is: " + entries.getLast().text());
  }

  @Test
  void aLineWithoutEndIsCutInPieces() throws Exception {
    write("i1", 1 << 20, "x".repeat(20_000));
    List<FunctionLogs.Entry> entries = await(3);
    assertEquals(3, entries.size());
    assertEquals(20_000, entries.stream().mapToInt(e -> e.text().length()).sum());
    assertTrue(entries.stream().allMatch(e -> e.text().length() <= 8192));
  }

  @Test
  void bytesThatAreNoTextDoNoHarm() throws Exception {
    write("i1", 1000, "a\u00ff\u00feb\n");
    assertEquals("a\ufffd\ufffdb", await(1).getFirst().text());
  }

  @Test
  void tailAndSinceSelectTheNewest() throws Exception {
    write("i1", 1000, "1\n2\n3\n4\n");
    await(4);
    assertEquals(List.of("3", "4"), logs.read(ECHO, 2, Instant.EPOCH).stream().map(FunctionLogs.Entry::text).toList());
    assertTrue(logs.read(ECHO, 100, Instant.now().plusSeconds(60)).isEmpty());
    assertTrue(logs.read(new FunctionName("demo", "other"), 100, Instant.EPOCH).isEmpty());
  }

  @Test
  void aFollowerSeesWhatComesUntilItCloses() throws Exception {
    LinkedBlockingQueue<String> seen = new LinkedBlockingQueue<>();
    try (AutoCloseable follower = logs.follow(ECHO, e -> seen.add(e.text()))) {
      write("i1", 1000, "hello\n");
      assertEquals("hello", seen.poll(20, TimeUnit.SECONDS));
    }
    write("i2", 1000, "unseen\n");
    await(2);
    assertTrue(seen.isEmpty());
  }

  @Test
  void aRemovedFunctionIsForgotten() throws Exception {
    write("i1", 1000, "secret\n");
    await(1);
    logs.remove(ECHO);
    assertTrue(logs.read(ECHO, 10, Instant.EPOCH).isEmpty());
    write("i2", 1000, "new\n");
    assertEquals(List.of("new"), await(1).stream().map(FunctionLogs.Entry::text).toList());
  }

  private static void line(FunctionLogs.Sink sink, String text) {
    byte[] bytes = (text + "\n").getBytes(StandardCharsets.ISO_8859_1);
    sink.write(bytes, 0, bytes.length);
  }

  /** Calls run on to their end, and one that waited for its turn begins to write after its function has gone. */
  @Test
  void aRemovedFunctionsCallsWriteNoMore() throws Exception {
    FunctionVersion old = version(ECHO, 1);
    // Clocks tick in steps: the three below must not share one.
    TimeUnit.MILLISECONDS.sleep(2);
    try (FunctionLogs.Sink before = logs.open(old, "i1", 1000)) {
      logs.remove(ECHO);
      line(before, "open at the removal");
      try (FunctionLogs.Sink after = logs.open(old, "i2", 1000)) {
        line(after, "opened after the removal");
        TimeUnit.MILLISECONDS.sleep(2);
        FunctionVersion again = version(ECHO, 1);
        try (FunctionLogs.Sink fresh = logs.open(again, "i3", 1000); FunctionLogs.Sink late = logs.open(old, "i4", 1000)) {
          line(late, "opened after the next one's");
          line(fresh, "fresh");
          line(before, "still running");
          line(after, "still running");
        }
      }
    }
    write("i5", 1000, "last\n");
    assertEquals(List.of("fresh", "last"), await(2).stream().map(FunctionLogs.Entry::text).toList());
  }
}
