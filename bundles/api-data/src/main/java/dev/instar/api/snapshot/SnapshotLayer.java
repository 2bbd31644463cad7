package dev.instar.api.snapshot;

import dev.instar.api.Digest;
import java.time.Instant;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * The manifest of a layer: what it is and what every byte of it must be. It never changes.
 *
 * @param id the SHA-256 of the manifest as it is stored. It covers the parent's id and the checksums of all content, so an id stands for the
 *     whole chain down to the base
 * @param parent the layer below; empty for a base
 * @param creator who made it, for people to read
 * @param memory the SHA-256 over the SHA-256 sums of the memory's chunks of {@link SnapshotStore#CHUNK_BYTES} (32 zero bytes for a chunk of zeros)
 * @param memoryBytes size of the memory file
 * @param extents ascending by offset; none overlaps another, in the file or in the guest
 * @param blobs by name
 */
public record SnapshotLayer(Digest id, Optional<Digest> parent, SnapshotKey key, Instant created, String creator, Digest memory, long memoryBytes,
    List<Extent> extents, SortedMap<String, Blob> blobs) {
  public SnapshotLayer {
    extents = List.copyOf(extents);
    blobs = Collections.unmodifiableSortedMap(new TreeMap<>(blobs));
  }

  /** Whether it stands alone, flat and mappable; else it holds what differs from its parent. */
  public boolean isBase() {
    return parent.isEmpty();
  }
}
