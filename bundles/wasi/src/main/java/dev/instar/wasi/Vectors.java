package dev.instar.wasi;

import java.util.Arrays;

/**
 * An {@code iovec_array} or {@code ciovec_array}, copied out of the guest's memory before anything is read into that memory: a guest may let its
 * buffers overlap the array.
 */
final class Vectors {
  /** IOV_MAX of wasi-libc. */
  private static final int MAX = 1024;

  private int[] pairs = new int[16];
  private int count;

  /** Takes an array over. Traps when it, or a buffer that it names, is not inside the memory. */
  void load(GuestMemory memory, int array, int length) throws ErrnoException {
    memory.check(array, 8 * Integer.toUnsignedLong(length));
    if (Integer.compareUnsigned(length, MAX) > 0) {
      throw Errno.INVAL.failure();
    }
    if (pairs.length < 2 * length) {
      pairs = Arrays.copyOf(pairs, 2 * MAX);
    }
    long total = 0;
    for (int i = 0; i < length; i++) {
      int address = memory.readInt(array + 8 * i);
      int size = memory.readInt(array + 8 * i + 4);
      memory.check(address, Integer.toUnsignedLong(size));
      pairs[2 * i] = address;
      pairs[2 * i + 1] = size;
      total += Integer.toUnsignedLong(size);
    }
    // The result is a size of 32 bits, and ssize_t in POSIX.
    if (total > Integer.MAX_VALUE) {
      throw Errno.INVAL.failure();
    }
    count = length;
  }

  int count() {
    return count;
  }

  int address(int index) {
    return pairs[2 * index];
  }

  int length(int index) {
    return pairs[2 * index + 1];
  }
}
