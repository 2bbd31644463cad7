package dev.instar.wasi.writeback;

import java.io.ByteArrayOutputStream;

/** Bytes of a module that are being written. */
final class Encoded extends ByteArrayOutputStream {
  Encoded() {}

  /** @param capacity how many they become */
  Encoded(int capacity) {
    super(capacity);
  }

  /** All of them; not a copy where they are just as many as was said. */
  byte[] whole() {
    return count == buf.length ? buf : toByteArray();
  }

  Encoded copy(byte[] bytes, ModuleBytes.Range range) {
    write(bytes, range.from(), range.to() - range.from());
    return this;
  }

  Encoded all(Encoded bytes) {
    write(bytes.buf, 0, bytes.count);
    return this;
  }

  Encoded u8(int... values) {
    for (int value : values) {
      write(value);
    }
    return this;
  }

  /** Unsigned LEB128. */
  Encoded u32(long value) {
    long left = value;
    for (; left >= 0x80; left >>>= 7) {
      write((int) (left & 0x7f | 0x80));
    }
    write((int) left);
    return this;
  }

  /** Signed LEB128. */
  Encoded signed(long value) {
    long left = value;
    while (left < -64 || left > 63) {
      write((int) (left & 0x7f | 0x80));
      left >>= 7;
    }
    write((int) (left & 0x7f));
    return this;
  }

  /** The bytes of a number as they lie in memory. */
  Encoded little(long value, int size) {
    for (int i = 0; i < size; i++) {
      write((int) (value >>> 8 * i));
    }
    return this;
  }

  /** A constant expression whose value is a reference: {@link ModuleState#NULL} or the index of a function. */
  Encoded reference(int type, long value) {
    return (value == ModuleState.NULL ? u8(0xd0, type) : u8(0xd2).u32(value)).u8(0x0b);
  }

  Encoded section(int id, Encoded content) {
    return u8(id).u32(content.size()).all(content);
  }
}
