package dev.instar.snapshots;

import dev.instar.api.Digest;
import dev.instar.api.snapshot.Blob;
import dev.instar.api.snapshot.SnapshotLayer;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.security.DigestInputStream;
import java.security.DigestOutputStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A chain of layers as one stream. Numbers are big-endian.
 *
 * <pre>
 *   8   "INSNAP" 0 1
 *   4   layers; then each, the base first:
 *     4   bytes of its manifest, then the manifest
 *     its memory, then its blobs in the order of their names, as chunks of 64 KiB (the last is shorter), each:
 *       1   0: zeros; 1: new; 2: as one before
 *       1:  4 bytes length, then so many bytes of raw deflate
 *       2:  4 bytes: the number of the new chunk of a memory that it is, counted from 0 through the whole archive
 *   32  SHA-256 of all before; then nothing
 * </pre>
 *
 * There are no names to escape by, and every size is told before its content: the manifests' sums are held against a limit before a byte is
 * unpacked, and a chunk never unpacks to more than its place takes.
 */
final class Archive {
  private static final byte[] MAGIC = {'I', 'N', 'S', 'N', 'A', 'P', 0, 1};
  static final int MAX_LAYERS = 16;
  private static final int ZEROS = 0;
  private static final int NEW = 1;
  private static final int SAME = 2;
  /** Deflate adds 5 bytes to each 16 KiB or so that it cannot compress (RFC 1951, 3.2.4). */
  private static final int MAX_PACKED = Chunks.SIZE + 1024;

  private Archive() {}

  static void write(List<StoredLayer> layers, OutputStream out) throws IOException {
    DigestOutputStream summed = new DigestOutputStream(out, Digest.sha256());
    DataOutputStream data = new DataOutputStream(summed);
    data.write(MAGIC);
    data.writeInt(layers.size());
    Map<ByteBuffer, Integer> written = new HashMap<>();
    byte[] chunk = new byte[Chunks.SIZE];
    for (StoredLayer stored : layers) {
      SnapshotLayer layer = stored.layer();
      byte[] manifest = Manifest.write(layer);
      data.writeInt(manifest.length);
      data.write(manifest);
      for (int i = 0; i < Chunks.count(layer.memoryBytes()); i++) {
        int length = Chunks.length(layer.memoryBytes(), i);
        stored.chunk(i, chunk);
        byte[] sum = stored.sum(i);
        Integer same = Arrays.equals(sum, Chunks.HOLE) ? null : written.putIfAbsent(ByteBuffer.wrap(sum), written.size());
        if (same != null) {
          data.writeByte(SAME);
          data.writeInt(same);
        } else {
          write(data, chunk, length);
        }
      }
      for (Map.Entry<String, Blob> blob : layer.blobs().entrySet()) {
        try (InputStream in = Files.newInputStream(stored.blob(blob.getKey()))) {
          for (int n = in.readNBytes(chunk, 0, Chunks.SIZE); n > 0; n = in.readNBytes(chunk, 0, Chunks.SIZE)) {
            write(data, chunk, n);
          }
        }
      }
    }
    out.write(summed.getMessageDigest().digest());
    out.flush();
  }

  private static void write(DataOutputStream data, byte[] chunk, int length) throws IOException {
    if (Chunks.isZero(chunk, 0, length)) {
      data.writeByte(ZEROS);
      return;
    }
    byte[] packed = Chunks.deflate(chunk, length);
    data.writeByte(NEW);
    data.writeInt(packed.length);
    data.write(packed);
  }

  /** Where a new chunk of a memory has been put. */
  private record Chunk(LayerWriter layer, int index, int length) {}

  /** Makes the writer of a layer whose manifest has come. */
  interface Target {
    LayerWriter open(SnapshotLayer layer) throws IOException;
  }

  /** Reads an archive. Nothing of it is published until all of it has come and the archive's sum fits; then the layers are, from the base up. */
  static SnapshotLayer read(InputStream in, long limit, Target target) throws IOException {
    DigestInputStream summed = new DigestInputStream(in, Digest.sha256());
    DataInputStream data = new DataInputStream(summed);
    List<LayerWriter> writers = new ArrayList<>();
    List<SnapshotLayer> layers = new ArrayList<>();
    try {
      byte[] magic = new byte[MAGIC.length];
      data.readFully(magic);
      require(Arrays.equals(magic, MAGIC), "is not one that this release reads");
      int count = data.readInt();
      require(count >= 1 && count <= MAX_LAYERS, "has " + Integer.toUnsignedString(count) + " layers; 1 to " + MAX_LAYERS + " are taken");
      List<Chunk> chunks = new ArrayList<>();
      long left = limit;
      for (int i = 0; i < count; i++) {
        SnapshotLayer layer = manifest(data, Optional.ofNullable(layers.isEmpty() ? null : layers.getLast()));
        left -= layer.memoryBytes();
        for (Blob blob : layer.blobs().values()) {
          left -= blob.bytes();
        }
        require(left >= 0, "holds more than " + limit + " bytes when it is unpacked");
        LayerWriter writer = open(target, layer);
        writers.add(writer);
        layers.add(layer);
        memory(data, layer, writer, chunks);
        for (Map.Entry<String, Blob> blob : layer.blobs().entrySet()) {
          writer.blob(blob.getKey(), new BlobStream(data, blob.getValue().bytes()));
        }
      }
      byte[] expected = summed.getMessageDigest().digest();
      byte[] sum = new byte[expected.length];
      data.readFully(sum);
      require(Arrays.equals(expected, sum), "fails its checksum");
      require(data.read() < 0, "goes on after its end");
      for (int i = 0; i < count; i++) {
        SnapshotLayer told = layers.get(i);
        writers.get(i).publish(told.created(), made -> {
          require(made.id().equals(told.id()), "has content that is not what its manifest says");
          return made;
        });
      }
      return layers.getLast();
    } catch (EOFException e) {
      throw Failures.refused("is cut off");
    } finally {
      writers.forEach(LayerWriter::close);
    }
  }

  private static LayerWriter open(Target target, SnapshotLayer layer) {
    try {
      LayerWriter writer = target.open(layer);
      writer.expect(layer);
      return writer;
    } catch (IOException e) {
      throw Failures.failed("The snapshot cannot be stored", e);
    }
  }

  private static SnapshotLayer manifest(DataInputStream data, Optional<SnapshotLayer> below) throws IOException {
    int length = data.readInt();
    require(length > 0 && length <= Manifest.MAX_BYTES, "has a manifest of " + Integer.toUnsignedString(length) + " bytes");
    // Grows with what has come: a length alone takes no memory.
    byte[] json = data.readNBytes(length);
    if (json.length < length) {
      throw new EOFException();
    }
    try {
      SnapshotLayer layer = Manifest.read(json);
      require(layer.parent().equals(below.map(SnapshotLayer::id)), "has a layer that does not lie on the one before it");
      below.ifPresent(b -> require(layer.key().extendsKey(b.key()), "has a layer of another machine than the one below it"));
      return layer;
    } catch (Manifest.InvalidException e) {
      throw Failures.refused("has a bad manifest: " + e.getMessage().replaceAll("[^ -~]", "?"));
    }
  }

  private static void memory(DataInputStream data, SnapshotLayer layer, LayerWriter writer, List<Chunk> chunks) throws IOException {
    byte[] chunk = new byte[Chunks.SIZE];
    for (int i = 0; i < Chunks.count(layer.memoryBytes()); i++) {
      int length = Chunks.length(layer.memoryBytes(), i);
      int tag = data.readUnsignedByte();
      switch (tag) {
        case ZEROS -> {}
        case NEW -> {
          unpack(data, chunk, length);
          store(writer, i, chunk, length);
          chunks.add(new Chunk(writer, i, length));
        }
        case SAME -> {
          int number = data.readInt();
          require(number >= 0 && number < chunks.size() && chunks.get(number).length() == length, "refers to a chunk that has not come");
          Chunk same = chunks.get(number);
          try {
            same.layer().read(same.index(), chunk, length);
          } catch (IOException e) {
            throw Failures.failed("The snapshot cannot be stored", e);
          }
          store(writer, i, chunk, length);
        }
        default -> throw Failures.refused("has a chunk of the unknown kind " + tag);
      }
    }
  }

  private static void store(LayerWriter writer, int index, byte[] chunk, int length) {
    try {
      writer.chunk(index, chunk, length);
    } catch (IOException e) {
      throw Failures.failed("The snapshot cannot be stored", e);
    }
  }

  private static void unpack(DataInputStream data, byte[] chunk, int length) throws IOException {
    int packed = data.readInt();
    require(packed > 0 && packed <= MAX_PACKED, "has a chunk of " + Integer.toUnsignedString(packed) + " packed bytes");
    byte[] bytes = new byte[packed];
    data.readFully(bytes);
    require(Chunks.inflate(bytes, chunk, length), "has a chunk that does not unpack to its size");
  }

  private static void require(boolean holds, String otherwise) {
    if (!holds) {
      throw Failures.refused(otherwise);
    }
  }

  /** The chunks of a blob as a stream. */
  private static final class BlobStream extends FilterInputStream {
    private final DataInputStream data;
    private final byte[] chunk = new byte[Chunks.SIZE];
    private long left;

    BlobStream(DataInputStream data, long bytes) {
      super(InputStream.nullInputStream());
      this.data = data;
      left = bytes;
    }

    /** A chunk at a time. */
    @Override
    public int read(byte[] into, int offset, int length) throws IOException {
      if (left == 0) {
        return -1;
      }
      int size = (int) Math.min(Chunks.SIZE, left);
      if (length < size) {
        throw new IllegalArgumentException("a chunk is read whole");
      }
      int tag = data.readUnsignedByte();
      require(tag == ZEROS || tag == NEW, "has a chunk of the unknown kind " + tag + " in a file");
      if (tag == ZEROS) {
        Arrays.fill(chunk, 0, size, (byte) 0);
      } else {
        unpack(data, chunk, size);
      }
      System.arraycopy(chunk, 0, into, offset, size);
      left -= size;
      return size;
    }
  }
}
