package dev.instar.backend.wasm.memory;

import com.dylibso.chicory.runtime.Memory;
import com.dylibso.chicory.wasm.types.MemoryLimits;
import dev.instar.api.Digest;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.wasi.guest.UseCount;
import dev.instar.wasi.pages.LibC;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.BitSet;
import java.util.OptionalInt;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * What a linear memory held at one moment; it never changes. It is kept once, however many memories are opened from it: in a memfd, or in an
 * unlinked file where there are none, or on a host without mmap in memory of the process. Pages of zeros take no room.
 *
 * <p>Costs a file descriptor and a mapping until it is closed and the last memory of it is. Memories that were opened before a close stay whole.
 * Thread-safe.
 */
public final class MemoryImage implements AutoCloseable {
  /** Goes with this class: the bundle may be replaced often. */
  private static final MemorySegment ZEROS = Arena.ofAuto().allocate(Memory.PAGE_SIZE, 8);
  /** What is read of a source in one go. */
  private static final int STEP = 1 << 20;

  private final Host host;
  private final int pages;
  private final int maximumPages;
  private final boolean captured;
  private final BitSet dropped;
  private final OptionalInt descriptor;
  /** The bytes up to the last page that isn't all zeros: a mapping of the file that only reads, or a copy. */
  private final MemorySegment stored;
  private final UseCount uses = new UseCount();

  private MemoryImage(Host host, int pages, int maximumPages, boolean captured, BitSet dropped, OptionalInt descriptor,
      MemorySegment stored) {
    this.host = host;
    this.pages = pages;
    this.maximumPages = maximumPages;
    this.captured = captured;
    this.dropped = dropped;
    this.descriptor = descriptor;
    this.stored = stored;
  }

  /**
   * The image of a memory that nobody has written yet: what a module is first instantiated in.
   *
   * @throws IllegalArgumentException when the memory is shared between threads, or larger than Chicory's limit
   */
  public static MemoryImage zeros(MemoryLimits limits) {
    return zeros(limits, Host.OF_PROCESS);
  }

  static MemoryImage zeros(MemoryLimits limits, Host host) {
    if (limits.shared()) {
      throw new IllegalArgumentException("A memory shared between threads has no image: nothing says when it holds still");
    }
    if (limits.initialPages() > Memory.RUNTIME_MAX_PAGES) {
      throw new IllegalArgumentException(
          "A memory starts with " + limits.initialPages() + " pages; the limit of the engine is " + Memory.RUNTIME_MAX_PAGES);
    }
    int maximum = Math.min(limits.maximumPages(), Memory.RUNTIME_MAX_PAGES);
    return new MemoryImage(host, limits.initialPages(), maximum, false, new BitSet(), OptionalInt.empty(), ZEROS.asSlice(0, 0));
  }

  /**
   * The image of what a memory holds now, and of which data segments its guest has dropped.
   *
   * @param memory nobody may write to it meanwhile
   * @param scratch a directory for the file of the image where the host has no memfd
   * @throws InstarException NODE_BUSY when the host gives no file or no memory for it
   */
  public static MemoryImage capture(CowMemory memory, Path scratch) {
    return capture(memory, scratch, Host.OF_PROCESS);
  }

  static MemoryImage capture(CowMemory memory, Path scratch, Host host) {
    MemorySegment content = memory.content();
    long end = endOfContent(content, host);
    int pages = memory.pages();
    int maximum = memory.maximumPages();
    BitSet dropped = memory.droppedSegments();
    return switch (host) {
      case COPYING -> {
        MemorySegment copy = Arena.ofAuto().allocate(Math.max(end, 1), 8).asSlice(0, end).copyFrom(content.asSlice(0, end)).asReadOnly();
        yield new MemoryImage(host, pages, maximum, true, dropped, OptionalInt.empty(), copy);
      }
      case MAPPING_MEMFD, MAPPING_FILE -> {
        if (end == 0) {
          yield new MemoryImage(host, pages, maximum, true, dropped, OptionalInt.empty(), ZEROS.asSlice(0, 0));
        }
        int descriptor = store(end, scratch, host, to -> copyWritten(content.asSlice(0, end), to, host));
        yield new MemoryImage(host, pages, maximum, true, dropped, OptionalInt.of(descriptor), view(descriptor, end));
      }
    };
  }

  /** Where the bytes of an image come from. */
  public interface Source {
    /** Fills {@code into} with what begins at an offset. */
    void read(long offset, ByteBuffer into) throws IOException;
  }

  /**
   * The image of bytes that are kept somewhere else. They are copied, not mapped where they are: a file that gets shorter, or a disk that fails, would end
   * in SIGBUS and take the JVM along, and one that changes would change the guests that run.
   *
   * @param length of what is read; zeros follow up to its size
   * @param pages that a memory of it starts with
   * @param maximumPages that it may grow to
   * @param scratch a directory for the file of the image where the host has no memfd
   * @throws IOException when the source throws it
   * @throws InstarException NODE_BUSY when the host gives no file or no memory for it
   */
  public static MemoryImage of(Source source, long length, int pages, int maximumPages, Path scratch) throws IOException {
    return of(source, length, pages, maximumPages, scratch, Host.OF_PROCESS);
  }

  static MemoryImage of(Source source, long length, int pages, int maximumPages, Path scratch, Host host) throws IOException {
    int maximum = Math.min(maximumPages, Memory.RUNTIME_MAX_PAGES);
    if (pages < 0 || pages > maximum || length < 0 || length > (long) pages * Memory.PAGE_SIZE) {
      throw new IllegalArgumentException("An image of " + length + " bytes in " + pages + " pages of at most " + maximum);
    }
    if (length == 0) {
      return new MemoryImage(host, pages, maximum, true, new BitSet(), OptionalInt.empty(), ZEROS.asSlice(0, 0));
    }
    int page = pageSize(host);
    long whole = (length + page - 1) / page * page;
    if (host == Host.COPYING) {
      MemorySegment copy = Arena.ofAuto().allocate(whole, 8);
      copy(source, length, copy, host);
      return new MemoryImage(host, pages, maximum, true, new BitSet(), OptionalInt.empty(), copy.asReadOnly());
    }
    int descriptor = store(whole, scratch, host, to -> copy(source, length, to, host));
    return new MemoryImage(host, pages, maximum, true, new BitSet(), OptionalInt.of(descriptor), view(descriptor, whole));
  }

  /** What it holds, for as long as it is open. */
  public static final class Content implements AutoCloseable {
    private final MemoryImage image;
    private final AtomicBoolean open = new AtomicBoolean(true);

    private Content(MemoryImage image) {
      this.image = image;
    }

    /** The bytes up to the end of the last page that isn't all zeros. Not to be used after {@link #close}. */
    public ByteBuffer bytes() {
      return image.stored.asByteBuffer();
    }

    /**
     * The first address from that one on where something else than zeros may be; the end of {@link #bytes} where there is none. To read a page of zeros
     * where the file has none makes one, which takes room for as long as the image is there.
     */
    public int data(int address) {
      int end = (int) image.stored.byteSize();
      return address >= end || image.descriptor.isEmpty() ? address : (int) Math.min(end, LibC.nextData(image.descriptor.getAsInt(), address, end));
    }

    @Override
    public void close() {
      if (open.getAndSet(false)) {
        image.leave();
      }
    }
  }

  /**
   * Opens what it holds; a close of the image leaves that as it is.
   *
   * @throws IllegalStateException when the image is closed
   */
  public Content content() {
    if (!uses.acquire()) {
      throw closedImage();
    }
    return new Content(this);
  }

  /** WebAssembly pages that a memory of this image starts with. */
  public int pages() {
    return pages;
  }

  /** WebAssembly pages that a memory of this image may grow to. */
  public int maximumPages() {
    return maximumPages;
  }

  /** Bytes up to the end of the last page that isn't all zeros; holes between count. */
  public long storedBytes() {
    return stored.byteSize();
  }

  /**
   * What its contents are known by on every host: the digest of the bytes up to the last that isn't zero.
   *
   * @throws IllegalStateException when the image is closed
   */
  public Digest digest() {
    if (!uses.acquire()) {
      throw closedImage();
    }
    try {
      long end = stored.byteSize();
      while (end > 0 && stored.get(ValueLayout.JAVA_BYTE, end - 1) == 0) {
        end--;
      }
      MessageDigest sha256 = Digest.sha256();
      sha256.update(stored.asSlice(0, end).asByteBuffer());
      return Digest.of(sha256);
    } finally {
      leave();
    }
  }

  /**
   * A memory of its own, which starts with this image. The caller closes it.
   *
   * @throws InstarException NODE_BUSY when the process has mapped as many memories as it may, or the host gives no memory
   * @throws IllegalStateException when the image is closed
   */
  public CowMemory open() {
    return new CowMemory(this, region(MappingBudget.OF_PROCESS), Region::free);
  }

  Region region(MappingBudget budget) {
    if (!uses.acquire()) {
      throw closedImage();
    }
    try {
      if (host == Host.COPYING) {
        Region copied = new CopiedRegion(stored, (long) pages * Memory.PAGE_SIZE);
        leave();
        return copied;
      }
      return MappedRegion.map(descriptor, stored, (long) pages * Memory.PAGE_SIZE, (long) maximumPages * Memory.PAGE_SIZE, budget, this::leave);
    } catch (LibC.Failure e) {
      leave();
      throw new InstarException(ErrorCode.NODE_BUSY, "The host gives no address space for a linear memory of at most " + maximumPages
          + " pages of 64 KiB: " + e.getMessage() + "; lower the function's memory limit or free memory");
    } catch (RuntimeException | Error e) {
      leave();
      throw e;
    }
  }

  private static IllegalStateException closedImage() {
    return new IllegalStateException("The memory image is closed");
  }

  private void leave() {
    if (uses.release()) {
      free();
    }
  }

  /** Whether it holds what a module's initialisation wrote. */
  boolean captured() {
    return captured;
  }

  /** Indices of the data segments that were dropped when it was taken. */
  BitSet droppedSegments() {
    return dropped;
  }

  boolean closed() {
    return uses.closed();
  }

  @Override
  public void close() {
    if (uses.close()) {
      free();
    }
  }

  private void free() {
    descriptor.ifPresent(opened -> {
      LibC.munmap(stored.address(), stored.byteSize());
      LibC.close(opened);
    });
  }

  private static MemorySegment view(int descriptor, long end) {
    try {
      return MemorySegment.ofAddress(LibC.mmap(0, end, LibC.PROT_READ, LibC.MAP_SHARED, descriptor, 0)).reinterpret(end).asReadOnly();
    } catch (LibC.Failure e) {
      LibC.close(descriptor);
      throw new InstarException(ErrorCode.NODE_BUSY, "The host does not map a memory image of " + end + " bytes: " + e.getMessage());
    }
  }

  /** Writes what a file is to hold. */
  private interface Filler<E extends Exception> {
    void fill(MemorySegment zeros) throws E;
  }

  private static <E extends Exception> int store(long end, Path scratch, Host host, Filler<E> filler) throws E {
    int descriptor = -1;
    boolean stored = false;
    try {
      descriptor = host == Host.MAPPING_MEMFD ? LibC.memfd("instar-image") : LibC.unlinkedFile(scratch);
      LibC.ftruncate(descriptor, end);
      long address = LibC.mmap(0, end, LibC.PROT_READ_WRITE, LibC.MAP_SHARED, descriptor, 0);
      try {
        filler.fill(MemorySegment.ofAddress(address).reinterpret(end));
      } finally {
        LibC.munmap(address, end);
      }
      if (host == Host.MAPPING_MEMFD) {
        LibC.seal(descriptor);
      }
      stored = true;
      return descriptor;
    } catch (LibC.Failure e) {
      throw new InstarException(ErrorCode.NODE_BUSY, "The host gives no file for a memory image of " + end + " bytes: " + e.getMessage()
          + "; raise the limit of open files or free memory");
    } finally {
      if (!stored && descriptor != -1) {
        LibC.close(descriptor);
      }
    }
  }

  private static void copy(Source source, long length, MemorySegment to, Host host) throws IOException {
    byte[] bytes = new byte[(int) Math.min(to.byteSize(), STEP)];
    for (long at = 0; at < length; at += bytes.length) {
      int n = (int) Math.min(bytes.length, length - at);
      Arrays.fill(bytes, n, bytes.length, (byte) 0);
      source.read(at, ByteBuffer.wrap(bytes, 0, n));
      long whole = Math.min(bytes.length, to.byteSize() - at);
      copyWritten(MemorySegment.ofArray(bytes).asSlice(0, whole), to.asSlice(at, whole), host);
    }
  }

  private static void copyWritten(MemorySegment from, MemorySegment to, Host host) {
    int page = pageSize(host);
    for (long at = 0; at < to.byteSize(); at += page) {
      if (!zero(from, at, page)) {
        MemorySegment.copy(from, at, to, at, page);
      }
    }
  }

  /** A WebAssembly page is a whole number of the host's pages on every architecture that Linux runs on. */
  private static int pageSize(Host host) {
    return host == Host.COPYING ? 4096 : LibC.PAGE_SIZE;
  }

  private static long endOfContent(MemorySegment content, Host host) {
    int step = pageSize(host);
    long end = content.byteSize();
    while (end > 0 && zero(content, end - step, step)) {
      end -= step;
    }
    return end;
  }

  private static boolean zero(MemorySegment content, long at, int length) {
    return content.get(ValueLayout.JAVA_LONG_UNALIGNED, at) == 0 && MemorySegment.mismatch(content, at, at + length, ZEROS, 0, length) == -1;
  }
}
