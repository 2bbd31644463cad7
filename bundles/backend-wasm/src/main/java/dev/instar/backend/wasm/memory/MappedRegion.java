package dev.instar.backend.wasm.memory;

import dev.instar.wasi.pages.LibC;
import dev.instar.wasi.pages.WrittenPages;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.OptionalInt;

/**
 * Address space for the maximum, with the image mapped privately at its start. What lies behind the current size is not accessible, so that a
 * fault in our bounds checks ends in a crash and never in another memory's bytes.
 */
final class MappedRegion implements Region {
  private final long base;
  private final long reserved;
  private final long imageSize;
  private final MappingBudget budget;
  private final MemorySegment stored;
  private final MemorySegment whole;
  private final Runnable whenFreed;
  private final ByteBuffer image;
  private ByteBuffer bytes;
  private long kept;

  private MappedRegion(long base, long reserved, MemorySegment stored, long imageSize, MappingBudget budget, Runnable whenFreed) {
    this.base = base;
    this.reserved = reserved;
    this.imageSize = imageSize;
    this.budget = budget;
    this.stored = stored;
    this.whenFreed = whenFreed;
    whole = MemorySegment.ofAddress(base).reinterpret(imageSize);
    image = buffer(imageSize);
    bytes = image;
  }

  /**
   * @param descriptor the file of the image, when it has a byte that isn't zero
   * @param stored the bytes of the image that are in the file, whole pages; what follows up to {@code imageSize} is zero
   * @param whenFreed what to do when neither file nor bytes are needed any more
   */
  static MappedRegion map(OptionalInt descriptor, MemorySegment stored, long imageSize, long maximum, MappingBudget budget, Runnable whenFreed) {
    if (!budget.take()) {
      throw budget.exhausted();
    }
    // A memory whose maximum is 0 has an address all the same.
    long reserved = Math.max(maximum, LibC.PAGE_SIZE);
    long inFile = stored.byteSize();
    long base = 0;
    try {
      base = LibC.mmap(0, reserved, LibC.PROT_NONE, LibC.MAP_PRIVATE | LibC.MAP_ANONYMOUS | LibC.MAP_NORESERVE, -1, 0);
      if (inFile > 0) {
        LibC.mmap(base, inFile, LibC.PROT_READ_WRITE, LibC.MAP_PRIVATE | LibC.MAP_FIXED | LibC.MAP_NORESERVE, descriptor.getAsInt(), 0);
      }
      if (imageSize > inFile) {
        LibC.mprotect(base + inFile, imageSize - inFile, LibC.PROT_READ_WRITE);
      }
      return new MappedRegion(base, reserved, stored, imageSize, budget, whenFreed);
    } catch (LibC.Failure e) {
      if (base != 0) {
        LibC.munmap(base, reserved);
      }
      budget.giveBack();
      throw e;
    }
  }

  /** No session guards it: who may still use it is the memory's business. */
  private ByteBuffer buffer(long size) {
    return MemorySegment.ofAddress(base).reinterpret(size).asByteBuffer();
  }

  @Override
  public ByteBuffer bytes() {
    return bytes;
  }

  @Override
  public long base() {
    return base;
  }

  @Override
  public boolean grow(long to) {
    int from = bytes.limit();
    try {
      LibC.mprotect(base + from, to - from, LibC.PROT_READ_WRITE);
      bytes = buffer(to);
      return true;
    } catch (LibC.Failure e) {
      if (e.errno == LibC.ENOMEM) {
        return false;
      }
      throw e;
    }
  }

  @Override
  public void reset() {
    int size = bytes.limit();
    if (size > imageSize) {
      LibC.discard(base + imageSize, size - imageSize);
      LibC.mprotect(base + imageSize, size - imageSize, LibC.PROT_NONE);
      bytes = image;
    }
    kept = 0;
    if (!WrittenPages.forEach(base, base + imageSize, this::writeBack)) {
      trim();
    }
  }

  @Override
  public long kept() {
    return kept;
  }

  @Override
  public void trim() {
    kept = 0;
    if (imageSize > 0) {
      LibC.discard(base, imageSize);
    }
  }

  private void writeBack(long start, long end) {
    long from = start - base;
    long to = end - base;
    long split = Math.clamp(stored.byteSize(), from, to);
    if (split > from) {
      MemorySegment.copy(stored, from, whole, from, split - from);
    }
    whole.asSlice(split, to - split).fill((byte) 0);
    kept += to - from;
  }

  @Override
  public void free() {
    LibC.munmap(base, reserved);
    budget.giveBack();
    whenFreed.run();
  }
}
