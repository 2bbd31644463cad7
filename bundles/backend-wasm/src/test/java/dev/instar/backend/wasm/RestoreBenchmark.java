package dev.instar.backend.wasm;

import dev.instar.api.sandbox.Checkpointable;
import dev.instar.api.sandbox.PreparedFunction;
import dev.instar.api.sandbox.Sandbox;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/** What a state that was stored by an earlier run of the node costs, while a hundred sandboxes of it live, each of which has had a call. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(2)
@Warmup(iterations = 4, time = 2)
@Measurement(iterations = 4, time = 2)
public class RestoreBenchmark {
  private static final int ALIVE = 100;
  /** As many memories as a node keeps of a function that nobody uses: while these are taken, a sandbox gets a new one. */
  private static final int IDLE = 2;
  private static final byte[] INPUT = "1000".getBytes(StandardCharsets.US_ASCII);

  /** primes has 16 MiB of memory that its initialisation fills. */
  @Param({"echo", "primes"})
  public String example;

  private Path directory;
  private TestStore store;
  private TestNode node;
  private byte[] module;
  private PreparedFunction prepared;
  private final List<Sandbox> alive = new ArrayList<>();
  private final List<Sandbox> taken = new ArrayList<>();

  @Setup
  public void open() throws IOException, InterruptedException {
    directory = Files.createTempDirectory("instar-restore-");
    module = Files.readAllBytes(Path.of("../../examples", example, "function.wasm"));
    start();
    try (PreparedFunction first = node.prepare(module)) {
      ((Checkpointable) first).checkpoint();
    }
    stop();
    start();
    prepared = node.prepare(module);
    if (!prepared.describe().get("initialised").equals("from the snapshot")) {
      throw new IllegalStateException(prepared.describe().toString());
    }
    for (int i = 0; i < ALIVE; i++) {
      Sandbox sandbox = TestNode.start(prepared);
      alive.add(sandbox);
      TestNode.call(sandbox, INPUT).good();
    }
  }

  private void start() {
    store = new TestStore(directory);
    node = new TestNode(directory);
    node.backend.snapshots = store.store();
  }

  private void stop() {
    node.close();
    store.close();
  }

  @TearDown
  public void close() throws IOException {
    alive.forEach(Sandbox::close);
    prepared.close();
    stop();
    try (Stream<Path> files = Files.walk(directory)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    }
  }

  /** What takes the memories that lie idle. */
  @State(Scope.Thread)
  public static class NoneIdle {
    private RestoreBenchmark of;
    private Sandbox started;

    @Setup(Level.Invocation)
    public void take(RestoreBenchmark benchmark) {
      of = benchmark;
      for (int i = 0; i < IDLE; i++) {
        of.taken.add(TestNode.start(of.prepared));
      }
    }

    @TearDown(Level.Invocation)
    public void giveBack() {
      started.close();
      of.taken.forEach(Sandbox::close);
      of.taken.clear();
    }
  }

  /** In the memory of a sandbox that has ended, with its end. */
  @Benchmark
  public void startAndClose() {
    TestNode.start(prepared).close();
  }

  /** In a memory that is mapped for it. */
  @Benchmark
  public Sandbox startOnNewMapping(NoneIdle none) {
    none.started = TestNode.start(prepared);
    return none.started;
  }

  /** The same with its first call: the pages that this touches are mapped one by one. */
  @Benchmark
  public byte[] startOnNewMappingAndCall(NoneIdle none) {
    none.started = TestNode.start(prepared);
    return TestNode.call(none.started, INPUT).good().output();
  }

  /** Found, verified, copied into an image; its code is in the cache. */
  @Benchmark
  public void prepareStored() {
    node.prepare(module).close();
  }

  /** The same without a store: initialised, its state saved in memory. */
  @Benchmark
  public void prepareAnew(NoStore none) {
    none.node.prepare(module).close();
  }

  /** A node without a store. */
  @State(Scope.Thread)
  public static class NoStore {
    private TestNode node;

    @Setup
    public void open(RestoreBenchmark benchmark) {
      node = new TestNode(benchmark.directory);
    }

    @TearDown
    public void close() {
      node.close();
    }
  }
}
