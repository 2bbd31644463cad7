package dev.instar.backend.wasmtime;

import dev.instar.api.wasmtime.WasmtimeInstance;
import dev.instar.wasi.GuestMemory;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * The memory of an instance. Every access is checked against its size here: beyond that there is address space that is not mapped, and touching it would
 * end the process.
 */
final class NativeMemory implements GuestMemory {
  private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private final WasmtimeInstance instance;
  private MemorySegment memory = MemorySegment.NULL;
  private long size;

  NativeMemory(WasmtimeInstance instance) {
    this.instance = instance;
  }

  /** Looks how large it has become; it never gets smaller. To be called after the guest has run. */
  void look() {
    size = instance.memoryBytes();
    memory = instance.memory();
  }

  @Override
  public long size() {
    return size;
  }

  private static long offset(int address) {
    return Integer.toUnsignedLong(address);
  }

  @Override
  public byte readByte(int address) {
    check(address, 1);
    return memory.get(ValueLayout.JAVA_BYTE, offset(address));
  }

  @Override
  public short readShort(int address) {
    check(address, 2);
    return memory.get(SHORT, offset(address));
  }

  @Override
  public int readInt(int address) {
    check(address, 4);
    return memory.get(INT, offset(address));
  }

  @Override
  public long readLong(int address) {
    check(address, 8);
    return memory.get(LONG, offset(address));
  }

  @Override
  public void writeByte(int address, byte value) {
    check(address, 1);
    memory.set(ValueLayout.JAVA_BYTE, offset(address), value);
  }

  @Override
  public void writeShort(int address, short value) {
    check(address, 2);
    memory.set(SHORT, offset(address), value);
  }

  @Override
  public void writeInt(int address, int value) {
    check(address, 4);
    memory.set(INT, offset(address), value);
  }

  @Override
  public void writeLong(int address, long value) {
    check(address, 8);
    memory.set(LONG, offset(address), value);
  }

  @Override
  public void read(int address, byte[] into, int offset, int length) {
    check(address, length);
    MemorySegment.copy(memory, ValueLayout.JAVA_BYTE, offset(address), into, offset, length);
  }

  @Override
  public void write(int address, byte[] from, int offset, int length) {
    check(address, length);
    MemorySegment.copy(from, offset, memory, ValueLayout.JAVA_BYTE, offset(address), length);
  }
}
