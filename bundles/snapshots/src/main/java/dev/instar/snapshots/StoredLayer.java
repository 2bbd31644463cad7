package dev.instar.snapshots;

import dev.instar.api.Digest;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.snapshot.Blob;
import dev.instar.api.snapshot.OpenLayer;
import dev.instar.api.snapshot.SnapshotLayer;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Consumer;

/**
 * A layer in its directory.
 *
 * <pre>
 *   manifest.json   the layer's id is its SHA-256
 *   sums            32 bytes a chunk of the memory file; the manifest has their SHA-256
 *   memory          a base's memory, flat and sparse
 *   pack            a diff's: for each chunk 8 bytes offset and 4 bytes length of its deflated bytes in this file, then those bytes, equal ones once
 *   blob-NAME       as given
 * </pre>
 *
 * The pack's table of places needs no checksum: a chunk that comes from the wrong place fails its own.
 */
final class StoredLayer implements OpenLayer {
  static final String MANIFEST = "manifest.json";
  static final String SUMS = "sums";
  static final String MEMORY = "memory";
  static final String PACK = "pack";
  static final String BLOB_PREFIX = "blob-";
  static final int PLACE_BYTES = 12;

  private final Path directory;
  private final SnapshotLayer layer;
  private final Consumer<StoredLayer> damage;
  private final Set<String> verifiedBlobs = ConcurrentHashMap.newKeySet();
  private final BitSet verifiedChunks = new BitSet();
  private volatile byte[] sums = {};
  private volatile boolean sumsRead;

  /** @param damage told once a fault is found, before it is thrown */
  StoredLayer(Path directory, SnapshotLayer layer, Consumer<StoredLayer> damage) {
    this.directory = directory;
    this.layer = layer;
    this.damage = damage;
  }

  /** Reads a layer's manifest; looks at the sizes of all else. @throws Manifest.InvalidException when it is not the layer of that name, whole */
  static StoredLayer load(Path directory, Consumer<StoredLayer> damage) throws IOException, Manifest.InvalidException {
    Path file = directory.resolve(MANIFEST);
    if (!Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS) || Files.size(file) > Manifest.MAX_BYTES) {
      throw new Manifest.InvalidException("its manifest is missing or too large");
    }
    SnapshotLayer layer = Manifest.read(Files.readAllBytes(file));
    if (!layer.id().hex().equals(directory.getFileName().toString())) {
      throw new Manifest.InvalidException("its manifest fails its checksum");
    }
    StoredLayer stored = new StoredLayer(directory, layer, damage);
    int chunks = Chunks.count(layer.memoryBytes());
    stored.checkSize(SUMS, (long) chunks * Chunks.SUM_BYTES);
    if (layer.isBase()) {
      stored.checkSize(MEMORY, layer.memoryBytes());
    } else if (!Files.isRegularFile(directory.resolve(PACK), LinkOption.NOFOLLOW_LINKS)
        || Files.size(directory.resolve(PACK)) < (long) chunks * PLACE_BYTES) {
      throw new Manifest.InvalidException("its file " + PACK + " is missing or cut off");
    }
    for (Map.Entry<String, Blob> blob : layer.blobs().entrySet()) {
      stored.checkSize(BLOB_PREFIX + blob.getKey(), blob.getValue().bytes());
    }
    return stored;
  }

  private void checkSize(String name, long expected) throws IOException, Manifest.InvalidException {
    Path file = directory.resolve(name);
    if (!Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)) {
      throw new Manifest.InvalidException("its file " + name + " is missing");
    }
    if (Files.size(file) != expected) {
      throw new Manifest.InvalidException("its file " + name + " has " + Files.size(file) + " bytes instead of " + expected);
    }
  }

  Path directory() {
    return directory;
  }

  @Override
  public SnapshotLayer layer() {
    return layer;
  }

  @Override
  public Path memory() {
    if (!layer.isBase()) {
      throw Failures.conflict(layer.id(), "is a diff, whose memory is compressed; read it instead of mapping it");
    }
    return directory.resolve(MEMORY);
  }

  @Override
  public void read(long offset, ByteBuffer into) {
    checkRange(offset, into.remaining());
    byte[] chunk = new byte[Chunks.SIZE];
    while (into.hasRemaining()) {
      int index = (int) (offset / Chunks.SIZE);
      int from = (int) (offset % Chunks.SIZE);
      chunk(index, chunk);
      int length = Math.min(into.remaining(), Chunks.length(layer.memoryBytes(), index) - from);
      into.put(chunk, from, length);
      offset += length;
    }
  }

  @Override
  public void verify(long offset, long length) {
    checkRange(offset, length);
    if (length == 0) {
      return;
    }
    byte[] chunk = new byte[Chunks.SIZE];
    int last = (int) ((offset + length - 1) / Chunks.SIZE);
    for (int i = (int) (offset / Chunks.SIZE); i <= last; i++) {
      boolean known;
      synchronized (verifiedChunks) {
        known = verifiedChunks.get(i);
      }
      if (!known) {
        chunk(i, chunk);
      }
    }
  }

  private void checkRange(long offset, long length) {
    if (offset < 0 || length < 0 || length > layer.memoryBytes() - offset) {
      throw Failures.badRequest("The memory of the snapshot layer " + layer.id() + " has " + layer.memoryBytes() + " bytes; " + length + " from " + offset
          + " on are not there.");
    }
  }

  /** Reads everything again, whatever has passed before. */
  void verifyAll() {
    sumsRead = false;
    verifiedBlobs.clear();
    synchronized (verifiedChunks) {
      verifiedChunks.clear();
    }
    try {
      load(directory, damage);
    } catch (Manifest.InvalidException e) {
      throw damaged(e.getMessage());
    } catch (IOException e) {
      throw Failures.failed("The snapshot layer " + layer.id() + " cannot be read", e);
    }
    verify(0, layer.memoryBytes());
    layer.blobs().keySet().forEach(this::blob);
  }

  @Override
  public Path blob(String name) {
    Blob blob = layer.blobs().get(name);
    if (blob == null) {
      throw new InstarException(ErrorCode.SNAPSHOT_NOT_FOUND, "The snapshot layer " + layer.id() + " has no file '" + name + "'.",
          Map.of("layer", layer.id().value()));
    }
    Path file = directory.resolve(BLOB_PREFIX + name);
    if (!verifiedBlobs.contains(name)) {
      MessageDigest sha256 = Digest.sha256();
      try (InputStream in = Files.newInputStream(file)) {
        byte[] buffer = new byte[Chunks.SIZE];
        for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
          sha256.update(buffer, 0, n);
        }
      } catch (IOException e) {
        throw unreadable(e);
      }
      if (!Digest.of(sha256).equals(blob.digest())) {
        throw damaged("its file '" + name + "' fails its checksum");
      }
      verifiedBlobs.add(name);
    }
    return file;
  }

  /** What the manifest says of the memory's chunks. */
  byte[] sum(int index) {
    if (!sumsRead) {
      try {
        byte[] read = Files.readAllBytes(directory.resolve(SUMS));
        if (read.length != Chunks.count(layer.memoryBytes()) * Chunks.SUM_BYTES || !Digest.of(read).equals(layer.memory())) {
          throw damaged("its file " + SUMS + " fails its checksum");
        }
        sums = read;
        sumsRead = true;
      } catch (IOException e) {
        throw unreadable(e);
      }
    }
    return Arrays.copyOfRange(sums, index * Chunks.SUM_BYTES, (index + 1) * Chunks.SUM_BYTES);
  }

  /** Reads one chunk, verified. */
  void chunk(int index, byte[] into) {
    byte[] sum = sum(index);
    int length = Chunks.length(layer.memoryBytes(), index);
    boolean hole = Arrays.equals(sum, Chunks.HOLE);
    try {
      if (layer.isBase()) {
        Chunks.read(directory.resolve(MEMORY), (long) index * Chunks.SIZE, into, length);
      } else if (hole) {
        Arrays.fill(into, 0, length, (byte) 0);
      } else if (!unpack(index, into, length)) {
        throw damaged("chunk " + index + " of its memory cannot be unpacked");
      }
    } catch (IOException e) {
      throw unreadable(e);
    }
    if (hole ? !Chunks.isZero(into, 0, length) : !Arrays.equals(sum, Chunks.sum(into, length))) {
      throw damaged("chunk " + index + " of its memory fails its checksum");
    }
    synchronized (verifiedChunks) {
      verifiedChunks.set(index);
    }
  }

  private boolean unpack(int index, byte[] into, int length) throws IOException {
    byte[] place = new byte[PLACE_BYTES];
    Path pack = directory.resolve(PACK);
    Chunks.read(pack, (long) index * PLACE_BYTES, place, PLACE_BYTES);
    long offset = ByteBuffer.wrap(place).getLong();
    int packed = ByteBuffer.wrap(place).getInt(Long.BYTES);
    if (packed < 0 || packed > 2 * Chunks.SIZE || offset < 0 || offset > Files.size(pack) - packed) {
      return false;
    }
    byte[] bytes = new byte[packed];
    Chunks.read(pack, offset, bytes, packed);
    return Chunks.inflate(bytes, into, length);
  }

  private InstarException unreadable(IOException e) {
    // A file that has gone or is shorter than it was is damage; a disk that fails, or a process without descriptors, may be well later.
    return e instanceof EOFException || anyMissing() ? damaged("a file is missing or cut off")
        : Failures.failed("The snapshot layer " + layer.id() + " cannot be read", e);
  }

  private boolean anyMissing() {
    return Files.notExists(directory.resolve(layer.isBase() ? MEMORY : PACK)) || Files.notExists(directory.resolve(SUMS))
        || layer.blobs().keySet().stream().anyMatch(b -> Files.notExists(directory.resolve(BLOB_PREFIX + b)));
  }

  private InstarException damaged(String how) {
    damage.accept(this);
    return Failures.damaged(layer.id(), how);
  }

  /** Bytes on the disk: allocated blocks are not told by Java, so holes are known from the sums. */
  long storedBytes() throws IOException {
    long bytes = Files.size(directory.resolve(MANIFEST)) + Files.size(directory.resolve(SUMS));
    for (Blob blob : layer.blobs().values()) {
      bytes += blob.bytes();
    }
    if (!layer.isBase()) {
      return bytes + Files.size(directory.resolve(PACK));
    }
    byte[] table = Files.readAllBytes(directory.resolve(SUMS));
    for (int i = 0; i < table.length / Chunks.SUM_BYTES; i++) {
      if (!Arrays.equals(table, i * Chunks.SUM_BYTES, (i + 1) * Chunks.SUM_BYTES, Chunks.HOLE, 0, Chunks.SUM_BYTES)) {
        bytes += Chunks.length(layer.memoryBytes(), i);
      }
    }
    return bytes;
  }
}
