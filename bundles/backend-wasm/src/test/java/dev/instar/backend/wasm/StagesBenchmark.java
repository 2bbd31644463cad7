package dev.instar.backend.wasm;

import dev.instar.api.sandbox.PreparedFunction;
import dev.instar.api.sandbox.Sandbox;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Comparator;
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

/** The stages of a function's life as the node goes through them: prepare, start, call, reset, by the contract of a backend. */
@State(Scope.Thread)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(2)
@Warmup(iterations = 4, time = 2)
@Measurement(iterations = 4, time = 2)
public class StagesBenchmark {
  /** primes has 16 MiB of memory that its initialisation fills. */
  @Param({"echo", "primes"})
  public String example;

  private final byte[] input = "1000".getBytes(StandardCharsets.US_ASCII);
  private Path directory;
  private TestNode node;
  private byte[] module;
  private PreparedFunction prepared;
  private Sandbox pooled;
  private int modules;

  @Setup
  public void open() throws IOException {
    directory = Files.createTempDirectory("instar-stages-");
    node = new TestNode(directory);
    module = Files.readAllBytes(Path.of("../../examples", example, "function.wasm"));
    prepared = node.prepare(module);
    pooled = TestNode.start(prepared);
  }

  @TearDown
  public void close() throws IOException {
    pooled.close();
    prepared.close();
    node.close();
    try (Stream<Path> files = Files.walk(directory)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    }
  }

  /** A module that this node has never seen: checked, compiled, initialised, its state saved. */
  @Benchmark
  @BenchmarkMode(Mode.SingleShotTime)
  @OutputTimeUnit(TimeUnit.MILLISECONDS)
  @Warmup(iterations = 20)
  @Measurement(iterations = 20)
  public void prepareNew() {
    node.prepare(distinct()).close();
  }

  /** Its code is in the cache: checked, loaded, initialised, its state saved. */
  @Benchmark
  @BenchmarkMode(Mode.SingleShotTime)
  @OutputTimeUnit(TimeUnit.MILLISECONDS)
  @Warmup(iterations = 20)
  @Measurement(iterations = 20)
  public void prepareKnown() {
    node.prepare(module).close();
  }

  /** To an instance that is ready for a call, and its end. */
  @Benchmark
  public void startAndClose() {
    TestNode.start(prepared).close();
  }

  /** A sandbox for one call. */
  @Benchmark
  public byte[] startCallClose() {
    try (Sandbox sandbox = TestNode.start(prepared)) {
      return TestNode.call(sandbox, input).good().output();
    }
  }

  /** A sandbox of the pool. */
  @Benchmark
  public byte[] callAndReset() {
    return TestNode.call(pooled, input).good().output();
  }

  /** The module with a custom section that no other has. */
  private byte[] distinct() {
    byte[] changed = Arrays.copyOf(module, module.length + 8);
    byte[] section = {0, 6, 1, 'n', (byte) (modules >> 24), (byte) (modules >> 16), (byte) (modules >> 8), (byte) modules};
    modules++;
    System.arraycopy(section, 0, changed, module.length, section.length);
    return changed;
  }
}
