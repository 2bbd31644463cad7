package dev.instar.api.snapshot;

import java.nio.ByteBuffer;
import java.nio.file.Path;
import org.osgi.annotation.versioning.ProviderType;

/** One layer of a {@link SnapshotLease}. Every method throws DAMAGED when the bytes it is about are not what was published. */
@ProviderType
public interface OpenLayer {
  /** Its manifest. */
  SnapshotLayer layer();

  /**
   * The memory file of a base: flat, sparse, read-only, never changed; many may map it at once. It has the size that the manifest tells, but its
   * bytes are not verified: {@link #verify} does that, whole or in parts, before or after it is mapped. Who maps it bears what becomes of the disk: in this
   * process a file that is cut off ends in SIGBUS, which takes the JVM along; {@link #read} ends in DAMAGED.
   *
   * @throws dev.instar.api.InstarException CONFLICT for a diff, which is compressed; {@link #read} it
   */
  Path memory();

  /** Fills {@code into} from an offset of the memory file on, verified; a chunk that is only touched is read whole. */
  void read(long offset, ByteBuffer into);

  /** Verifies a range of the memory file; chunks that have passed since the store started are not read again. */
  void verify(long offset, long length);

  /**
   * The file of a blob, read-only; verified, the first time since the store started.
   *
   * @throws dev.instar.api.InstarException SNAPSHOT_NOT_FOUND when the layer has no such blob
   */
  Path blob(String name);
}
