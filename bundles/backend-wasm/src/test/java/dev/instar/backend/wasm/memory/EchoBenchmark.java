package dev.instar.backend.wasm.memory;

import com.dylibso.chicory.runtime.Instance;
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
import org.openjdk.jmh.annotations.Warmup;

/** A call of an example with a fresh state for each, by the ways there are to get it. */
@State(Scope.Thread)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(2)
@Warmup(iterations = 3, time = 2)
@Measurement(iterations = 3, time = 1)
public class EchoBenchmark {
  @Param({"echo", "primes"})
  public String example;

  private final byte[] input = "1000".getBytes();
  private Example function;
  private MemoryImage image;
  private MemoryPool pool;
  private Instance warm;
  private CowMemory warmMemory;

  @Setup
  public void open() {
    function = Example.named(example);
    image = function.image(Path.of(System.getProperty("java.io.tmpdir")));
    pool = new MemoryPool(2, 2);
    warmMemory = image.open();
    warm = function.builder(limits -> warmMemory).build();
  }

  /** The call alone: the floor of the others. */
  @Benchmark
  public byte[] callAlone() {
    return function.call(warm, input);
  }

  @Benchmark
  public byte[] resetInPlace() {
    byte[] answer = function.call(warm, input);
    warmMemory.reset();
    return answer;
  }

  @Benchmark
  public byte[] newInstancePooledMemory() {
    try (CowMemory memory = pool.take(image)) {
      return function.call(function.builder(limits -> memory).build(), input);
    }
  }

  @Benchmark
  public byte[] newInstanceNewMapping() {
    try (CowMemory memory = image.open()) {
      return function.call(function.builder(limits -> memory).build(), input);
    }
  }
}
