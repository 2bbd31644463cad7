package dev.instar.backend.wasm;

import dev.instar.api.sandbox.Checkpointable;
import dev.instar.api.sandbox.PreparedFunction;
import dev.instar.api.sandbox.Sandbox;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/** The first call of functions that an earlier run of the node has stored, one function after the other: prepare, start, call, and all of that closed. */
@State(Scope.Thread)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(1)
@Warmup(iterations = 2, time = 2)
@Measurement(iterations = 4, time = 2)
public class FirstCallBenchmark {
  /** How many there are. */
  @Param("1000")
  public int functions;

  private final byte[] input = "hello".getBytes(StandardCharsets.US_ASCII);
  private final List<byte[]> modules = new ArrayList<>();
  private Path directory;
  private TestStore store;
  private TestNode stored;
  private TestNode anew;
  private int next;

  @Setup
  public void open() throws IOException, InterruptedException {
    directory = Files.createTempDirectory("instar-first-");
    byte[] echo = Files.readAllBytes(Path.of("../../examples/echo/function.wasm"));
    store = new TestStore(directory);
    stored = new TestNode(directory);
    stored.backend.snapshots = store.store();
    for (int i = 0; i < functions; i++) {
      // A custom section that no other has.
      byte[] module = Arrays.copyOf(echo, echo.length + 8);
      byte[] section = {0, 6, 1, 'n', (byte) (i >> 24), (byte) (i >> 16), (byte) (i >> 8), (byte) i};
      System.arraycopy(section, 0, module, echo.length, section.length);
      modules.add(module);
      try (PreparedFunction first = stored.prepare(module)) {
        ((Checkpointable) first).checkpoint();
      }
    }
    stored.close();
    store.close();
    store = new TestStore(directory);
    stored = new TestNode(directory);
    stored.backend.snapshots = store.store();
    anew = new TestNode(directory);
  }

  @TearDown
  public void close() throws IOException {
    stored.close();
    anew.close();
    store.close();
    try (Stream<Path> files = Files.walk(directory)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    }
  }

  private byte[] call(TestNode node) {
    try (PreparedFunction prepared = node.prepare(modules.get(next++ % functions)); Sandbox sandbox = TestNode.start(prepared)) {
      return TestNode.call(sandbox, input).good().output();
    }
  }

  @Benchmark
  public byte[] fromTheStore() {
    return call(stored);
  }

  /** Its code is in the cache. */
  @Benchmark
  public byte[] initialisedAnew() {
    return call(anew);
  }
}
