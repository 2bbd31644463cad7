package dev.instar.wasi;

import java.util.List;
import java.util.Optional;

/**
 * What a guest has made of its files and descriptors, for others to start with: the part of a snapshot that is not in the guest's memory. Immutable
 * and shared by threads. Cookies of a directory reading that was under way are not kept.
 */
public final class WasiState {
  /** One descriptor. Where a path is empty, the inode had no name any more. */
  sealed interface Slot {
    long base();

    long inheriting();

    int flags();

    record Stream(Descriptor.Standard standard, long base, long inheriting, int flags) implements Slot {}

    record File(LowerTree.Node node, Optional<List<String>> path, long offset, long base, long inheriting, int flags) implements Slot {}

    record Directory(LowerTree.Node node, Optional<List<String>> path, Optional<String> preopen, long base, long inheriting,
        int flags) implements Slot {}
  }

  final Optional<LowerTree> files;
  final long nextNumber;
  final List<Optional<Slot>> slots;
  private final long heapBytes;

  WasiState(Optional<LowerTree> files, long nextNumber, List<Optional<Slot>> slots, long heapBytes) {
    this.files = files;
    this.nextNumber = nextNumber;
    this.slots = slots;
    this.heapBytes = heapBytes;
  }

  /** What the contents of its files take of the heap; the rest is as small as the number of changed files. */
  public long heapBytes() {
    return heapBytes;
  }
}
