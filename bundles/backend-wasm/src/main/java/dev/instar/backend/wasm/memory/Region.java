package dev.instar.backend.wasm.memory;

import java.nio.ByteBuffer;

/** The bytes behind one linear memory. Used by one thread at a time. */
sealed interface Region permits MappedRegion, CopiedRegion {
  /** The bytes up to the current size, in a direct buffer. Valid until the next {@link #grow} or {@link #reset}. */
  ByteBuffer bytes();

  /** Where they start. */
  long base();

  /**
   * Makes the bytes from the current size up to another usable; they are zero.
   *
   * @return false when the host has no memory left for them
   */
  boolean grow(long size);

  /** Goes back to the image and its size. */
  void reset();

  /** Bytes of the process' own that the last {@link #reset} has left. */
  long kept();

  /** Gives up what {@link #reset} has left of the process' own pages. After a reset. */
  void trim();

  /** Frees the bytes; called once. */
  void free();
}
