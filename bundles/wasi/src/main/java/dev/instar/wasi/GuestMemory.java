package dev.instar.wasi;

/**
 * The linear memory of a guest, little-endian. Addresses are unsigned 32-bit values. Every access outside of {@link #size} throws
 * {@link GuestTrap} and changes nothing.
 */
public interface GuestMemory {
  /** In bytes; grows while the guest runs. */
  long size();

  byte readByte(int address);

  short readShort(int address);

  int readInt(int address);

  long readLong(int address);

  void writeByte(int address, byte value);

  void writeShort(int address, short value);

  void writeInt(int address, int value);

  void writeLong(int address, long value);

  /** Copies out of the memory. */
  void read(int address, byte[] into, int offset, int length);

  /** Copies into the memory. */
  void write(int address, byte[] from, int offset, int length);

  /**
   * Traps unless the whole range lies inside.
   *
   * @param length up to 2^62
   */
  default void check(int address, long length) {
    if (Integer.toUnsignedLong(address) + length > size()) {
      throw new GuestTrap("out of bounds memory access: " + length + " bytes at " + Integer.toUnsignedString(address) + " of " + size());
    }
  }
}
