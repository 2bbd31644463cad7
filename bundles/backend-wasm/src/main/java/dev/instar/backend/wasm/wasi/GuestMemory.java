package dev.instar.backend.wasm.wasi;

import com.dylibso.chicory.runtime.Memory;

/** A guest's linear memory as host calls use it. Every method traps when the range is not within the memory. */
public interface GuestMemory extends Memory {
  /** Copies out of the memory, without an array in between. */
  void read(int address, byte[] into, int offset, int length);

  /** Traps unless the whole range is within the memory; {@code length} is unsigned. */
  void check(int address, int length);
}
