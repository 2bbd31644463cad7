package dev.instar.backend.wasm.memory;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** The way without mmap: the image is copied at the start and at every reset. */
final class CopiedRegion implements Region {
  private final MemorySegment image;
  private final long imageSize;
  private Arena arena;
  private MemorySegment bytes;

  /** @param image the bytes of the image up to its last that isn't zero */
  CopiedRegion(MemorySegment image, long imageSize) {
    this.image = image;
    this.imageSize = imageSize;
    allocate(imageSize);
    bytes.copyFrom(image);
  }

  @Override
  public long base() {
    return bytes.address();
  }

  @Override
  public boolean grow(long size) {
    Arena before = arena;
    MemorySegment old = bytes;
    try {
      allocate(size);
    } catch (OutOfMemoryError e) {
      arena = before;
      bytes = old;
      return false;
    }
    bytes.copyFrom(old);
    before.close();
    return true;
  }

  @Override
  public void reset() {
    if (bytes.byteSize() == imageSize) {
      bytes.asSlice(image.byteSize(), imageSize - image.byteSize()).fill((byte) 0);
    } else {
      arena.close();
      allocate(imageSize);
    }
    bytes.copyFrom(image);
  }

  @Override
  public void free() {
    arena.close();
  }

  /** The arena is shared because a memory is made on one thread and closed on another. */
  private void allocate(long size) {
    arena = Arena.ofShared();
    bytes = arena.allocate(size, 8);
  }
}
