package dev.instar.wasmtime;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** Native memory of one thread for what goes in and out of calls, and the instance that runs on it. */
final class Scratch {
  /** As many as a called function may have parameters. */
  static final int MOST_VALUES = 64;

  private static final ThreadLocal<Scratch> OF_THREAD = ThreadLocal.withInitial(Scratch::new);

  /** Keeps the memory. */
  private final MemorySegment block;
  /** Where arguments go and results come from. */
  final long values;
  /** A pointer that the library writes: to a trap, an error, a module. */
  final long pointer;
  /** A {@code wasmtime_extern_t}. */
  final long extern;
  /** A {@code wasmtime_instance_t} or {@code wasmtime_func_t}. */
  final long handle;
  /** A {@code wasmtime_memory_t}; not that of {@link #extern}, since a host function may come in between. */
  final long memory;
  /** The innermost instance that runs on this thread; null when none does. */
  Instance running;

  private Scratch() {
    // Freed when the thread has ended and this object was collected.
    block = Arena.ofAuto().allocate(MOST_VALUES * CApi.VALUE_BYTES + 256, 16);
    long base = block.address();
    values = base;
    pointer = base + MOST_VALUES * CApi.VALUE_BYTES;
    extern = pointer + 16;
    handle = extern + CApi.EXTERN_BYTES;
    memory = handle + 16;
  }

  static Scratch ofThread() {
    return OF_THREAD.get();
  }
}
