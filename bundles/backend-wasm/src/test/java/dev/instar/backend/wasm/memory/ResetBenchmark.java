package dev.instar.backend.wasm.memory;

import com.dylibso.chicory.runtime.Memory;
import com.dylibso.chicory.wasm.types.MemoryLimits;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
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

/** What a memory costs to map, to reset and to take from a pool, after a guest that wrote to some of its pages of 4 KiB. The writes count too. */
@State(Scope.Thread)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(2)
@Warmup(iterations = 2, time = 1)
@Measurement(iterations = 3, time = 1)
public class ResetBenchmark {
  @Param({"0", "1", "16", "256"})
  public int touched;

  private MemoryImage image;
  private MemoryPool pool;
  private CowMemory memory;

  @Setup
  public void open() {
    try (var zeros = MemoryImage.zeros(new MemoryLimits(32, 1024)); CowMemory source = zeros.open()) {
      source.fill((byte) 1, 0, 32 * Memory.PAGE_SIZE);
      image = MemoryImage.capture(source, Path.of(System.getProperty("java.io.tmpdir")));
    }
    pool = new MemoryPool(1, 1);
    memory = image.open();
  }

  @TearDown
  public void close() {
    memory.close();
    pool.close();
    image.close();
  }

  private void touch(CowMemory touchedMemory) {
    for (int page = 0; page < touched; page++) {
      touchedMemory.writeI32(page * 4096, page);
    }
  }

  @Benchmark
  public void mapTouchUnmap() {
    try (CowMemory mapped = image.open()) {
      touch(mapped);
    }
  }

  @Benchmark
  public void touchReset() {
    touch(memory);
    memory.reset();
  }

  @Benchmark
  public void takeTouchGiveBack() {
    try (CowMemory taken = pool.take(image)) {
      touch(taken);
    }
  }
}
