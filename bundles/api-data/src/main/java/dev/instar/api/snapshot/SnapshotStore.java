package dev.instar.api.snapshot;

import dev.instar.api.Digest;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.List;
import java.util.Optional;
import org.osgi.annotation.versioning.ProviderType;

/**
 * Initialised functions, frozen, for every backend that can restore one.
 *
 * <p><b>Vocabulary.</b> A <em>layer</em> is a manifest, memory, and named blobs (a machine's state, a module, a working set). A <em>base</em> stands
 * alone: its memory is one flat file that any number of sandboxes map. A <em>diff</em> lies on a parent and holds the extents that differ from it;
 * where two layers have the same guest address, the upper one counts. A <em>key</em> says what must match for a layer to be of use; it says nothing
 * about content. A <em>user</em>, such as a function version's uid, holds the layers that it needs. A <em>lease</em> has a layer open.
 *
 * <p><b>Life.</b> A backend asks {@link #find} for its key. If there is nothing, it initialises the function, writes a layer with {@link #base} or
 * {@link #diff} and publishes it; if there is a layer, it opens it. A layer never changes: a working set that is recorded later is a diff without
 * memory. Two that publish for one key at the same time both succeed, and the later one is found. What is published survives power loss, whole; what
 * was not is swept at the next start.
 *
 * <p><b>Layers can always be made again</b> by initialising the function, and every caller must be ready to: a layer may be collected between
 * {@code find} and {@code open}, and may prove damaged at any time. A damaged layer is set aside by whichever method notices, which throws DAMAGED with
 * the layer's id in the member {@code layer}; from then on neither it nor what lies on it is found. Leases of it stay open.
 *
 * <p><b>When bytes are verified.</b> The manifest at the start of the store and at import; a blob when it is first asked for; memory in chunks, by
 * {@link OpenLayer#read} always and by {@link OpenLayer#verify} once, so that a caller who maps a base chooses between all at once (SHA-256, of the
 * order of a second a GiB where the CPU has instructions for it) and piece by piece. {@link #verify} reads everything again. Checksums tell damage,
 * not malice: who can write to the data directory, or makes an archive that is imported, decides what the guest's memory holds.
 *
 * <p>All methods may be called from any thread. {@code find}, {@code list} and {@code inspect} read no file. An interrupt stops none of them.
 */
@ProviderType
public interface SnapshotStore {
  /** Bytes of memory under one checksum: reading one page costs up to 16, and a GiB has 512 KiB of checksums. */
  int CHUNK_BYTES = 64 << 10;

  /** Starts a base. */
  SnapshotBuilder base(SnapshotKey key, String creator);

  /**
   * Starts a diff. Its parent stays open until the builder is closed.
   *
   * @throws dev.instar.api.InstarException SNAPSHOT_NOT_FOUND; SNAPSHOT_MISMATCH when the key does not {@linkplain SnapshotKey#extendsKey extend}
   *     the parent's; CONFLICT when there are too many layers below; DAMAGED
   */
  SnapshotBuilder diff(Digest parent, SnapshotKey key, String creator);

  /** The newest layer of that key whose parents are all there. */
  Optional<SnapshotLayer> find(SnapshotKey key);

  /**
   * Opens a layer and those below it.
   *
   * @param expected the caller's own key
   * @throws dev.instar.api.InstarException SNAPSHOT_NOT_FOUND; SNAPSHOT_MISMATCH when the layer was made for another key; DAMAGED
   */
  SnapshotLease open(Digest id, SnapshotKey expected);

  /** All layers, the newest first. */
  List<SnapshotInfo> list();

  /** One layer. */
  Optional<SnapshotInfo> inspect(Digest id);

  /** Reads every byte of a layer and of those below it. @throws dev.instar.api.InstarException SNAPSHOT_NOT_FOUND, DAMAGED */
  void verify(Digest id);

  /** Says that {@code user} needs a layer, durably. Idempotent. @throws dev.instar.api.InstarException SNAPSHOT_NOT_FOUND */
  void hold(Digest id, String user);

  /** Ends all that {@code user} holds. Idempotent. */
  void release(String user);

  /**
   * Removes a layer, whoever holds it.
   *
   * @return whether it was there
   * @throws dev.instar.api.InstarException CONFLICT when it is open or another layer lies on it
   */
  boolean remove(Digest id);

  /** What the store collects by itself, after each publication and import. */
  GcPolicy policy();

  /** Removes what the policy says, never what is open or what another layer lies on, and diffs that have lost their parent. */
  GcResult collect(GcPolicy policy);

  /**
   * Writes a layer and those below it as one archive, each chunk once, compressed, all under checksums; every byte is verified on the way.
   *
   * @throws dev.instar.api.InstarException SNAPSHOT_NOT_FOUND, DAMAGED
   * @throws IOException when {@code archive} cannot be written
   */
  void exportTo(Digest id, OutputStream archive) throws IOException;

  /**
   * Takes in an archive, all of it or nothing new, but for layers below one that is refused, which are whole by themselves.
   *
   * @return the uppermost layer, which has the id that it had where it was exported
   * @throws dev.instar.api.InstarException ARCHIVE_REFUSED when it is damaged, cut off, of another format or over a limit; NO_SPACE
   * @throws IOException when {@code archive} cannot be read
   */
  SnapshotLayer importFrom(InputStream archive) throws IOException;
}
