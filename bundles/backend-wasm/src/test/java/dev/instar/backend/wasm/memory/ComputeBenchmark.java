package dev.instar.backend.wasm.memory;

import com.dylibso.chicory.runtime.ByteArrayMemory;
import com.dylibso.chicory.runtime.ByteBufferMemory;
import com.dylibso.chicory.runtime.Instance;
import com.dylibso.chicory.runtime.Memory;
import com.dylibso.chicory.wasm.types.MemoryLimits;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
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

/** How fast guest code computes on each memory. */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(value = 3, jvmArgsAppend = "-XX:-DontCompileHugeMethods")
@Warmup(iterations = 3, time = 2)
@Measurement(iterations = 3, time = 1)
public class ComputeBenchmark {
  @Param({"cow", "array", "buffer"})
  public String memory;

  private Example example;
  private Instance sha256;
  private final byte[] input = new byte[64_000];
  private Instance primes;

  @Setup
  public void open() {
    example = Example.named("sha256");
    sha256 = example.initialized(factory());
    primes = Example.named("primes").initialized(factory());
  }

  private Function<MemoryLimits, Memory> factory() {
    return switch (memory) {
      case "cow" -> limits -> MemoryImage.zeros(limits).open();
      case "array" -> ByteArrayMemory::new;
      case "buffer" -> ByteBufferMemory::new;
      default -> throw new IllegalArgumentException(memory);
    };
  }

  @Benchmark
  public byte[] sha256() {
    return example.call(sha256, input);
  }

  /** Fills the table of 16 MiB again. */
  @Benchmark
  public Memory sieve() {
    primes.export("_initialize").apply();
    return primes.memory();
  }
}
