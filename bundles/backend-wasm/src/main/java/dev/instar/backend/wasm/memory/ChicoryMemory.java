package dev.instar.backend.wasm.memory;

import com.dylibso.chicory.runtime.Memory;
import dev.instar.wasi.GuestMemory;

/** A memory of Chicory. Its bulk read makes an array; a memory that offers {@link Bulk} is spared that. */
public final class ChicoryMemory implements GuestMemory {
  private final Memory memory;

  public ChicoryMemory(Memory memory) {
    this.memory = memory;
  }

  /** Whether it is over that memory. */
  public boolean isOf(Memory other) {
    return memory == other;
  }

  @Override
  public long size() {
    return (long) memory.pages() * Memory.PAGE_SIZE;
  }

  @Override
  public byte readByte(int address) {
    check(address, 1);
    return memory.read(address);
  }

  @Override
  public short readShort(int address) {
    check(address, 2);
    return memory.readShort(address);
  }

  @Override
  public int readInt(int address) {
    check(address, 4);
    return memory.readInt(address);
  }

  @Override
  public long readLong(int address) {
    check(address, 8);
    return memory.readLong(address);
  }

  @Override
  public void writeByte(int address, byte value) {
    check(address, 1);
    memory.writeByte(address, value);
  }

  @Override
  public void writeShort(int address, short value) {
    check(address, 2);
    memory.writeShort(address, value);
  }

  @Override
  public void writeInt(int address, int value) {
    check(address, 4);
    memory.writeI32(address, value);
  }

  @Override
  public void writeLong(int address, long value) {
    check(address, 8);
    memory.writeLong(address, value);
  }

  @Override
  public void read(int address, byte[] into, int offset, int length) {
    check(address, length);
    if (memory instanceof Bulk bulk) {
      bulk.read(address, into, offset, length);
    } else {
      System.arraycopy(memory.readBytes(address, length), 0, into, offset, length);
    }
  }

  @Override
  public void write(int address, byte[] from, int offset, int length) {
    check(address, length);
    memory.write(address, from, offset, length);
  }

  /** For memories of ours. */
  public interface Bulk {
    /** Copies out of the memory; the range has been checked. */
    void read(int address, byte[] into, int offset, int length);
  }
}
