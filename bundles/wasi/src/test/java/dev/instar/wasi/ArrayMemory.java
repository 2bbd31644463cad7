package dev.instar.wasi;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** A linear memory of a fixed size. */
final class ArrayMemory implements GuestMemory {
  final ByteBuffer bytes;

  ArrayMemory(int size) {
    bytes = ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
  }

  @Override
  public long size() {
    return bytes.capacity();
  }

  @Override
  public byte readByte(int address) {
    check(address, 1);
    return bytes.get(address);
  }

  @Override
  public short readShort(int address) {
    check(address, 2);
    return bytes.getShort(address);
  }

  @Override
  public int readInt(int address) {
    check(address, 4);
    return bytes.getInt(address);
  }

  @Override
  public long readLong(int address) {
    check(address, 8);
    return bytes.getLong(address);
  }

  @Override
  public void writeByte(int address, byte value) {
    check(address, 1);
    bytes.put(address, value);
  }

  @Override
  public void writeShort(int address, short value) {
    check(address, 2);
    bytes.putShort(address, value);
  }

  @Override
  public void writeInt(int address, int value) {
    check(address, 4);
    bytes.putInt(address, value);
  }

  @Override
  public void writeLong(int address, long value) {
    check(address, 8);
    bytes.putLong(address, value);
  }

  @Override
  public void read(int address, byte[] into, int offset, int length) {
    check(address, length);
    bytes.get(address, into, offset, length);
  }

  @Override
  public void write(int address, byte[] from, int offset, int length) {
    check(address, length);
    bytes.put(address, from, offset, length);
  }
}
