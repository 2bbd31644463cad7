package dev.instar.backend.wasm.memory;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;

/** The way without mmap: the image is copied at the start and at every reset. */
final class CopiedRegion implements Region {
  private final MemorySegment image;
  private final long imageSize;
  private Arena arena;
  private MemorySegment bytes;
  private ByteBuffer buffer;

  /** @param image the bytes of the image up to its last that isn't zero */
  CopiedRegion(MemorySegment image, long imageSize) {
    this.image = image;
    this.imageSize = imageSize;
    allocate(imageSize);
    bytes.copyFrom(image);
  }

  @Override
  public ByteBuffer bytes() {
    return buffer;
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
      Arena before = arena;
      allocate(imageSize);
      before.close();
    }
    bytes.copyFrom(image);
  }

  @Override
  public long kept() {
    return imageSize;
  }

  @Override
  public void trim() {}

  @Override
  public void free() {
    arena.close();
  }

  /** The arena is shared because a memory is made on one thread and closed on another. */
  private void allocate(long size) {
    Arena fresh = Arena.ofShared();
    try {
      bytes = fresh.allocate(size, 8);
    } catch (OutOfMemoryError e) {
      fresh.close();
      throw e;
    }
    arena = fresh;
    buffer = bytes.asByteBuffer();
  }
}
