package dev.instar.wasi;

/**
 * What one sandbox may use of files. A guest that reaches a limit gets {@code mfile} or {@code nospc}.
 *
 * @param descriptors open at once, standard streams included
 * @param inodes files, directories, links and names that the guest has made and not removed; each costs up to 5 KiB of heap
 * @param bytes what the guest has written, in blocks of {@value BlockStore#BLOCK} bytes; also the largest size of a file
 * @param heapBytes how much of these bytes stays in memory before the rest goes to disk
 */
public record FileQuota(int descriptors, int inodes, long bytes, long heapBytes) {
  /** 128 descriptors, 2048 inodes, 64 MiB of which 2 MiB in memory. */
  public static final FileQuota DEFAULT = new FileQuota(128, 2048, 64L << 20, 2L << 20);

  public FileQuota {
    if (descriptors < 4 || inodes < 0 || bytes < 0 || heapBytes < 0 || bytes / BlockStore.BLOCK > Integer.MAX_VALUE) {
      throw new IllegalArgumentException("not a usable quota: " + descriptors + " descriptors, " + inodes + " inodes, " + bytes + " bytes, "
          + heapBytes
          + " of them on the heap");
    }
  }
}
