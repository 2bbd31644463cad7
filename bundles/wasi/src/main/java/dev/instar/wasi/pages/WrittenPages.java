package dev.instar.wasi.pages;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.OptionalInt;

/**
 * Finds out which pages of a mapping the process has written. To write back a few of them is cheaper than to give them all up: a page that is
 * given up costs a page fault at its next use, two microseconds in a virtual machine, and a flush of address translations on every core.
 */
public final class WrittenPages {
  /** What a memory keeps of its own after a reset; 128 pages of 4 KiB are 512 KiB. To write back that many takes about 15 microseconds. */
  public static final int MOST_PAGES = 128;
  /** Start and end of each range; more ranges are rare with so few pages, and then all are given up. */
  private static final int ROOM = 2 * 64;

  /** Holds the descriptor for all bundles and versions of them: none of them could close it, as nothing tells that a class has gone. */
  private static final String SHARED = "dev.instar.pagemap";
  private static final String NONE = "none";

  /** Empty where the kernel has no PAGEMAP_SCAN (before Linux 6.7) or /proc is closed to us. */
  private static final OptionalInt PAGEMAP = shared();

  /** Does something to a range of pages. */
  public interface Range {
    void accept(long start, long end);
  }

  private WrittenPages() {}

  /** Whether the host tells. */
  public static boolean known() {
    return PAGEMAP.isPresent();
  }

  /**
   * Shows every range of written pages.
   *
   * @return false, without having shown any, when there are too many or the host doesn't tell
   */
  public static boolean forEach(long start, long end, Range action) {
    return forEach(start, end, MOST_PAGES, action);
  }

  /**
   * The same with another bound.
   *
   * @param most pages that are not too many
   */
  public static boolean forEach(long start, long end, int most, Range action) {
    if (PAGEMAP.isEmpty() || start == end) {
      return PAGEMAP.isPresent();
    }
    long[] ranges = new long[ROOM];
    int count = LibC.writtenRanges(PAGEMAP.getAsInt(), start, end, most + 1, ranges);
    long pages = 0;
    for (int i = 0; i < count; i++) {
      pages += (ranges[2 * i + 1] - ranges[2 * i]) / LibC.PAGE_SIZE;
    }
    if (count < 0 || pages > most) {
      return false;
    }
    for (int i = 0; i < count; i++) {
      action.accept(ranges[2 * i], ranges[2 * i + 1]);
    }
    return true;
  }

  private static OptionalInt shared() {
    Object descriptor = System.getProperties().computeIfAbsent(SHARED, name -> open().stream().mapToObj(Integer::toString).findFirst().orElse(NONE));
    return descriptor.equals(NONE) ? OptionalInt.empty() : OptionalInt.of(Integer.parseInt(descriptor.toString()));
  }

  /** Takes it for usable only when it tells a page that is written from one that is not. */
  private static OptionalInt open() {
    int descriptor = -1;
    long size = 4L * LibC.PAGE_SIZE;
    try {
      descriptor = LibC.pagemap();
      long address = LibC.mmap(0, size, LibC.PROT_READ_WRITE, LibC.MAP_PRIVATE | LibC.MAP_ANONYMOUS, -1, 0);
      try {
        var page = MemorySegment.ofAddress(address).reinterpret(size);
        page.set(ValueLayout.JAVA_BYTE, 2L * LibC.PAGE_SIZE, (byte) 1);
        var ranges = new long[4];
        int count = LibC.writtenRanges(descriptor, address, address + size, 4, ranges);
        if (count == 1 && ranges[0] == address + 2L * LibC.PAGE_SIZE && ranges[1] == address + 3L * LibC.PAGE_SIZE) {
          return OptionalInt.of(descriptor);
        }
      } finally {
        LibC.munmap(address, size);
      }
    } catch (LibC.Failure e) {
      // An older kernel or a closed /proc.
    }
    if (descriptor != -1) {
      LibC.close(descriptor);
    }
    return OptionalInt.empty();
  }
}
