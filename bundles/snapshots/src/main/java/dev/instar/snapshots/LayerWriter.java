package dev.instar.snapshots;

import dev.instar.api.Digest;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.data.DurableFiles;
import dev.instar.api.data.PositionedFile;
import dev.instar.api.snapshot.Blob;
import dev.instar.api.snapshot.Extent;
import dev.instar.api.snapshot.SnapshotBuilder;
import dev.instar.api.snapshot.SnapshotKey;
import dev.instar.api.snapshot.SnapshotLayer;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.MessageDigest;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.UnaryOperator;

/**
 * Writes a layer into a directory that nobody looks at, and gives it away when it is whole and synced. Each chunk is summed as it comes, while it is in the
 * processor's cache, and not read again. Nothing larger than a chunk gets onto the heap.
 */
final class LayerWriter implements SnapshotBuilder {
  /** Gives a whole layer its place; the directory is the store's from then on. */
  interface Place {
    SnapshotLayer put(Path directory, SnapshotLayer layer);
  }

  private final Path directory;
  private final Optional<Digest> parent;
  private final SnapshotKey key;
  private final String creator;
  private final Place place;
  private final Pace pace;
  private final Runnable closed;
  private final PositionedFile memory;
  /** The chunk that the memory ends in, as far as it has come; zeros from there on. */
  private final byte[] chunk = new byte[Chunks.SIZE];
  /** The index of that chunk while it has no sum. */
  private OptionalInt unsummed = OptionalInt.empty();
  /** Of the chunks that have come; a chunk of zeros has {@link Chunks#HOLE}, and so has one of which nothing came. */
  private byte[] sums = {};
  private final List<Extent> extents = new ArrayList<>();
  private final SortedMap<String, Blob> blobs = new TreeMap<>();
  private boolean open = true;

  /** @param closed runs once, at the end */
  LayerWriter(Path directory, Optional<Digest> parent, SnapshotKey key, String creator, Place place, Pace pace, Runnable closed) throws IOException {
    this.directory = directory;
    this.parent = parent;
    this.key = key;
    this.creator = creator;
    this.place = place;
    this.pace = pace;
    this.closed = closed;
    if (!Files.isDirectory(directory.getParent())) {
      // Somebody has deleted the whole area under a running node.
      DurableFiles.createDirectories(directory.getParent());
    }
    // Not synced there: what is not published need not outlast the node.
    Files.createDirectory(directory, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
    memory = PositionedFile.create(directory.resolve(StoredLayer.MEMORY));
  }

  @Override
  public void memory(long guestAddress, ByteBuffer bytes) {
    checkOpen();
    int length = bytes.remaining();
    Extent extent = add(guestAddress, length);
    try {
      for (long at = extent.offset(); bytes.hasRemaining();) {
        int from = begin(at);
        int to = Math.min(from + bytes.remaining(), Chunks.SIZE);
        bytes.get(chunk, from, to - from);
        writePages(at - from, from, to);
        at += to - from;
        pace.rest(to - from);
      }
    } catch (IOException e) {
      throw Failures.failed("The snapshot's memory cannot be stored", e);
    }
  }

  /** Makes the chunk ready for what lies at that offset of the file, and sums the one before it. @return the place in the chunk */
  private int begin(long offset) {
    int index = (int) (offset / Chunks.SIZE);
    if (unsummed.isEmpty() || unsummed.getAsInt() != index) {
      sumChunk(Chunks.SIZE);
      Arrays.fill(chunk, (byte) 0);
      unsummed = OptionalInt.of(index);
    }
    return (int) (offset % Chunks.SIZE);
  }

  /** @param length of the chunk, which is shorter where the file ends in it */
  private void sumChunk(int length) {
    unsummed.ifPresent(index -> sum(index, chunk, length));
    unsummed = OptionalInt.empty();
  }

  private void sum(int index, byte[] bytes, int length) {
    if (!Chunks.isZero(bytes, 0, length)) {
      int at = index * Chunks.SUM_BYTES;
      if (sums.length < at + Chunks.SUM_BYTES) {
        sums = Arrays.copyOf(sums, Math.max(at + Chunks.SUM_BYTES, 2 * sums.length));
      }
      System.arraycopy(Chunks.sum(bytes, length), 0, sums, at, Chunks.SUM_BYTES);
    }
  }

  /** Writes a part of the chunk, which begins at that offset of the file, without its pages of zeros. */
  private void writePages(long offset, int from, int to) throws IOException {
    int run = from;
    for (int page = from; page < to; page += PAGE_BYTES) {
      int end = Math.min(page + PAGE_BYTES, to);
      boolean zero = Chunks.isZero(chunk, page, end);
      if ((zero || end == to) && run < (zero ? page : end)) {
        memory.write(offset + run, chunk, run, (zero ? page : end) - run);
      }
      if (zero) {
        run = end;
      }
    }
  }

  @Override
  public void memory(long guestAddress, FileChannel source, long position, long length) throws IOException {
    checkOpen();
    if (position < 0 || length > source.size() - position) {
      throw new EOFException("The source of a snapshot's memory ends before " + length + " bytes from " + position + " on.");
    }
    Extent extent = add(guestAddress, length);
    // A run of chunks that are not zero goes over in one call, which shares the blocks where it can.
    long run = 0;
    for (long done = 0; done < length;) {
      int from = begin(extent.offset() + done);
      int n = (int) Math.min(Chunks.SIZE - from, length - done);
      ByteBuffer part = ByteBuffer.wrap(chunk, from, n);
      while (part.hasRemaining()) {
        if (source.read(part, position + done + part.position() - from) < 0) {
          throw new EOFException("The source of a snapshot's memory was cut off while it was read.");
        }
      }
      if (Chunks.isZero(chunk, from, from + n)) {
        memory.copyFrom(source, position + run, extent.offset() + run, done - run);
        run = done + n;
      }
      done += n;
      pace.rest(n);
    }
    memory.copyFrom(source, position + run, extent.offset() + run, length - run);
  }

  /** Takes a place in the file and in the guest; returns that of the new memory alone. */
  private Extent add(long guestAddress, long length) {
    Extent last = extents.isEmpty() ? null : extents.getLast();
    long end = end();
    long offset = (end + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
    Extent added;
    try {
      added = new Extent(offset, length, guestAddress);
    } catch (IllegalArgumentException e) {
      throw Failures.badRequest("A snapshot cannot have " + e.getMessage() + ".");
    }
    if (offset + length > Manifest.MAX_MEMORY || extents.size() == Manifest.MAX_EXTENTS) {
      throw Failures.badRequest("A snapshot's memory has up to " + Manifest.MAX_MEMORY + " bytes in " + Manifest.MAX_EXTENTS + " extents.");
    }
    if (last != null && end == offset && last.guestAddress() + last.length() == guestAddress) {
      extents.set(extents.size() - 1, new Extent(last.offset(), last.length() + length, last.guestAddress()));
    } else {
      extents.add(added);
    }
    return added;
  }

  private long end() {
    return extents.isEmpty() ? 0 : extents.getLast().offset() + extents.getLast().length();
  }

  @Override
  public void blob(String name, InputStream content) throws IOException {
    checkOpen();
    if (!Manifest.isBlobName(name) || blobs.containsKey(name) || blobs.size() == Manifest.MAX_BLOBS) {
      throw Failures.badRequest("A snapshot has up to " + Manifest.MAX_BLOBS
          + " files, each once, named with 1 to 64 lower-case letters, digits and hyphens.");
    }
    MessageDigest sha256 = Digest.sha256();
    long bytes = 0;
    Path file = directory.resolve(StoredLayer.BLOB_PREFIX + name);
    try (OutputStream out = onDisk(() -> DurableFiles.create(file))) {
      byte[] buffer = new byte[Chunks.SIZE];
      for (int n = content.read(buffer); n >= 0; n = content.read(buffer)) {
        sha256.update(buffer, 0, n);
        int length = n;
        onDisk(() -> {
          out.write(buffer, 0, length);
          return null;
        });
        bytes += n;
        pace.rest(n);
      }
    }
    onDisk(() -> {
      DurableFiles.sync(file);
      return null;
    });
    blobs.put(name, new Blob(Digest.of(sha256), bytes));
  }

  private interface DiskAction<T> {
    T run() throws IOException;
  }

  /** Tells a full disk of ours from a source that fails. */
  private static <T> T onDisk(DiskAction<T> action) {
    try {
      return action.run();
    } catch (IOException e) {
      throw Failures.failed("The snapshot cannot be stored", e);
    }
  }

  @Override
  public SnapshotLayer publish() {
    // To the microsecond: what a manifest says is what it reads.
    return publish(Instant.now().truncatedTo(ChronoUnit.MICROS), UnaryOperator.identity());
  }

  /** The memory of a layer that comes with its manifest; the bytes follow by {@link #chunk}. */
  void expect(SnapshotLayer layer) {
    extents.addAll(layer.extents());
  }

  /** Writes a chunk of the memory file. */
  void chunk(int index, byte[] bytes, int length) throws IOException {
    memory.write((long) index * Chunks.SIZE, bytes, 0, length);
    sum(index, bytes, length);
  }

  /** Reads a chunk that was written before. */
  void read(int index, byte[] into, int length) throws IOException {
    memory.read((long) index * Chunks.SIZE, into, length);
  }

  /** @param check sees the layer before it is published, and may refuse it */
  SnapshotLayer publish(Instant created, UnaryOperator<SnapshotLayer> check) {
    checkOpen();
    if (Manifest.overlaps(extents)) {
      throw Failures.badRequest("A snapshot cannot have the same memory twice.");
    }
    try {
      memory.setSize(end());
      if (unsummed.isPresent()) {
        sumChunk(Chunks.length(end(), unsummed.getAsInt()));
      }
      sums = Arrays.copyOf(sums, Chunks.count(end()) * Chunks.SUM_BYTES);
      Path sumsFile = directory.resolve(StoredLayer.SUMS);
      try (OutputStream out = DurableFiles.create(sumsFile)) {
        out.write(sums);
      }
      DurableFiles.sync(sumsFile);
      if (parent.isEmpty()) {
        memory.sync();
      } else {
        pack();
      }
      memory.close();
      if (parent.isPresent()) {
        Files.delete(directory.resolve(StoredLayer.MEMORY));
      }
      Digest all = Digest.of(sums);
      SnapshotLayer named = new SnapshotLayer(all, parent, key, created, creator, all, end(), extents, blobs);
      byte[] manifest = Manifest.write(named);
      if (manifest.length > Manifest.MAX_BYTES) {
        throw Failures.badRequest("The manifest of the snapshot would be over " + Manifest.MAX_BYTES + " bytes; give larger runs of memory.");
      }
      SnapshotLayer layer = check.apply(new SnapshotLayer(Digest.of(manifest), parent, key, created, creator, all, end(), extents, blobs));
      // The last one, which brings the names of all to the disk.
      DurableFiles.write(directory.resolve(StoredLayer.MANIFEST), manifest);
      try (var files = Files.newDirectoryStream(directory)) {
        for (Path file : files) {
          Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("r--------"));
        }
      }
      return place.put(directory, layer);
    } catch (IOException e) {
      throw Failures.failed("The snapshot cannot be stored", e);
    } finally {
      close();
    }
  }

  private void pack() throws IOException {
    int count = Chunks.count(end());
    ByteBuffer places = ByteBuffer.allocate(count * StoredLayer.PLACE_BYTES);
    Map<ByteBuffer, Integer> first = new HashMap<>();
    try (PositionedFile pack = PositionedFile.create(directory.resolve(StoredLayer.PACK))) {
      long at = places.capacity();
      for (int i = 0; i < count; i++) {
        byte[] sum = Arrays.copyOfRange(sums, i * Chunks.SUM_BYTES, (i + 1) * Chunks.SUM_BYTES);
        if (Arrays.equals(sum, Chunks.HOLE)) {
          places.putLong(0).putInt(0);
          continue;
        }
        Integer same = first.putIfAbsent(ByteBuffer.wrap(sum), i);
        if (same != null) {
          places.putLong(places.getLong(same * StoredLayer.PLACE_BYTES)).putInt(places.getInt(same * StoredLayer.PLACE_BYTES + Long.BYTES));
          continue;
        }
        int length = Chunks.length(end(), i);
        read(i, chunk, length);
        byte[] packed = Chunks.deflate(chunk, length);
        pack.write(at, packed, 0, packed.length);
        places.putLong(at).putInt(packed.length);
        at += packed.length;
        pace.rest(length);
      }
      pack.write(0, places.array(), 0, places.capacity());
      pack.sync();
    }
  }

  private void checkOpen() {
    if (!open) {
      throw new InstarException(ErrorCode.CONFLICT, "This snapshot has been published or thrown away already.");
    }
  }

  @Override
  public void close() {
    if (!open) {
      return;
    }
    open = false;
    try {
      memory.close();
      DurableFiles.deleteTree(directory);
    } catch (IOException e) {
      throw Failures.failed("The half-made snapshot in " + directory + " cannot be removed", e);
    } finally {
      closed.run();
    }
  }
}
