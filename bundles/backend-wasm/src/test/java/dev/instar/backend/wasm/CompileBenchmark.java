package dev.instar.backend.wasm;

import dev.instar.api.sandbox.StartContext;
import dev.instar.backend.wasm.compile.Compilers;
import dev.instar.backend.wasm.compile.Launch;
import dev.instar.wasi.guest.MemoryBudget;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.Comparator;
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

/** From a module's bytes to classes that are loaded: by a process that is there or must be started first, or from the cache. */
@State(Scope.Thread)
@BenchmarkMode(Mode.SingleShotTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Fork(1)
@Warmup(iterations = 1)
@Measurement(iterations = 5)
public class CompileBenchmark {
  /** An example of 48 KiB, and the largest, of 93 KiB. */
  @Param({"deflate", "wordcount"})
  public String module;

  @Param({"cold", "spare", "kept", "cache"})
  public String from;

  private byte[] bytes;
  private Path directory;
  private Compilers compilers;
  private ModuleCompiler compiler;

  @Setup(Level.Iteration)
  public void open() throws Exception {
    Path here = Path.of("").toAbsolutePath();
    while (!Files.isDirectory(here.resolve("examples"))) {
      here = here.getParent();
    }
    bytes = Files.readAllBytes(here.resolve("examples").resolve(module).resolve("function.wasm"));
    directory = Files.createTempDirectory("compile-benchmark");
    compilers = new Compilers(new Launch(directory.resolve("unused")), new Compilers.Settings(1, Duration.ofMinutes(1), 1024));
    compiler = new ModuleCompiler(new CodeCache(directory.resolve("code"), "1", 1 << 30), compilers, MemoryBudget.ofHeap(Long.MAX_VALUE));
    switch (from) {
      case "spare" -> TimeUnit.SECONDS.sleep(12); // It is started after five, and warms up.
      case "kept" -> {
        compiler = new ModuleCompiler(new CodeCache(directory.resolve("code"), "1", 0), compilers, MemoryBudget.ofHeap(Long.MAX_VALUE));
        for (int i = 0; i < 5; i++) {
          compile();
        }
      }
      case "cache" -> compile();
      default -> {
        // Nothing is there.
      }
    }
  }

  @TearDown(Level.Iteration)
  public void close() throws IOException {
    compilers.close();
    try (Stream<Path> left = Files.walk(directory)) {
      for (Path path : left.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(path);
      }
    }
  }

  @Benchmark
  public Object compile() throws Exception {
    return compiler.compile("demo", bytes, ModuleScan.scan(bytes, new Bounds(1 << 26, 1 << 24, 50_000, 1 << 20, 1_000_000)),
        Instant.now().plusSeconds(60), StartContext.Room.NONE);
  }
}
