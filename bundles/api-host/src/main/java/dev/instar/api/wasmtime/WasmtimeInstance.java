package dev.instar.api.wasmtime;

import java.lang.foreign.MemorySegment;
import java.util.OptionalInt;
import org.osgi.annotation.versioning.ProviderType;

/** One instance. For one thread at a time; {@link WasmtimeModule#instantiate} calls imported functions before anybody has it. */
@ProviderType
public interface WasmtimeInstance extends AutoCloseable {
  /** From now on the imported functions get this host, and ticks are counted anew. While it does not run; it has what it has: its memory, globals and tables stay. */
  void serve(WasmtimeModule.Host host);

  /**
   * Calls an exported function of i32 and i64 parameters and at most one result of these types.
   *
   * @return the result; of an i32 the low half counts; 0 where there is none
   * @throws WasmtimeTrap when it did not return
   * @throws IllegalArgumentException when there is no such function
   */
  long call(String export, long... arguments) throws WasmtimeTrap;

  /** Whether it exports such a function. */
  boolean hasFunction(String export);

  /** How many bytes its memory has now; 0 where it exports none under the name {@code memory}. */
  long memoryBytes();

  /** Its memory from the first byte on, without an end: to be read and written below {@link #memoryBytes} only. Stays where it is while it grows. */
  MemorySegment memory();

  /** Adds pages of 64 KiB to the memory; how many there were before, or nothing when it may not. */
  OptionalInt grow(int pages);

  /** What tells no function, but something of the host. */
  long FOREIGN = -1;

  /**
   * What tells an exported function from others of this instance: a number that is the same wherever the function is referred to, and not 0.
   *
   * @throws IllegalArgumentException when there is no such function
   */
  long function(String export);

  /**
   * What an exported global holds: two words of a number's bits, the lower first; of a reference, in the first, what tells the function, 0 for null, or
   * {@link #FOREIGN}.
   *
   * @throws IllegalArgumentException when there is no such global
   */
  long[] global(String export);

  /**
   * What an exported table holds: of each element what tells the function, 0 for null, or {@link #FOREIGN}.
   *
   * @throws IllegalArgumentException when there is no such table
   */
  long[] table(String export);

  /** Gives its place back. Idempotent. */
  @Override
  void close();
}
