package dev.instar.api.snapshot;

/**
 * A run of a guest's memory in the memory file of a layer.
 *
 * @param offset in the file, a multiple of {@link SnapshotBuilder#PAGE_BYTES}
 * @param length bytes, more than 0
 * @param guestAddress where the guest has it, a multiple of {@link SnapshotBuilder#PAGE_BYTES}
 */
public record Extent(long offset, long length, long guestAddress) {
  /** @throws IllegalArgumentException when it is not aligned, is empty or goes past the largest number */
  public Extent {
    int page = SnapshotBuilder.PAGE_BYTES;
    if (offset < 0 || offset % page != 0 || guestAddress < 0 || guestAddress % page != 0 || length <= 0 || length > Long.MAX_VALUE - offset - page
        || length > Long.MAX_VALUE - guestAddress - page) {
      throw new IllegalArgumentException("an extent of " + length + " bytes at " + offset + " for the address " + guestAddress
          + " is not aligned to " + page + " bytes, or is empty or too large");
    }
  }
}
