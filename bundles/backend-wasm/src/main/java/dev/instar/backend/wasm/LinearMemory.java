package dev.instar.backend.wasm;

import static com.dylibso.chicory.runtime.ConstantEvaluators.computeConstantValue;

import com.dylibso.chicory.runtime.Instance;
import com.dylibso.chicory.runtime.Memory;
import com.dylibso.chicory.runtime.TrapException;
import com.dylibso.chicory.runtime.WasmRuntimeException;
import com.dylibso.chicory.wasm.UninstantiableException;
import com.dylibso.chicory.wasm.types.ActiveDataSegment;
import com.dylibso.chicory.wasm.types.DataSegment;
import com.dylibso.chicory.wasm.types.PassiveDataSegment;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.backend.wasm.wasi.ByteBudget;
import dev.instar.backend.wasm.wasi.ChicoryMemory;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.Arrays;

/**
 * A linear memory that shares what it has not written with the image that it started from.
 *
 * <p>The bytes lie in chunks. {@code read[i]} is the chunk as it is seen; {@code own[i]} is the same array once the guest has written to it,
 * and null before: the first write copies. So starting from a snapshot costs two arrays of references, a large memory costs what is touched
 * of it, and no sandbox can see what another has written. Bounds are those of the arrays: an access beyond them throws, and the
 * exception becomes the trap, which costs nothing where none happens.
 *
 * <p>One thread at a time; shared memories are refused before it comes to this.
 */
final class LinearMemory implements Memory, ChicoryMemory.Bulk {
  /** 16 KiB: copying one takes about a microsecond, and a 16 MiB image is 1024 references. */
  static final int CHUNK_BITS = 14;
  static final int CHUNK = 1 << CHUNK_BITS;
  static final byte[] ZEROS = new byte[CHUNK];
  private static final int MASK = CHUNK - 1;
  private static final int CHUNKS_PER_PAGE = PAGE_SIZE / CHUNK;

  private static final VarHandle SHORT = MethodHandles.byteArrayViewVarHandle(short[].class, ByteOrder.LITTLE_ENDIAN);
  private static final VarHandle INT = MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);
  private static final VarHandle LONG = MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);
  private static final VarHandle FLOAT = MethodHandles.byteArrayViewVarHandle(float[].class, ByteOrder.LITTLE_ENDIAN);
  private static final VarHandle DOUBLE = MethodHandles.byteArrayViewVarHandle(double[].class, ByteOrder.LITTLE_ENDIAN);

  private final int initialPages;
  private final int maximumPages;
  private final ByteBudget budget;
  /** Longer than the memory while it grows; what lies beyond the memory is null. */
  private byte[][] read;
  private byte[][] own;
  private int pages;
  private long charged;
  private DataSegment[] segments = {};
  /** The bytes of passive segments, fetched once: Chicory copies them at each request. */
  private byte[][] segmentBytes = {};

  /** A memory of zeros. */
  LinearMemory(int initialPages, int maximumPages, ByteBudget budget) {
    this(new MemoryImage(new byte[0][], 0, 0), initialPages, maximumPages, budget);
    if (grow(initialPages) < 0) {
      throw new IllegalArgumentException("initial " + initialPages + " pages, maximum " + maximumPages);
    }
  }

  /** A memory that starts as the image says. */
  LinearMemory(MemoryImage image, int maximumPages, ByteBudget budget) {
    this(image, image.pages(), maximumPages, budget);
  }

  private LinearMemory(MemoryImage image, int initialPages, int maximumPages, ByteBudget budget) {
    this.initialPages = initialPages;
    this.maximumPages = maximumPages;
    this.budget = budget;
    this.read = image.chunks().clone();
    this.own = new byte[read.length][];
    this.pages = image.pages();
  }

  /** The present contents, for others to start from. This memory is of no use afterwards; what it was charged goes over to the image. */
  MemoryImage freeze() {
    byte[][] chunks = Arrays.copyOf(read, pages * CHUNKS_PER_PAGE);
    long kept = 0;
    for (int i = 0; i < chunks.length; i++) {
      if (chunks[i] != ZEROS && Arrays.equals(chunks[i], ZEROS)) {
        chunks[i] = ZEROS;
      }
      kept += own[i] != null && chunks[i] != ZEROS ? CHUNK : 0;
    }
    budget.give(charged - kept);
    charged = 0;
    read = own = new byte[0][];
    return new MemoryImage(chunks, pages, kept);
  }

  /** Gives back what it holds; every access traps afterwards. */
  void release() {
    budget.give(charged);
    charged = 0;
    read = own = new byte[0][];
    pages = 0;
  }

  long bytes() {
    return (long) pages * PAGE_SIZE;
  }

  /** The chunk for writing. */
  private byte[] own(int chunk) {
    byte[] bytes = own[chunk];
    return bytes != null ? bytes : copy(chunk);
  }

  private byte[] copy(int chunk) {
    byte[] shared = read[chunk];
    if (shared == null) {
      throw outOfBounds();
    }
    if (!budget.take(CHUNK)) {
      throw noRoom();
    }
    charged += CHUNK;
    byte[] bytes = shared == ZEROS ? new byte[CHUNK] : shared.clone();
    own[chunk] = bytes;
    read[chunk] = bytes;
    return bytes;
  }

  static InstarException noRoom() {
    return new InstarException(ErrorCode.OUT_OF_MEMORY,
        "The functions of this node together use all the memory that backend-wasm may give them (guest-memory-bytes); try again later.");
  }

  private static WasmRuntimeException outOfBounds() {
    return new WasmRuntimeException("out of bounds memory access");
  }

  public void check(int address, int length) {
    if (Integer.toUnsignedLong(address) + Integer.toUnsignedLong(length) > bytes()) {
      throw outOfBounds();
    }
  }

  @Override
  public int pages() {
    return pages;
  }

  @Override
  public int grow(int delta) {
    if (delta < 0 || delta > maximumPages - pages) {
      return -1;
    }
    int before = pages;
    int from = before * CHUNKS_PER_PAGE;
    int to = (before + delta) * CHUNKS_PER_PAGE;
    if (to > read.length) {
      // By half, so that a guest that grows page by page copies no more than three times what it gets.
      int room = Math.min(Math.max(to, read.length + (read.length >> 1)), maximumPages * CHUNKS_PER_PAGE);
      read = Arrays.copyOf(read, room);
      own = Arrays.copyOf(own, room);
    }
    Arrays.fill(read, from, to, ZEROS);
    pages = before + delta;
    return before;
  }

  @Override
  public int initialPages() {
    return initialPages;
  }

  @Override
  public int maximumPages() {
    return maximumPages;
  }

  @Override
  public boolean shared() {
    return false;
  }

  @Override
  @SuppressWarnings("removal")
  public Object lock(int address) {
    return this;
  }

  @Override
  @SuppressWarnings("removal")
  public int waitOn(int address, int expected, long timeout) {
    throw new TrapException("expected shared memory");
  }

  @Override
  @SuppressWarnings("removal")
  public int waitOn(int address, long expected, long timeout) {
    throw new TrapException("expected shared memory");
  }

  @Override
  @SuppressWarnings("removal")
  public int notify(int address, int maxThreads) {
    return 0;
  }

  // ---- segments ----

  @Override
  public void initialize(Instance instance, DataSegment[] dataSegments) {
    segments = dataSegments;
    segmentBytes = new byte[dataSegments.length][];
    for (int i = 0; i < dataSegments.length; i++) {
      if (dataSegments[i] instanceof ActiveDataSegment active) {
        byte[] data = active.data();
        int offset = (int) computeConstantValue(instance, active.offsetInstructions())[0];
        if (Integer.toUnsignedLong(offset) + data.length > bytes()) {
          throw new UninstantiableException("out of bounds memory access: data segment " + i + " does not fit");
        }
        write(offset, data, 0, data.length);
        // An active segment counts as dropped once it has been copied.
        dataSegments[i] = PassiveDataSegment.EMPTY;
      }
    }
  }

  @Override
  public void initPassiveSegment(int segment, int destination, int offset, int size) {
    byte[] data = segmentBytes[segment];
    if (data == null) {
      data = segmentBytes[segment] = segments[segment].data();
    }
    if (Integer.toUnsignedLong(offset) + Integer.toUnsignedLong(size) > data.length) {
      throw outOfBounds();
    }
    write(destination, data, offset, size);
  }

  @Override
  public void drop(int segment) {
    segments[segment] = PassiveDataSegment.EMPTY;
    segmentBytes[segment] = null;
  }

  // ---- blocks ----

  @Override
  public void read(int address, byte[] into, int offset, int length) {
    check(address, length);
    int at = address;
    int to = offset;
    int left = length;
    while (left > 0) {
      int n = Math.min(left, CHUNK - (at & MASK));
      System.arraycopy(read[at >>> CHUNK_BITS], at & MASK, into, to, n);
      at += n;
      to += n;
      left -= n;
    }
  }

  @Override
  public byte[] readBytes(int address, int length) {
    check(address, length);
    byte[] bytes = new byte[length];
    read(address, bytes, 0, length);
    return bytes;
  }

  @Override
  public void write(int address, byte[] data, int offset, int size) {
    check(address, size);
    int at = address;
    int from = offset;
    int left = size;
    while (left > 0) {
      int n = Math.min(left, CHUNK - (at & MASK));
      System.arraycopy(data, from, own(at >>> CHUNK_BITS), at & MASK, n);
      at += n;
      from += n;
      left -= n;
    }
  }

  /** memory.copy: the ranges may overlap. */
  @Override
  public void copy(int destination, int source, int size) {
    check(source, size);
    check(destination, size);
    int left = size;
    if (Integer.compareUnsigned(destination, source) <= 0) {
      int to = destination;
      int from = source;
      while (left > 0) {
        int n = Math.min(left, Math.min(CHUNK - (to & MASK), CHUNK - (from & MASK)));
        byte[] target = own(to >>> CHUNK_BITS);
        System.arraycopy(read[from >>> CHUNK_BITS], from & MASK, target, to & MASK, n);
        to += n;
        from += n;
        left -= n;
      }
    } else {
      int to = destination + size;
      int from = source + size;
      while (left > 0) {
        int n = Math.min(left, Math.min(((to - 1) & MASK) + 1, ((from - 1) & MASK) + 1));
        to -= n;
        from -= n;
        byte[] target = own(to >>> CHUNK_BITS);
        System.arraycopy(read[from >>> CHUNK_BITS], from & MASK, target, to & MASK, n);
        left -= n;
      }
    }
  }

  /** memory.fill; {@code to} is exclusive, as a sum that may have wrapped around. */
  @Override
  public void fill(byte value, int from, int to) {
    check(from, to - from);
    int at = from;
    int left = to - from;
    while (left > 0) {
      int n = Math.min(left, CHUNK - (at & MASK));
      int chunk = at >>> CHUNK_BITS;
      if (value != 0 || read[chunk] != ZEROS) {
        Arrays.fill(own(chunk), at & MASK, (at & MASK) + n, value);
      }
      at += n;
      left -= n;
    }
  }

  /** Chicory asks for this before the segments; a new memory is zero already, and one from an image must not become it. */
  @Override
  public void zero() {}

  // ---- single values; catching is free where nothing is thrown, and keeps the methods small enough to be inlined ----

  @Override
  public byte read(int address) {
    try {
      return read[address >>> CHUNK_BITS][address & MASK];
    } catch (IndexOutOfBoundsException | NullPointerException e) {
      throw outOfBounds();
    }
  }

  @Override
  public void writeByte(int address, byte data) {
    try {
      own(address >>> CHUNK_BITS)[address & MASK] = data;
    } catch (IndexOutOfBoundsException e) {
      throw outOfBounds();
    }
  }

  @Override
  public short readShort(int address) {
    int at = address & MASK;
    if (at > CHUNK - 2) {
      return (short) readSlowly(address, 2);
    }
    try {
      return (short) SHORT.get(read[address >>> CHUNK_BITS], at);
    } catch (IndexOutOfBoundsException | NullPointerException e) {
      throw outOfBounds();
    }
  }

  @Override
  public long readU16(int address) {
    return readShort(address) & 0xffffL;
  }

  @Override
  public void writeShort(int address, short data) {
    int at = address & MASK;
    if (at > CHUNK - 2) {
      writeSlowly(address, data, 2);
      return;
    }
    try {
      SHORT.set(own(address >>> CHUNK_BITS), at, data);
    } catch (IndexOutOfBoundsException e) {
      throw outOfBounds();
    }
  }

  @Override
  public int readInt(int address) {
    int at = address & MASK;
    if (at > CHUNK - 4) {
      return (int) readSlowly(address, 4);
    }
    try {
      return (int) INT.get(read[address >>> CHUNK_BITS], at);
    } catch (IndexOutOfBoundsException | NullPointerException e) {
      throw outOfBounds();
    }
  }

  @Override
  public void writeI32(int address, int data) {
    int at = address & MASK;
    if (at > CHUNK - 4) {
      writeSlowly(address, data, 4);
      return;
    }
    try {
      INT.set(own(address >>> CHUNK_BITS), at, data);
    } catch (IndexOutOfBoundsException e) {
      throw outOfBounds();
    }
  }

  @Override
  public long readLong(int address) {
    int at = address & MASK;
    if (at > CHUNK - 8) {
      return readSlowly(address, 8);
    }
    try {
      return (long) LONG.get(read[address >>> CHUNK_BITS], at);
    } catch (IndexOutOfBoundsException | NullPointerException e) {
      throw outOfBounds();
    }
  }

  @Override
  public void writeLong(int address, long data) {
    int at = address & MASK;
    if (at > CHUNK - 8) {
      writeSlowly(address, data, 8);
      return;
    }
    try {
      LONG.set(own(address >>> CHUNK_BITS), at, data);
    } catch (IndexOutOfBoundsException e) {
      throw outOfBounds();
    }
  }

  @Override
  public float readFloat(int address) {
    int at = address & MASK;
    if (at > CHUNK - 4) {
      return Float.intBitsToFloat((int) readSlowly(address, 4));
    }
    try {
      return (float) FLOAT.get(read[address >>> CHUNK_BITS], at);
    } catch (IndexOutOfBoundsException | NullPointerException e) {
      throw outOfBounds();
    }
  }

  @Override
  public long readF32(int address) {
    return readInt(address);
  }

  @Override
  public void writeF32(int address, float data) {
    int at = address & MASK;
    if (at > CHUNK - 4) {
      writeSlowly(address, Float.floatToRawIntBits(data), 4);
      return;
    }
    try {
      FLOAT.set(own(address >>> CHUNK_BITS), at, data);
    } catch (IndexOutOfBoundsException e) {
      throw outOfBounds();
    }
  }

  @Override
  public double readDouble(int address) {
    int at = address & MASK;
    if (at > CHUNK - 8) {
      return Double.longBitsToDouble(readSlowly(address, 8));
    }
    try {
      return (double) DOUBLE.get(read[address >>> CHUNK_BITS], at);
    } catch (IndexOutOfBoundsException | NullPointerException e) {
      throw outOfBounds();
    }
  }

  @Override
  public long readF64(int address) {
    return readLong(address);
  }

  @Override
  public void writeF64(int address, double data) {
    int at = address & MASK;
    if (at > CHUNK - 8) {
      writeSlowly(address, Double.doubleToRawLongBits(data), 8);
      return;
    }
    try {
      DOUBLE.set(own(address >>> CHUNK_BITS), at, data);
    } catch (IndexOutOfBoundsException e) {
      throw outOfBounds();
    }
  }

  /** A value that lies in two chunks. */
  private long readSlowly(int address, int size) {
    check(address, size);
    long value = 0;
    for (int i = size - 1; i >= 0; i--) {
      value = value << 8 | read(address + i) & 0xff;
    }
    return value;
  }

  private void writeSlowly(int address, long data, int size) {
    check(address, size);
    for (int i = 0; i < size; i++) {
      writeByte(address + i, (byte) (data >>> 8 * i));
    }
  }
}
