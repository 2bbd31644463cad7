package dev.instar.backend.wasm.memory;

import com.dylibso.chicory.runtime.ChicoryInterruptedException;
import com.dylibso.chicory.runtime.ConstantEvaluators;
import com.dylibso.chicory.runtime.Instance;
import com.dylibso.chicory.runtime.Memory;
import com.dylibso.chicory.runtime.WasmRuntimeException;
import com.dylibso.chicory.wasm.ChicoryException;
import com.dylibso.chicory.wasm.InvalidException;
import com.dylibso.chicory.wasm.UninstantiableException;
import com.dylibso.chicory.wasm.types.ActiveDataSegment;
import com.dylibso.chicory.wasm.types.DataSegment;
import com.dylibso.chicory.wasm.types.PassiveDataSegment;
import dev.instar.wasi.guest.UseCount;
import dev.instar.wasi.pages.LibC;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.BitSet;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.IntUnaryOperator;
import java.util.function.LongPredicate;

/**
 * A linear memory that starts with the bytes of a {@link MemoryImage} and goes back to them.
 *
 * <p>Every access is checked against the current size, and what is out of bounds throws what Chicory's own memories throw. Costs: a page that is
 * read maps the image's page, a page that is written is a page of memory. A reset writes back a few written pages, and gives up many.
 *
 * <p>Loads and stores go through view handles of a direct buffer. A memory segment is as fast or faster in a small function, but each access is so
 * many nodes to HotSpot's C2 that it stops inlining in the middle of a large one (NodeCountInliningCutoff); SHA-256, unrolled, took 1.9 times as long.
 *
 * <p>Used by one thread at a time. {@link #close} may come from any thread: between {@link #enter} and {@link #leave} the bytes stay mapped, a
 * guest that still runs meets a memory of size zero, and the last one out frees them. Whoever uses a closed memory gets an exception. Without
 * enter, a close by another thread in the middle of an access would take the JVM along.
 */
public final class CowMemory implements Memory, ChicoryMemory.Bulk, AutoCloseable {
  private static final VarHandle SHORT = view(short[].class);
  private static final VarHandle INT = view(int[].class);
  private static final VarHandle LONG = view(long[].class);
  private static final VarHandle FLOAT = view(float[].class);
  private static final VarHandle DOUBLE = view(double[].class);

  /** The whole address space, for what is rarer or longer; everything about it is a constant to the compiler. */
  private static final MemorySegment SPACE = MemorySegment.NULL.reinterpret(Long.MAX_VALUE);
  private static final ValueLayout.OfByte BYTE = ValueLayout.JAVA_BYTE;
  private static final VarHandle ATOMIC_INT = ValueLayout.JAVA_INT.withOrder(ByteOrder.LITTLE_ENDIAN).varHandle();
  private static final VarHandle ATOMIC_LONG = ValueLayout.JAVA_LONG.withOrder(ByteOrder.LITTLE_ENDIAN).varHandle();

  /** Of the class that all the others have, so that a close leaves the compiler's type profiles as they are. */
  private static final ByteBuffer CLOSED = ByteBuffer.allocateDirect(0);
  private static final DataSegment[] NO_SEGMENTS = {};
  private static final byte[] NONE = {};
  /** What is filled or copied in one go. Meanwhile no kill is seen. */
  private static final int CHUNK = 1 << 20;
  private static final byte[][] NO_BYTES = {};
  /** Arguments of a call to the host whose array is kept; WASI's path_open has nine. */
  private static final int SMALL_CALL = 9;

  private final MemoryImage image;
  private final Region region;
  private final Consumer<Region> giveBack;
  private final UseCount uses = new UseCount();

  /** The bytes up to the current size; none when closed. */
  private ByteBuffer bytes;
  /** Address of the first byte. It is kept at a close: an access that has passed its check must find what it was checked for. */
  private long base;
  /** Current size in bytes; 0 when closed, so that every check fails. */
  private long limit;

  /** Chicory zeroes a memory and writes its data segments when it builds an instance; a captured image has both behind it. */
  private boolean awaitsInitialization;
  /** The instance's own array, which it shares with us. */
  private DataSegment[] segments = NO_SEGMENTS;
  private DataSegment[] initialSegments = NO_SEGMENTS;
  /** What the segments hold, once asked for: each request copies it. */
  private byte[][] segmentBytes = NO_BYTES;
  private LongPredicate mayGrow = more -> true;
  private boolean refused;
  private final long[][] hostArguments = new long[SMALL_CALL + 1][];

  CowMemory(MemoryImage image, Region region, Consumer<Region> giveBack) {
    this.image = image;
    this.region = region;
    this.giveBack = giveBack;
    awaitsInitialization = image.captured();
    follow();
  }

  /** An array for the arguments of a call to the host, which stands only until the guest's next one. */
  public long[] hostArguments(int count) {
    if (count > SMALL_CALL) {
      return new long[count];
    }
    long[] kept = hostArguments[count];
    return kept != null ? kept : (hostArguments[count] = new long[count]);
  }

  private static VarHandle view(Class<?> array) {
    return MethodHandles.byteBufferViewVarHandle(array, ByteOrder.LITTLE_ENDIAN).withInvokeExactBehavior();
  }

  /** Takes over where the bytes are and how many. */
  private void follow() {
    bytes = region.bytes();
    base = region.base();
    limit = bytes.limit();
  }

  private void shut() {
    bytes = CLOSED;
    limit = 0;
  }

  /**
   * Goes back to the image: its bytes, its size, and the data segments that the instance had after its initialisation. The instance may go on, or
   * another be made on this memory.
   *
   * @throws IllegalStateException when the memory is closed, or a guest is running in it
   */
  public void reset() {
    checkIdle();
    region.reset();
    follow();
    System.arraycopy(initialSegments, 0, segments, 0, initialSegments.length);
    segmentBytes = new byte[segments.length][];
    awaitsInitialization = image.captured();
  }

  /**
   * A reset that leaves no page of its own: for a memory that will be idle for long. The next guest pays a page fault for each page.
   *
   * @throws IllegalStateException when the memory is closed, or a guest is running in it
   */
  public void trim() {
    reset();
    region.trim();
  }

  /** Bytes of the process' own that it keeps after a reset; what else a guest writes adds to it. */
  public long kept() {
    return region.kept();
  }

  /** Sets who is asked before each growth, with the bytes that it adds; an exception of it ends the guest. */
  public void mayGrow(LongPredicate asked) {
    mayGrow = asked;
  }

  /** Forgets what an earlier guest was refused. */
  public void settle() {
    refused = false;
  }

  /** Whether the guest did not get the pages that it asked for last. */
  public boolean refused() {
    return refused;
  }

  private void checkIdle() {
    if (uses.closed()) {
      throw closed();
    }
    if (uses.inUse()) {
      throw new IllegalStateException("A guest is running in the linear memory");
    }
  }

  /**
   * Keeps the bytes mapped until {@link #leave}, whoever closes the memory meanwhile. Around every call into the guest.
   *
   * @throws IllegalStateException when the memory is closed
   */
  public void enter() {
    if (!uses.acquire()) {
      throw closed();
    }
  }

  /** Ends what {@link #enter} began. */
  public void leave() {
    if (uses.release()) {
      giveBack();
    }
  }

  /** Gives the memory back, at the latest when the guest that runs in it has left. Idempotent, from any thread. */
  @Override
  public void close() {
    if (uses.close()) {
      giveBack();
    } else {
      shut();
    }
  }

  private void giveBack() {
    shut();
    giveBack.accept(region);
  }

  private static IllegalStateException closed() {
    return new IllegalStateException("The linear memory is closed");
  }

  @Override
  public int pages() {
    return (int) (limit / PAGE_SIZE);
  }

  @Override
  public int grow(int delta) {
    if (uses.closed()) {
      throw closed();
    }
    int before = pages();
    if (delta < 0 || delta > image.maximumPages() - before) {
      refused = true;
      return -1;
    }
    if (delta > 0) {
      if (!mayGrow.test((long) delta * PAGE_SIZE) || !region.grow((long) (before + delta) * PAGE_SIZE)) {
        refused = true;
        return -1;
      }
      refused = false;
      follow();
    }
    return before;
  }

  @Override
  public int initialPages() {
    return image.pages();
  }

  @Override
  public int maximumPages() {
    return image.maximumPages();
  }

  @Override
  public boolean shared() {
    return false;
  }

  /**
   * Takes over the segments of the instance. In a memory that nobody has initialised, the active ones are written; in one of a captured image
   * they are there already. Active ones count as dropped from here on (WebAssembly core specification, "Instantiation").
   */
  @Override
  public void initialize(Instance instance, DataSegment[] dataSegments, int memoryIndex) {
    segments = dataSegments == null ? NO_SEGMENTS : dataSegments;
    for (int i = 0; i < segments.length; i++) {
      switch (segments[i]) {
        case ActiveDataSegment active when active.index() == memoryIndex -> {
          if (!awaitsInitialization) {
            int address = (int) ConstantEvaluators.computeConstantValue(instance, active.offsetInstructions())[0];
            byte[] data = active.data();
            checkBounds(address, data.length, limit, UninstantiableException::new);
            write(address, data, 0, data.length);
          }
          segments[i] = PassiveDataSegment.EMPTY;
        }
        case ActiveDataSegment elsewhere -> { }
        case PassiveDataSegment passive -> {
          if (image.droppedSegments().get(i)) {
            segments[i] = PassiveDataSegment.EMPTY;
          }
        }
        default -> throw new ChicoryException("Data segment should be active or passive: " + segments[i]);
      }
    }
    initialSegments = segments.clone();
    segmentBytes = new byte[segments.length][];
    awaitsInitialization = false;
  }

  @Override
  public void initialize(Instance instance, DataSegment[] dataSegments) {
    initialize(instance, dataSegments, 0);
  }

  @Override
  public void initPassiveSegment(int segment, int address, int offset, int size) {
    // Compiled code drops a segment in the array that the instance shares with us, without telling.
    if (segments[segment] == PassiveDataSegment.EMPTY) {
      segmentBytes[segment] = NONE;
    } else if (segmentBytes[segment] == null) {
      segmentBytes[segment] = segments[segment].data();
    }
    byte[] data = segmentBytes[segment];
    write(address, data, offset, size);
  }

  @Override
  public void drop(int segment) {
    segments[segment] = PassiveDataSegment.EMPTY;
    segmentBytes[segment] = null;
  }

  /** Which segments a guest finds empty. */
  BitSet droppedSegments() {
    var dropped = new BitSet(segments.length);
    for (int i = 0; i < segments.length; i++) {
      dropped.set(i, segments[i] == PassiveDataSegment.EMPTY);
    }
    return dropped;
  }

  /** The bytes as they are, up to the current size. For the thread that uses the memory, until it grows, resets or closes it. */
  MemorySegment content() {
    if (uses.closed()) {
      throw closed();
    }
    return SPACE.asSlice(base, limit);
  }

  /**
   * Where an access starts in the address space. A negative address is one over 2 GiB, which no memory of this engine reaches.
   */
  private long at(int address, int size) {
    long start = address & 0xFFFF_FFFFL;
    if (start + size > limit) {
      throw outOfBounds(address, size);
    }
    return base + start;
  }

  private long atAligned(int address, int size) {
    if ((address & size - 1) != 0) {
      throw new InvalidException("unaligned atomic");
    }
    return at(address, size);
  }

  private RuntimeException outOfBounds(int address, int size) {
    return uses.closed() ? closed() : new WasmRuntimeException(message(address, size, limit));
  }

  private void checkBounds(int address, int size) {
    if (uses.closed()) {
      throw closed();
    }
    checkBounds(address, size, limit, WasmRuntimeException::new);
  }

  private static void checkBounds(int address, int size, long limit, Function<String, ChicoryException> failure) {
    if (address < 0 || size < 0 || (long) address + size > limit) {
      throw failure.apply(message(address, size, limit));
    }
  }

  /** The words of Chicory's own memories: what a trap is called depends on their beginning. */
  private static String message(int address, int size, long limit) {
    return "out of bounds memory access: attempted to access address: " + address + " but limit is: " + limit + " and size: " + size;
  }

  @Override
  public byte read(int address) {
    try {
      return bytes.get(address);
    } catch (IndexOutOfBoundsException e) {
      throw outOfBounds(address, 1);
    }
  }

  @Override
  public void writeByte(int address, byte value) {
    try {
      bytes.put(address, value);
    } catch (IndexOutOfBoundsException e) {
      throw outOfBounds(address, 1);
    }
  }

  @Override
  public short readShort(int address) {
    try {
      return (short) SHORT.get(bytes, address);
    } catch (IndexOutOfBoundsException e) {
      throw outOfBounds(address, 2);
    }
  }

  @Override
  public void writeShort(int address, short value) {
    try {
      SHORT.set(bytes, address, value);
    } catch (IndexOutOfBoundsException e) {
      throw outOfBounds(address, 2);
    }
  }

  @Override
  public int readInt(int address) {
    try {
      return (int) INT.get(bytes, address);
    } catch (IndexOutOfBoundsException e) {
      throw outOfBounds(address, 4);
    }
  }

  @Override
  public void writeI32(int address, int value) {
    try {
      INT.set(bytes, address, value);
    } catch (IndexOutOfBoundsException e) {
      throw outOfBounds(address, 4);
    }
  }

  @Override
  public long readLong(int address) {
    try {
      return (long) LONG.get(bytes, address);
    } catch (IndexOutOfBoundsException e) {
      throw outOfBounds(address, 8);
    }
  }

  @Override
  public void writeLong(int address, long value) {
    try {
      LONG.set(bytes, address, value);
    } catch (IndexOutOfBoundsException e) {
      throw outOfBounds(address, 8);
    }
  }

  @Override
  public float readFloat(int address) {
    try {
      return (float) FLOAT.get(bytes, address);
    } catch (IndexOutOfBoundsException e) {
      throw outOfBounds(address, 4);
    }
  }

  @Override
  public void writeF32(int address, float value) {
    try {
      FLOAT.set(bytes, address, value);
    } catch (IndexOutOfBoundsException e) {
      throw outOfBounds(address, 4);
    }
  }

  @Override
  public double readDouble(int address) {
    try {
      return (double) DOUBLE.get(bytes, address);
    } catch (IndexOutOfBoundsException e) {
      throw outOfBounds(address, 8);
    }
  }

  @Override
  public void writeF64(int address, double value) {
    try {
      DOUBLE.set(bytes, address, value);
    } catch (IndexOutOfBoundsException e) {
      throw outOfBounds(address, 8);
    }
  }

  @Override
  public long readU16(int address) {
    return Short.toUnsignedLong(readShort(address));
  }

  @Override
  public long readF32(int address) {
    return readInt(address);
  }

  @Override
  public long readF64(int address) {
    return readLong(address);
  }

  /** Current size in bytes. */
  public long bytes() {
    return limit;
  }

  /**
   * Throws what an access to these bytes would throw.
   *
   * @throws WasmRuntimeException when one of them is out of bounds
   */
  public void check(int address, int length) {
    checkBounds(address, length);
  }

  @Override
  public byte[] readBytes(int address, int length) {
    checkBounds(address, length);
    byte[] bytes = new byte[length];
    MemorySegment.copy(SPACE, BYTE, base + address, bytes, 0, length);
    return bytes;
  }

  @Override
  public void read(int address, byte[] target, int offset, int length) {
    checkBounds(offset, length, target.length, WasmRuntimeException::new);
    checkBounds(address, length);
    MemorySegment.copy(SPACE, BYTE, base + address, target, offset, length);
  }

  @Override
  public void write(int address, byte[] data, int offset, int length) {
    checkBounds(offset, length, data.length, WasmRuntimeException::new);
    checkBounds(address, length);
    MemorySegment.copy(data, offset, SPACE, BYTE, base + address, length);
  }

  /**
   * Zeroes the memory; but in a memory of a captured image does nothing before an instance is initialised, because that call is part of building
   * one. An image of zeros is gone back to, which does not touch its pages.
   */
  @Override
  public void zero() {
    if (awaitsInitialization) {
      return;
    }
    if (!image.captured() && pages() == image.pages()) {
      region.reset();
      follow();
    } else {
      fill((byte) 0, 0, (int) limit);
    }
  }

  @Override
  public void fill(byte value, int from, int to) {
    int size = to - from;
    checkBounds(from, size);
    for (int done = 0, n; done < size; done += n) {
      n = chunk(done, size);
      if (n < LibC.PAGE_SIZE) {
        SPACE.asSlice(base + from + done, n).fill(value);
      } else {
        LibC.fill(base + from + done, value, n);
      }
    }
  }

  /** The ranges may overlap. */
  @Override
  public void copy(int to, int from, int size) {
    checkBounds(to, size);
    checkBounds(from, size);
    for (int done = 0, n; done < size; done += n) {
      n = chunk(done, size);
      int at = to <= from ? done : size - done - n;
      if (n < LibC.PAGE_SIZE) {
        MemorySegment.copy(SPACE, base + from + at, SPACE, base + to + at, n);
      } else {
        LibC.move(base + to + at, base + from + at, n);
      }
    }
  }

  /** How much of a bulk operation comes next. @throws ChicoryInterruptedException when the call is to end */
  private static int chunk(int done, int size) {
    if (done > 0 && Thread.currentThread().isInterrupted()) {
      throw new ChicoryInterruptedException("interrupted in a bulk operation");
    }
    return Math.min(CHUNK, size - done);
  }

  @Override
  @Deprecated
  @SuppressWarnings("removal")
  public Object lock(int address) {
    throw new UnsupportedOperationException("Every atomic access of this memory is its own");
  }

  @Override
  @Deprecated
  @SuppressWarnings("removal")
  public int waitOn(int address, int expected, long timeout) {
    throw new ChicoryException("Attempt to wait on a non-shared memory, not supported.");
  }

  @Override
  @Deprecated
  @SuppressWarnings("removal")
  public int waitOn(int address, long expected, long timeout) {
    throw new ChicoryException("Attempt to wait on a non-shared memory, not supported.");
  }

  @Override
  @Deprecated
  @SuppressWarnings("removal")
  public int notify(int address, int maxThreads) {
    return 0;
  }

  @Override
  public void atomicFence() {
    VarHandle.fullFence();
  }

  @Override
  public int atomicReadInt(int address) {
    return (int) ATOMIC_INT.getVolatile(SPACE, atAligned(address, 4));
  }

  @Override
  public void atomicWriteInt(int address, int value) {
    ATOMIC_INT.setVolatile(SPACE, atAligned(address, 4), value);
  }

  @Override
  public int atomicAddInt(int address, int delta) {
    return (int) ATOMIC_INT.getAndAdd(SPACE, atAligned(address, 4), delta);
  }

  @Override
  public int atomicAndInt(int address, int mask) {
    return (int) ATOMIC_INT.getAndBitwiseAnd(SPACE, atAligned(address, 4), mask);
  }

  @Override
  public int atomicOrInt(int address, int mask) {
    return (int) ATOMIC_INT.getAndBitwiseOr(SPACE, atAligned(address, 4), mask);
  }

  @Override
  public int atomicXorInt(int address, int mask) {
    return (int) ATOMIC_INT.getAndBitwiseXor(SPACE, atAligned(address, 4), mask);
  }

  @Override
  public int atomicXchgInt(int address, int value) {
    return (int) ATOMIC_INT.getAndSet(SPACE, atAligned(address, 4), value);
  }

  @Override
  public int atomicCmpxchgInt(int address, int expected, int replacement) {
    return (int) ATOMIC_INT.compareAndExchange(SPACE, atAligned(address, 4), expected, replacement);
  }

  @Override
  public long atomicReadLong(int address) {
    return (long) ATOMIC_LONG.getVolatile(SPACE, atAligned(address, 8));
  }

  @Override
  public void atomicWriteLong(int address, long value) {
    ATOMIC_LONG.setVolatile(SPACE, atAligned(address, 8), value);
  }

  @Override
  public long atomicAddLong(int address, long delta) {
    return (long) ATOMIC_LONG.getAndAdd(SPACE, atAligned(address, 8), delta);
  }

  @Override
  public long atomicAndLong(int address, long mask) {
    return (long) ATOMIC_LONG.getAndBitwiseAnd(SPACE, atAligned(address, 8), mask);
  }

  @Override
  public long atomicOrLong(int address, long mask) {
    return (long) ATOMIC_LONG.getAndBitwiseOr(SPACE, atAligned(address, 8), mask);
  }

  @Override
  public long atomicXorLong(int address, long mask) {
    return (long) ATOMIC_LONG.getAndBitwiseXor(SPACE, atAligned(address, 8), mask);
  }

  @Override
  public long atomicXchgLong(int address, long value) {
    return (long) ATOMIC_LONG.getAndSet(SPACE, atAligned(address, 8), value);
  }

  @Override
  public long atomicCmpxchgLong(int address, long expected, long replacement) {
    return (long) ATOMIC_LONG.compareAndExchange(SPACE, atAligned(address, 8), expected, replacement);
  }

  /**
   * Replaces one or two bytes of the aligned word of four that holds them: there are no atomic operations on less.
   *
   * @return the bytes before, zero-extended
   */
  private int update(int address, int size, IntUnaryOperator change) {
    long start = atAligned(address, size);
    long word = start & ~3L;
    int shift = (int) (start & 3) * Byte.SIZE;
    int mask = (1 << size * Byte.SIZE) - 1;
    while (true) {
      int before = (int) ATOMIC_INT.getVolatile(SPACE, word);
      int old = before >>> shift & mask;
      int after = before & ~(mask << shift) | (change.applyAsInt(old) & mask) << shift;
      if (ATOMIC_INT.compareAndSet(SPACE, word, before, after)) {
        return old;
      }
    }
  }

  @Override
  public short atomicReadShort(int address) {
    return (short) update(address, 2, old -> old);
  }

  @Override
  public void atomicWriteShort(int address, short value) {
    update(address, 2, old -> value);
  }

  @Override
  public short atomicAddShort(int address, short delta) {
    return (short) update(address, 2, old -> old + delta);
  }

  @Override
  public short atomicAndShort(int address, short mask) {
    return (short) update(address, 2, old -> old & mask);
  }

  @Override
  public short atomicOrShort(int address, short mask) {
    return (short) update(address, 2, old -> old | mask);
  }

  @Override
  public short atomicXorShort(int address, short mask) {
    return (short) update(address, 2, old -> old ^ mask);
  }

  @Override
  public short atomicXchgShort(int address, short value) {
    return (short) update(address, 2, old -> value);
  }

  @Override
  public short atomicCmpxchgShort(int address, short expected, short replacement) {
    return (short) update(address, 2, old -> (short) old == expected ? replacement : old);
  }

  @Override
  public byte atomicReadByte(int address) {
    return (byte) update(address, 1, old -> old);
  }

  @Override
  public void atomicWriteByte(int address, byte value) {
    update(address, 1, old -> value);
  }

  @Override
  public byte atomicAddByte(int address, byte delta) {
    return (byte) update(address, 1, old -> old + delta);
  }

  @Override
  public byte atomicAndByte(int address, byte mask) {
    return (byte) update(address, 1, old -> old & mask);
  }

  @Override
  public byte atomicOrByte(int address, byte mask) {
    return (byte) update(address, 1, old -> old | mask);
  }

  @Override
  public byte atomicXorByte(int address, byte mask) {
    return (byte) update(address, 1, old -> old ^ mask);
  }

  @Override
  public byte atomicXchgByte(int address, byte value) {
    return (byte) update(address, 1, old -> value);
  }

  @Override
  public byte atomicCmpxchgByte(int address, byte expected, byte replacement) {
    return (byte) update(address, 1, old -> (byte) old == expected ? replacement : old);
  }
}
