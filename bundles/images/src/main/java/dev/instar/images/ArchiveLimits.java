package dev.instar.images;

/**
 * How much an archive may hold.
 *
 * @param unpackedBytes of the tar stream, headers and padding included
 * @param entries files, directories and links, directories that are only implied by a path included
 * @param nameBytes of one path segment, in UTF-8
 * @param depth path segments
 * @param ratio unpacked bytes by packed ones, beyond the first {@value #RATIO_FREE_BYTES} bytes
 */
public record ArchiveLimits(long unpackedBytes, int entries, int nameBytes, int depth, int ratio) {
  /** Below this a high ratio does no harm and is usual: a small file of zeroes. */
  static final long RATIO_FREE_BYTES = 16 << 20;

  public static final ArchiveLimits DEFAULT = new ArchiveLimits(256L << 20, 10_000, 255, 32, 200);
  /** Of a container image, all its layers together. */
  public static final ArchiveLimits CONTAINER = new ArchiveLimits(4L << 30, 200_000, 255, 96, 200);
}
