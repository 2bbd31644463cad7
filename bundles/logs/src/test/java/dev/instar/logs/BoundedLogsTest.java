package dev.instar.logs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.Digest;
import dev.instar.api.function.FunctionName;
import dev.instar.api.function.FunctionSpec;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.function.Limits;
import dev.instar.api.function.Variant;
import dev.instar.api.log.FunctionLogs.Entry;
import dev.instar.api.log.FunctionLogs.Sink;
import dev.instar.data.LockedDataDirectory;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class BoundedLogsTest {
  private static final FunctionName NAME = new FunctionName("alice", "hello");

  @TempDir Path dir;
  private LockedDataDirectory data;
  private BoundedLogs logs;

  @BeforeEach
  void open() throws Exception {
    data = LockedDataDirectory.open(dir.resolve("data"));
    logs = new BoundedLogs(data, LogSettings.DEFAULT);
  }

  @AfterEach
  void close() {
    logs.stop();
    data.close();
  }

  private void restart(LogSettings settings) {
    logs.stop();
    logs = new BoundedLogs(data, settings);
  }

  private static FunctionVersion version(FunctionName name, int number) {
    return new FunctionVersion(name, number, "uid", Instant.now(),
        new FunctionSpec(List.of(new Variant(Digest.of(new byte[0]), Variant.WASM, Optional.empty())), Limits.DEFAULT, Map.of(), Map.of()));
  }

  private void write(FunctionName name, String text) {
    try (Sink sink = logs.open(version(name, 1), "call", Long.MAX_VALUE)) {
      write(sink, text);
    }
  }

  private static void write(Sink sink, String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    sink.write(bytes, 0, bytes.length);
  }

  private List<String> texts(int tail) {
    return logs.read(NAME, tail, Instant.EPOCH).stream().map(Entry::text).toList();
  }

  private static List<String> numbers(int from, int to) {
    return IntStream.range(from, to).mapToObj(Integer::toString).toList();
  }

  private Path file(String name) {
    return data.root().resolve("logs/alice").resolve(name);
  }

  @Test
  void linesAreReadWithTheirCallAndSurviveARestart() {
    Instant before = Instant.now();
    try (Sink sink = logs.open(version(NAME, 7), "call-1", 1 << 20)) {
      write(sink, "one\ntw");
      assertEquals(List.of("one"), texts(10));
      write(sink, "o\nthree");
    }
    List<Entry> entries = logs.read(NAME, 10, Instant.EPOCH);
    assertEquals(List.of("one", "two", "three"), entries.stream().map(Entry::text).toList());
    assertTrue(entries.stream().allMatch(e -> e.version() == 7 && e.invocationId().equals("call-1") && !e.time().isBefore(before)),
        entries.toString());
    assertEquals(List.of("two", "three"), texts(2));
    assertEquals(List.of(), texts(0));
    assertEquals(List.of(), texts(-1));
    assertEquals(List.of(), logs.read(NAME, 10, Instant.now().plus(Duration.ofHours(1))));
    restart(LogSettings.DEFAULT);
    assertEquals(entries, logs.read(NAME, 10, Instant.EPOCH));
    write(NAME, "four\n");
    assertEquals(List.of("one", "two", "three", "four"), texts(10));
    assertEquals(List.of("three", "four"), texts(2));
    assertEquals(List.of("four"), logs.read(NAME, 10, entries.getLast().time().plusNanos(1)).stream().map(Entry::text).toList());
    assertEquals(List.of(), logs.read(new FunctionName("no", "body"), 10, Instant.EPOCH));
  }

  @Test
  void aCallsLimitIsKeptAndTheLastLineSaysHowMuchWasDropped() {
    Sink sink = logs.open(version(NAME, 1), "call", 10);
    write(sink, "12345\n6789tenth and more\n");
    write(sink, "x".repeat(100));
    sink.close();
    sink.close();
    write(sink, "late\n");
    assertEquals(List.of("12345", "6789", "[115 bytes beyond the limit of 10 dropped]"), texts(10));
    try (Sink none = logs.open(version(NAME, 1), "call", 0)) {
      write(none, "x");
    }
    assertEquals("[1 bytes beyond the limit of 0 dropped]", texts(1).getFirst());
  }

  @Test
  void memoryHoldsTheNewestAndTheFileTheRest() {
    restart(new LogSettings(1 << 20, 4096, 1 << 20, 8 << 20));
    write(NAME, String.join("\n", numbers(0, 2000)) + "\n");
    assertEquals(numbers(0, 2000), texts(5000));
    assertEquals(numbers(1500, 2000), texts(500));
    assertEquals(numbers(1995, 2000), texts(5));
  }

  @Test
  void theFunctionThatWroteLongestAgoMakesRoomInMemoryAndNothingIsLost() {
    restart(new LogSettings(1 << 20, 64 << 10, 256 << 10, 64 << 20));
    for (int i = 0; i < 200; i++) {
      write(new FunctionName("alice", "f" + i), ("x".repeat(1000) + "\n").repeat(10));
    }
    write(NAME, "1\n2\n");
    assertEquals(numbers(1, 3), texts(10));
    for (int i = 0; i < 200; i += 50) {
      assertEquals(10, logs.read(new FunctionName("alice", "f" + i), 100, Instant.EPOCH).size(), "f" + i);
    }
  }

  @Test
  void filesAreRotatedAndBoundedAndStillReadInOrder() throws IOException {
    restart(new LogSettings(10_000, 4096, 1 << 20, 64 << 20));
    write(NAME, String.join("\n", numbers(0, 1000)) + "\n");
    List<String> all = texts(5000);
    assertEquals(numbers(1000 - all.size(), 1000), all);
    assertTrue(all.size() > 40 && all.size() < 500, all.size() + " are left");
    assertTrue(Files.size(file("hello.log")) <= 10_000 && Files.size(file("hello.log.1")) <= 10_000);
    // A line longer than a file still gets one of its own.
    write(NAME, "\u0001".repeat(8000) + "\nend\n");
    assertEquals(List.of("\u0001".repeat(8000), "end"), texts(2));
    restart(LogSettings.DEFAULT);
    assertEquals(List.of("\u0001".repeat(8000), "end"), texts(2));
  }

  @Test
  void whateverIsWrittenTheFileIsPlainAsciiWithOneEntryALine() throws IOException {
    String hostile = "\u001b[2Jred\u0007 \"quoted\" \\ \u007f \u009b31m \u2028 \u202e \ufeff é \ud83d\ude00 {\"time\":\"x\"}";
    write(NAME, hostile + "\n");
    Sink sink = logs.open(version(NAME, 1), "id\n\"", 1000);
    sink.write(new byte[] {(byte) 0xff, (byte) 0xfe, 0, '\r', 'x', '\n'}, 0, 6);
    sink.close();
    restart(LogSettings.DEFAULT);
    assertEquals(List.of(hostile, "\ufffd\ufffd\0\rx"), texts(10));
    byte[] bytes = Files.readAllBytes(file("hello.log"));
    int ends = 0;
    for (byte b : bytes) {
      assertTrue(b == '\n' || b >= ' ' && b < 0x7f, "byte " + b);
      ends += b == '\n' ? 1 : 0;
    }
    assertEquals(2, ends);
  }

  @Test
  void aFileThatAKillHasCutOrSomebodyHasSpoiltIsReadAsFarAsItGoesAndMended() throws IOException {
    write(NAME, "1\n2\n");
    logs.stop();
    Files.writeString(file("hello.log"), "\n{}\n[1]\nnonsense\n" + "x".repeat(200_000)
        + "\n{\"time\":\"yesterday\",\"text\":\"\",\"invocation\":\"\"}\n{\"time\":\"2026-", StandardOpenOption.APPEND);
    logs = new BoundedLogs(data, LogSettings.DEFAULT);
    assertEquals(numbers(1, 3), texts(10));
    write(NAME, "3\n");
    restart(LogSettings.DEFAULT);
    assertEquals(numbers(1, 4), texts(10));
  }

  @Test
  void aRemovedFunctionsLogIsGoneAndItsRunningCallsWriteNoMore() throws IOException {
    Sink running = logs.open(version(NAME, 1), "call", 1000);
    write(running, "one\n");
    assertEquals(1, logs.read(NAME, 10, Instant.EPOCH).size());
    logs.remove(NAME);
    write(running, "two\n");
    running.close();
    assertEquals(List.of(), texts(10));
    assertFalse(Files.exists(file("hello.log")));
    write(NAME, "again\n");
    assertEquals(List.of("again"), texts(10));
    restart(LogSettings.DEFAULT);
    assertEquals(List.of("again"), texts(10));
    // Removed before anything was written in this run.
    logs.remove(NAME);
    assertEquals(List.of(), texts(10));
    assertFalse(Files.exists(file("hello.log").getParent()));
  }

  @Test
  void aCallThatBeginsToWriteAfterTheRemovalLeavesNoFile() throws Exception {
    FunctionVersion old = version(NAME, 1);
    Thread.sleep(2);
    logs.remove(NAME);
    try (Sink late = logs.open(old, "call", 1000)) {
      write(late, "late\n");
    }
    restart(LogSettings.DEFAULT);
    assertEquals(List.of(), texts(10));
    assertFalse(Files.exists(file("hello.log").getParent()));
  }

  @Test
  void onlySoManyRemovalsAreRemembered() throws Exception {
    FunctionVersion old = version(NAME, 1);
    Thread.sleep(2);
    logs.remove(NAME);
    for (int i = 0; i < BoundedLogs.REMEMBERED_REMOVALS - 1; i++) {
      logs.remove(new FunctionName("bob", "f" + i));
    }
    try (Sink known = logs.open(old, "call", 1000)) {
      write(known, "known\n");
    }
    assertEquals(List.of(), texts(10));
    logs.remove(new FunctionName("bob", "one-more"));
    try (Sink forgotten = logs.open(old, "call", 1000)) {
      write(forgotten, "forgotten\n");
    }
    assertEquals(List.of("forgotten"), texts(10));
  }

  @Test
  void aLinkInAFilesPlaceIsNotWrittenThrough() throws IOException {
    Path victim = Files.writeString(dir.resolve("victim"), "precious");
    Files.createDirectories(file("x").getParent());
    Files.createSymbolicLink(file("hello.log"), victim);
    write(NAME, "one\n");
    assertEquals(List.of("one"), texts(10));
    logs.stop();
    assertEquals("precious", Files.readString(victim));
    logs = new BoundedLogs(data, LogSettings.DEFAULT);
    assertEquals(List.of(), texts(10));
  }

  @Test
  void aFullDiskCostsOnlyTheFile() throws IOException {
    // A file where the user's directory should be: every write fails.
    Path user = file("x").getParent();
    Files.writeString(user, "");
    write(NAME, "1\n2\n");
    assertEquals(numbers(1, 3), texts(10));
    Files.delete(user);
    write(NAME, "3\n");
    assertEquals(numbers(1, 4), texts(10));
    restart(LogSettings.DEFAULT);
    assertEquals(List.of("[2 lines not written to this file: the disk was too slow or full]", "3"), texts(10));
  }

  @Test
  void aFloodOfAMillionLinesIsBoundedAndLosesOnlyItself() throws IOException {
    restart(new LogSettings(1 << 20, 256 << 10, 1 << 20, 1 << 20));
    FunctionName other = new FunctionName("alice", "other");
    byte[] line = "a line of a flood\n".getBytes();
    try (Sink sink = logs.open(version(NAME, 1), "call", Long.MAX_VALUE); var threads = Executors.newVirtualThreadPerTaskExecutor()) {
      threads.submit(() -> {
        try (Sink flood = logs.open(version(NAME, 1), "call", Long.MAX_VALUE)) {
          for (int i = 0; i < 500_000; i++) {
            flood.write(line, 0, line.length);
          }
        }
      });
      for (int i = 0; i < 500_000; i++) {
        sink.write(line, 0, line.length);
      }
    }
    write(other, "small\n");
    assertEquals(List.of("small"), logs.read(other, 1, Instant.EPOCH).stream().map(Entry::text).toList());
    assertEquals(100, texts(100).size());
    List<String> all = texts(Integer.MAX_VALUE);
    assertTrue(all.size() < 40_000, all.size() + " entries are left");
    assertTrue(Files.size(file("hello.log")) <= 1 << 20);
  }

  @Test
  void aFloodTakesNoMoreThanItsPartOfAProcessor() throws Exception {
    ThreadMXBean times = ManagementFactory.getThreadMXBean();
    long writer = Thread.getAllStackTraces().keySet().stream().filter(t -> t.getName().equals("instar-logs-write")).findFirst().orElseThrow().threadId();
    AtomicBoolean over = new AtomicBoolean();
    Thread flood = Thread.ofPlatform().start(() -> {
      try (Sink sink = logs.open(version(NAME, 1), "call", Long.MAX_VALUE)) {
        while (!over.get()) {
          write(sink, "flood\n".repeat(100));
        }
      }
    });
    // The first batches take long, as their code has not been compiled.
    while (times.getThreadCpuTime(writer) < 300_000_000 && flood.isAlive()) {
      Thread.sleep(50);
    }
    long cpu = times.getThreadCpuTime(writer);
    long began = System.nanoTime();
    long had;
    do {
      Thread.sleep(50);
      had = times.getThreadCpuTime(writer) - cpu;
    } while (had < 100_000_000 && flood.isAlive());
    long part = had * 100 / (System.nanoTime() - began);
    over.set(true);
    flood.join();
    // A fifth where a batch takes no longer than a quarter of the longest rest.
    assertTrue(part < 50, () -> part + " %");
  }

  @Test
  void whatFindsTheQueueFullIsCountedInTheFile() {
    // Room for one small entry at a time: most of a burst finds it full.
    restart(new LogSettings(1 << 20, 1 << 20, 8 << 20, 120));
    write(NAME, "x\n".repeat(5000));
    assertEquals(5000, texts(5000).size());
    logs.stop();
    logs = new BoundedLogs(data, LogSettings.DEFAULT);
    long written = 0;
    long counted = 0;
    for (String text : texts(10_000)) {
      if (text.equals("x")) {
        written++;
      } else {
        counted += Long.parseLong(text.substring(1, text.indexOf(' ')));
      }
    }
    assertEquals(5000, written + counted);
    assertTrue(counted > 0);
  }

  @Test
  void followersSeeEachNewLineUntilTheyClose() throws Exception {
    write(NAME, "before\n");
    LinkedBlockingQueue<String> seen = new LinkedBlockingQueue<>();
    AutoCloseable handle = logs.follow(NAME, e -> seen.add(e.text()));
    AutoCloseable failing = logs.follow(NAME, e -> {
      throw new IllegalStateException("on purpose");
    });
    write(new FunctionName("alice", "other"), "not mine\n");
    for (int i = 0; i < 100; i++) {
      write(NAME, i + "\n");
    }
    List<String> got = new ArrayList<>();
    for (int i = 0; i < 100; i++) {
      got.add(seen.poll(10, TimeUnit.SECONDS));
    }
    assertEquals(numbers(0, 100), got);
    handle.close();
    handle.close();
    failing.close();
    write(NAME, "after\n");
    assertEquals(null, seen.poll(100, TimeUnit.MILLISECONDS));
  }

  @Test
  void aFollowerThatIsTooSlowLosesLinesThatItsNextOneCounts() throws Exception {
    CountDownLatch first = new CountDownLatch(1);
    CountDownLatch goOn = new CountDownLatch(1);
    List<String> seen = new CopyOnWriteArrayList<>();
    CountDownLatch done = new CountDownLatch(1);
    try (AutoCloseable _ = logs.follow(NAME, e -> {
      first.countDown();
      try {
        goOn.await();
      } catch (InterruptedException x) {
        Thread.currentThread().interrupt();
      }
      seen.add(e.text());
      if (e.text().endsWith("last")) {
        done.countDown();
      }
    })) {
      write(NAME, "0\n");
      first.await();
      write(NAME, String.join("\n", numbers(1, 3000)) + "\n");
      goOn.countDown();
      for (int i = 0; i < 1000 && seen.size() < 1001; i++) {
        Thread.sleep(10);
      }
      write(NAME, "last\n");
      assertTrue(done.await(10, TimeUnit.SECONDS));
      long dropped = seen.stream().filter(t -> t.startsWith("[")).mapToLong(t -> Long.parseLong(t.substring(1, t.indexOf(' ')))).sum();
      assertEquals(3001, seen.size() + dropped);
      assertTrue(dropped > 0);
    }
  }

  @Test
  void stoppingClosesFollowersAndWritesWhatIsQueued() throws Exception {
    logs.follow(NAME, e -> {});
    write(NAME, String.join("\n", numbers(0, 1000)) + "\n");
    Sink open = logs.open(version(NAME, 1), "call", 1000);
    logs.stop();
    write(open, "too late\n");
    open.close();
    logs = new BoundedLogs(data, LogSettings.DEFAULT);
    assertEquals(numbers(0, 1000), texts(5000));
    try (Stream<Thread> threads = Thread.getAllStackTraces().keySet().stream()) {
      assertEquals(1, threads.filter(t -> t.getName().equals("instar-logs-write")).count());
    }
  }

  @Test
  void aSwapLosesNoLineOfEither() {
    write(NAME, "1\n");
    BoundedLogs newer = new BoundedLogs(data, LogSettings.DEFAULT);
    write(NAME, "2\n");
    assertEquals(numbers(1, 3), texts(10));
    logs.stop();
    logs = newer;
    write(NAME, "3\n");
    assertEquals(numbers(1, 4), texts(10));
  }
}
