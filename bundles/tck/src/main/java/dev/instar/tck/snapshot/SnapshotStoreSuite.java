package dev.instar.tck.snapshot;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.Digest;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.snapshot.Extent;
import dev.instar.api.snapshot.GcPolicy;
import dev.instar.api.snapshot.GcResult;
import dev.instar.api.snapshot.OpenLayer;
import dev.instar.api.snapshot.SnapshotBuilder;
import dev.instar.api.snapshot.SnapshotKey;
import dev.instar.api.snapshot.SnapshotLayer;
import dev.instar.api.snapshot.SnapshotLease;
import dev.instar.api.snapshot.SnapshotStore;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

/** What every {@link SnapshotStore} does. Each test gets a fresh, empty store. */
@Timeout(60)
public abstract class SnapshotStoreSuite {
  private static final int PAGE = SnapshotBuilder.PAGE_BYTES;
  private static final GcPolicy NOTHING_STAYS = new GcPolicy(Duration.ZERO, 0);
  private static final GcPolicy UNHELD_GO = new GcPolicy(Duration.ZERO, Long.MAX_VALUE);
  private static final SnapshotKey KEY = key("1", "one");

  /** For sources of the suite's own. */
  @TempDir protected Path sources;
  private SnapshotStore store;

  /** A store that is empty, apart from those that came before. */
  protected abstract SnapshotStore emptyStore() throws Exception;

  /** The store of the last {@link #emptyStore}, as it comes up when its node has ended and starts again. */
  protected abstract SnapshotStore reopened() throws Exception;

  /** The files of a layer in the last {@link #emptyStore}: all that is read back of it. */
  protected abstract List<Path> files(Digest id) throws Exception;

  /** The number of files that the last {@link #emptyStore} keeps, in whatever form. */
  protected abstract long filesKept() throws Exception;

  @BeforeEach
  void open() throws Exception {
    store = emptyStore();
  }

  private static SnapshotKey key(String version, String... images) {
    return new SnapshotKey("toy", version, new TreeMap<>(Map.of("memory", "64")),
        Arrays.stream(images).map(i -> Digest.of(i.getBytes(StandardCharsets.UTF_8))).toList());
  }

  private static byte[] noise(int seed, int bytes) {
    byte[] noise = new byte[bytes];
    new Random(seed).nextBytes(noise);
    return noise;
  }

  private static InputStream stream(byte[] content) {
    return new ByteArrayInputStream(content);
  }

  private SnapshotLayer base(SnapshotKey key, byte[] memory) throws IOException {
    try (SnapshotBuilder builder = store.base(key, "suite")) {
      builder.memory(0, ByteBuffer.wrap(memory));
      builder.blob("state", stream("state".getBytes(StandardCharsets.UTF_8)));
      return builder.publish();
    }
  }

  private SnapshotLayer diff(SnapshotLayer parent, SnapshotKey key, long address, byte[] memory) throws IOException {
    try (SnapshotBuilder builder = store.diff(parent.id(), key, "suite")) {
      builder.memory(address, ByteBuffer.wrap(memory));
      builder.blob("state", stream("changed".getBytes(StandardCharsets.UTF_8)));
      return builder.publish();
    }
  }

  private static byte[] read(OpenLayer layer) {
    byte[] memory = new byte[(int) layer.layer().memoryBytes()];
    layer.read(0, ByteBuffer.wrap(memory));
    return memory;
  }

  private static void fails(ErrorCode code, Executable action) {
    InstarException failure = assertThrows(InstarException.class, action);
    assertEquals(code, failure.code(), failure::getMessage);
  }

  @Test
  void aBaseReadsBackAsItWasPublished() throws Exception {
    byte[] low = noise(1, 3 * SnapshotStore.CHUNK_BYTES + 100);
    byte[] high = noise(2, PAGE);
    SnapshotLayer layer;
    try (SnapshotBuilder builder = store.base(KEY, "the suite")) {
      builder.memory(PAGE, ByteBuffer.wrap(low));
      builder.memory(1L << 32, ByteBuffer.wrap(high));
      builder.blob("state", stream(noise(3, 100_000)));
      builder.blob("working-set", stream(new byte[0]));
      layer = builder.publish();
    }
    assertTrue(layer.isBase());
    assertEquals(KEY, layer.key());
    assertEquals("the suite", layer.creator());
    long second = (low.length + PAGE - 1L) / PAGE * PAGE;
    assertEquals(List.of(new Extent(0, low.length, PAGE), new Extent(second, PAGE, 1L << 32)), layer.extents());
    assertEquals(layer, store.find(KEY).orElseThrow());
    assertEquals(layer, store.inspect(layer.id()).orElseThrow().layer());
    try (SnapshotLease lease = store.open(layer.id(), KEY)) {
      assertEquals(1, lease.layers().size());
      OpenLayer open = lease.layers().getFirst();
      open.verify(0, layer.memoryBytes());
      byte[] flat = Files.readAllBytes(open.memory());
      assertEquals(layer.memoryBytes(), flat.length);
      assertArrayEquals(low, Arrays.copyOf(flat, low.length));
      assertArrayEquals(high, Arrays.copyOfRange(flat, (int) second, flat.length));
      assertArrayEquals(flat, read(open));
      ByteBuffer part = ByteBuffer.allocate(10);
      open.read(SnapshotStore.CHUNK_BYTES - 5, part);
      assertArrayEquals(Arrays.copyOfRange(low, SnapshotStore.CHUNK_BYTES - 5, SnapshotStore.CHUNK_BYTES + 5), part.array());
      assertArrayEquals(noise(3, 100_000), Files.readAllBytes(open.blob("state")));
      assertEquals(0, Files.size(open.blob("working-set")));
      fails(ErrorCode.SNAPSHOT_NOT_FOUND, () -> open.blob("other"));
      fails(ErrorCode.BAD_REQUEST, () -> open.read(layer.memoryBytes() - 1, ByteBuffer.allocate(2)));
      assertFalse(Files.getPosixFilePermissions(open.memory()).stream().anyMatch(p -> p.name().endsWith("WRITE")));
    }
  }

  @Test
  void whatIsNotPublishedLeavesNothing() throws Exception {
    long kept = filesKept();
    try (SnapshotBuilder builder = store.base(KEY, "suite")) {
      builder.memory(0, ByteBuffer.wrap(noise(1, PAGE)));
      builder.blob("state", stream(noise(2, 10)));
      fails(ErrorCode.BAD_REQUEST, () -> builder.blob("../state", stream(new byte[1])));
      fails(ErrorCode.BAD_REQUEST, () -> builder.blob("state", stream(new byte[1])));
    }
    assertTrue(store.find(KEY).isEmpty());
    assertEquals(List.of(), store.list());
    assertEquals(kept, filesKept());
  }

  @Test
  void memoryThatLiesTogetherIsOneExtentAndZerosTakeNoRoom() throws Exception {
    byte[] zeros = new byte[64 * SnapshotStore.CHUNK_BYTES];
    SnapshotLayer layer;
    try (SnapshotBuilder builder = store.base(KEY, "suite")) {
      builder.memory(0, ByteBuffer.wrap(noise(1, PAGE)));
      builder.memory(PAGE, ByteBuffer.wrap(zeros));
      builder.memory(PAGE + zeros.length, ByteBuffer.wrap(noise(2, PAGE)));
      layer = builder.publish();
    }
    assertEquals(List.of(new Extent(0, zeros.length + 2L * PAGE, 0)), layer.extents());
    assertTrue(store.inspect(layer.id()).orElseThrow().storedBytes() < zeros.length / 2);
    try (SnapshotLease lease = store.open(layer.id(), KEY)) {
      assertArrayEquals(zeros, Arrays.copyOfRange(read(lease.layers().getFirst()), PAGE, PAGE + zeros.length));
    }
  }

  @Test
  void memoryComesOutOfAFile() throws Exception {
    byte[] content = noise(1, 5 * SnapshotStore.CHUNK_BYTES + 77);
    Arrays.fill(content, SnapshotStore.CHUNK_BYTES, 3 * SnapshotStore.CHUNK_BYTES, (byte) 0);
    Path file = Files.write(sources.resolve("memory"), content);
    SnapshotLayer layer;
    try (SnapshotBuilder builder = store.base(KEY, "suite"); FileChannel source = FileChannel.open(file)) {
      assertThrows(IOException.class, () -> builder.memory(0, source, 1, content.length));
      builder.memory(0, source, PAGE, content.length - PAGE);
      layer = builder.publish();
    }
    Files.write(file, new byte[content.length]);
    try (SnapshotLease lease = store.open(layer.id(), KEY)) {
      assertArrayEquals(Arrays.copyOfRange(content, PAGE, content.length), read(lease.layers().getFirst()));
    }
  }

  @Test
  void memoryHasToBeAlignedAndGivenOnce() throws Exception {
    try (SnapshotBuilder builder = store.base(KEY, "suite")) {
      fails(ErrorCode.BAD_REQUEST, () -> builder.memory(1, ByteBuffer.wrap(noise(1, PAGE))));
      fails(ErrorCode.BAD_REQUEST, () -> builder.memory(-PAGE, ByteBuffer.wrap(noise(1, PAGE))));
      builder.memory(2 * PAGE, ByteBuffer.wrap(noise(1, PAGE)));
      builder.memory(PAGE, ByteBuffer.wrap(noise(1, PAGE + 1)));
      fails(ErrorCode.BAD_REQUEST, builder::publish);
    }
    assertEquals(List.of(), store.list());
  }

  @Test
  void theNewestOfAKeyIsFound() throws Exception {
    base(KEY, noise(1, PAGE));
    Thread.sleep(2);
    SnapshotLayer second = base(KEY, noise(2, PAGE));
    assertEquals(second, store.find(KEY).orElseThrow());
    assertTrue(store.find(key("2", "one")).isEmpty());
    assertTrue(store.find(key("1", "two")).isEmpty());
    assertEquals(second, store.list().getFirst().layer());
    assertEquals(2, store.list().size());
  }

  @Test
  void aLayerOfAnotherKeyIsNotOpened() throws Exception {
    SnapshotLayer layer = base(KEY, noise(1, PAGE));
    fails(ErrorCode.SNAPSHOT_MISMATCH, () -> store.open(layer.id(), key("2", "one")));
    fails(ErrorCode.SNAPSHOT_NOT_FOUND, () -> store.open(Digest.of(new byte[0]), KEY));
    assertTrue(store.remove(layer.id()), "a refused open must not leave it open");
  }

  @Test
  void aDiffLiesOnItsParents() throws Exception {
    SnapshotLayer base = base(KEY, noise(1, 4 * PAGE));
    byte[] zero = new byte[PAGE];
    SnapshotLayer first = diff(base, key("1", "one", "two"), PAGE, zero);
    byte[] content = noise(2, SnapshotStore.CHUNK_BYTES + 1);
    SnapshotLayer second = diff(first, key("1", "one", "two"), 1 << 20, content);
    assertEquals(first.id(), second.parent().orElseThrow());
    try (SnapshotLease lease = store.open(second.id(), second.key())) {
      assertEquals(List.of(base, first, second), lease.layers().stream().map(OpenLayer::layer).toList());
      assertArrayEquals(zero, read(lease.layers().get(1)));
      assertArrayEquals(content, read(lease.layers().get(2)));
      assertArrayEquals("changed".getBytes(StandardCharsets.UTF_8), Files.readAllBytes(lease.layers().get(2).blob("state")));
      fails(ErrorCode.CONFLICT, () -> lease.layers().get(2).memory());
    }
  }

  @Test
  void aDiffOfAnotherMachineIsRefused() throws Exception {
    SnapshotLayer base = base(KEY, noise(1, PAGE));
    fails(ErrorCode.SNAPSHOT_MISMATCH, () -> store.diff(base.id(), key("2", "one", "two"), "suite"));
    fails(ErrorCode.SNAPSHOT_MISMATCH, () -> store.diff(base.id(), key("1", "two"), "suite"));
    fails(ErrorCode.SNAPSHOT_NOT_FOUND, () -> store.diff(Digest.of(new byte[0]), KEY, "suite"));
    assertTrue(store.remove(base.id()), "a refused diff must not leave its parent open");
  }

  @Test
  void aDiffIsCompressedAndKeepsEqualChunksOnce() throws Exception {
    SnapshotLayer base = base(KEY, noise(1, PAGE));
    byte[] same = new byte[32 * SnapshotStore.CHUNK_BYTES];
    for (int i = 0; i < 32; i++) {
      System.arraycopy(noise(2, SnapshotStore.CHUNK_BYTES), 0, same, i * SnapshotStore.CHUNK_BYTES, SnapshotStore.CHUNK_BYTES);
    }
    SnapshotLayer layer = diff(base, KEY, 0, same);
    assertTrue(store.inspect(layer.id()).orElseThrow().storedBytes() < 3 * SnapshotStore.CHUNK_BYTES);
    byte[] text = "the same words again and again ".repeat(8000).getBytes(StandardCharsets.UTF_8);
    assertTrue(store.inspect(diff(base, KEY, 0, text).id()).orElseThrow().storedBytes() < text.length / 4);
    try (SnapshotLease lease = store.open(layer.id(), KEY)) {
      assertArrayEquals(same, read(lease.layers().getLast()));
    }
  }

  @Test
  void whatWasPublishedIsThereAfterARestart() throws Exception {
    SnapshotLayer base = base(KEY, noise(1, 3 * PAGE));
    SnapshotLayer diff = diff(base, key("1", "one", "two"), 0, noise(2, PAGE));
    store.hold(diff.id(), "u/f/1");
    store = reopened();
    assertEquals(base, store.find(KEY).orElseThrow());
    assertEquals(diff, store.find(diff.key()).orElseThrow());
    assertEquals(Set.of("u/f/1"), store.inspect(diff.id()).orElseThrow().users());
    store.verify(diff.id());
    try (SnapshotLease lease = store.open(diff.id(), diff.key())) {
      assertArrayEquals(noise(1, 3 * PAGE), Files.readAllBytes(lease.layers().getFirst().memory()));
      assertArrayEquals(noise(2, PAGE), read(lease.layers().getLast()));
    }
  }

  @Test
  void whatIsOpenIsNeitherCollectedNorRemoved() throws Exception {
    SnapshotLayer base = base(KEY, noise(1, PAGE));
    SnapshotLayer diff = diff(base, KEY, 0, noise(2, PAGE));
    SnapshotLease lease = store.open(diff.id(), KEY);
    assertEquals(1, store.inspect(base.id()).orElseThrow().leases());
    fails(ErrorCode.CONFLICT, () -> store.remove(diff.id()));
    fails(ErrorCode.CONFLICT, () -> store.remove(base.id()));
    assertEquals(List.of(), store.collect(NOTHING_STAYS).removed());
    assertArrayEquals(noise(1, PAGE), Files.readAllBytes(lease.layers().getFirst().memory()));
    lease.close();
    lease.close();
    assertEquals(0, store.inspect(base.id()).orElseThrow().leases());
    assertEquals(List.of(diff.id(), base.id()), store.collect(NOTHING_STAYS).removed());
    assertEquals(List.of(), store.list());
  }

  @Test
  void aLayerIsNotRemovedBelowAnother() throws Exception {
    SnapshotLayer base = base(KEY, noise(1, PAGE));
    SnapshotBuilder builder = store.diff(base.id(), KEY, "suite");
    fails(ErrorCode.CONFLICT, () -> store.remove(base.id()));
    builder.memory(0, ByteBuffer.wrap(noise(2, PAGE)));
    SnapshotLayer diff = builder.publish();
    fails(ErrorCode.CONFLICT, () -> store.remove(base.id()));
    store.hold(diff.id(), "user");
    assertEquals(List.of(), store.collect(UNHELD_GO).removed(), "the base is needed by a layer that is held");
    assertTrue(store.remove(diff.id()));
    assertFalse(store.remove(diff.id()));
    assertTrue(store.remove(base.id()));
  }

  @Test
  void whatNobodyHoldsGoesWithAge() throws Exception {
    SnapshotLayer held = base(KEY, noise(1, PAGE));
    SnapshotLayer free = base(KEY, noise(2, PAGE));
    store.hold(held.id(), "user");
    store.hold(held.id(), "other");
    assertEquals(List.of(), store.collect(new GcPolicy(Duration.ofHours(1), Long.MAX_VALUE)).removed());
    GcResult result = store.collect(UNHELD_GO);
    assertEquals(List.of(free.id()), result.removed());
    assertTrue(result.freedBytes() >= PAGE);
    assertEquals(store.inspect(held.id()).orElseThrow().storedBytes(), result.keptBytes());
    store.release("user");
    assertEquals(List.of(), store.collect(UNHELD_GO).removed());
    store.release("other");
    store.release("other");
    assertEquals(List.of(held.id()), store.collect(UNHELD_GO).removed());
    fails(ErrorCode.SNAPSHOT_NOT_FOUND, () -> store.hold(held.id(), "user"));
  }

  @Test
  void pastTheBudgetGoWhatNobodyHoldsFirst() throws Exception {
    SnapshotLayer held = base(KEY, noise(1, 16 * PAGE));
    SnapshotLayer free = base(KEY, noise(2, 16 * PAGE));
    store.hold(held.id(), "user");
    long one = store.inspect(held.id()).orElseThrow().storedBytes();
    Duration never = Duration.ofDays(1);
    assertEquals(List.of(free.id()), store.collect(new GcPolicy(never, one + 10)).removed());
    assertEquals(List.of(), store.collect(new GcPolicy(never, one)).removed());
    assertEquals(List.of(held.id()), store.collect(new GcPolicy(never, one - 1)).removed());
  }

  private byte[] export(SnapshotLayer layer) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    store.exportTo(layer.id(), out);
    return out.toByteArray();
  }

  @Test
  void anArchiveBringsAChainToAnotherStore() throws Exception {
    byte[] memory = noise(1, 4 * SnapshotStore.CHUNK_BYTES + 5);
    SnapshotLayer base = base(KEY, memory);
    SnapshotLayer diff = diff(base, key("1", "one", "two"), 0, Arrays.copyOf(memory, 2 * SnapshotStore.CHUNK_BYTES));
    byte[] archive = export(diff);
    assertTrue(archive.length < memory.length + SnapshotStore.CHUNK_BYTES, "a chunk of the base is in the archive again");
    store = emptyStore();
    assertEquals(diff, store.importFrom(stream(archive)));
    assertEquals(2, store.list().size());
    assertEquals(diff, store.importFrom(stream(archive)));
    assertEquals(2, store.list().size());
    store.verify(diff.id());
    try (SnapshotLease lease = store.open(diff.id(), diff.key())) {
      assertArrayEquals(memory, Files.readAllBytes(lease.layers().getFirst().memory()));
      assertArrayEquals(Arrays.copyOf(memory, 2 * SnapshotStore.CHUNK_BYTES), read(lease.layers().getLast()));
    }
    assertArrayEquals(archive, export(diff));
    store = reopened();
    assertEquals(diff, store.find(diff.key()).orElseThrow());
  }

  @Test
  void anArchiveThatIsCutOffIsRefusedAndLeavesNothing() throws Exception {
    byte[] archive = export(diff(base(KEY, noise(1, 2 * PAGE)), KEY, 0, noise(2, PAGE)));
    store = emptyStore();
    long kept = filesKept();
    for (int length = 0; length < archive.length; length += 1 + archive.length / 97) {
      byte[] cut = Arrays.copyOf(archive, length);
      fails(ErrorCode.ARCHIVE_REFUSED, () -> store.importFrom(stream(cut)));
    }
    fails(ErrorCode.ARCHIVE_REFUSED, () -> store.importFrom(stream(Arrays.copyOf(archive, archive.length - 1))));
    fails(ErrorCode.ARCHIVE_REFUSED, () -> store.importFrom(stream(Arrays.copyOf(archive, archive.length + 1))));
    assertEquals(List.of(), store.list());
    assertEquals(kept, filesKept());
  }

  @Test
  void anArchiveWithAWrongBitIsRefusedAndLeavesNothing() throws Exception {
    byte[] archive = export(diff(base(KEY, noise(1, 2 * PAGE)), KEY, 0, noise(2, PAGE)));
    store = emptyStore();
    long kept = filesKept();
    for (int at = 0; at < archive.length; at += 1 + archive.length / 97) {
      byte[] wrong = archive.clone();
      wrong[at] ^= 1 << at % 8;
      fails(ErrorCode.ARCHIVE_REFUSED, () -> store.importFrom(stream(wrong)));
    }
    assertEquals(List.of(), store.list());
    assertEquals(kept, filesKept());
  }

  private static void flip(Path file, int at) throws IOException {
    byte[] content = Files.readAllBytes(file);
    content[at] ^= 1;
    overwrite(file, content);
  }

  private static void overwrite(Path file, byte[] content) throws IOException {
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-------"));
    Files.write(file, content);
  }

  private interface Damage {
    void to(Path file) throws IOException;
  }

  /** Each file of a base and of a diff is damaged; each time somebody has to notice, by name, and everything has to work when it is made anew. */
  private void eachFileDamaged(Damage damage, boolean restart) throws Exception {
    Set<String> seen = new HashSet<>();
    for (boolean more = true; more;) {
      SnapshotLayer base = base(KEY, noise(1, 2 * SnapshotStore.CHUNK_BYTES));
      SnapshotLayer diff = diff(base, key("1", "one", "two"), 0, noise(2, PAGE));
      List<Path> files = new ArrayList<>(files(base.id()));
      files.addAll(files(diff.id()));
      Path chosen = files.stream().filter(f -> !seen.contains(name(f, base))).findFirst().orElseThrow();
      seen.add(name(chosen, base));
      more = seen.size() < files.size();
      boolean ofBase = files(base.id()).contains(chosen);
      damage.to(chosen);
      if (restart) {
        store = reopened();
      }
      InstarException noticed = assertThrows(InstarException.class, () -> store.verify(diff.id()), () -> "nobody noticed the damage to " + chosen);
      assertTrue(noticed.code() == ErrorCode.DAMAGED || noticed.code() == ErrorCode.SNAPSHOT_NOT_FOUND, noticed::getMessage);
      assertEquals((ofBase ? base : diff).id().value(), noticed.problem().members().get("layer"));
      assertTrue(store.find(diff.key()).isEmpty());
      assertEquals(!ofBase, store.find(KEY).isPresent());
      fails(ErrorCode.SNAPSHOT_NOT_FOUND, () -> store.open(diff.id(), diff.key()));
      store.collect(NOTHING_STAYS);
      assertEquals(List.of(), store.list());
    }
    base(KEY, noise(1, PAGE));
    assertTrue(store.find(KEY).isPresent());
  }

  private static String name(Path file, SnapshotLayer base) {
    return file.toString().contains(base.id().hex()) ? "base " + file.getFileName() : "diff " + file.getFileName();
  }

  @Test
  void aWrongBitInAnyFileIsNoticed() throws Exception {
    eachFileDamaged(file -> flip(file, (int) (Files.size(file) / 2)), false);
  }

  @Test
  void aWrongBitInAnyFileIsNoticedAfterARestart() throws Exception {
    eachFileDamaged(file -> flip(file, 0), true);
  }

  @Test
  void aFileThatIsCutOffIsNoticed() throws Exception {
    eachFileDamaged(file -> overwrite(file, Arrays.copyOf(Files.readAllBytes(file), (int) Files.size(file) - 1)), false);
  }

  @Test
  void aFileThatIsGoneIsNoticed() throws Exception {
    eachFileDamaged(Files::delete, true);
  }

  @Test
  void damageIsNoticedWhereItIsRead() throws Exception {
    SnapshotLayer layer = base(KEY, noise(1, 4 * SnapshotStore.CHUNK_BYTES));
    try (SnapshotLease lease = store.open(layer.id(), KEY)) {
      OpenLayer open = lease.layers().getFirst();
      flip(open.memory(), 2 * SnapshotStore.CHUNK_BYTES + 1);
      open.verify(0, 2 * SnapshotStore.CHUNK_BYTES);
      open.read(3 * SnapshotStore.CHUNK_BYTES, ByteBuffer.allocate(10));
      assertTrue(store.find(KEY).isPresent());
      fails(ErrorCode.DAMAGED, () -> open.read(2 * SnapshotStore.CHUNK_BYTES, ByteBuffer.allocate(1)));
      assertTrue(store.find(KEY).isEmpty());
    }
    SnapshotLayer again = base(KEY, noise(1, 4 * SnapshotStore.CHUNK_BYTES));
    assertEquals(again, store.find(KEY).orElseThrow());
  }

  @Test
  void damageToABlobIsNoticedBeforeItIsGiven() throws Exception {
    SnapshotLayer layer = base(KEY, noise(1, PAGE));
    try (SnapshotLease lease = store.open(layer.id(), KEY)) {
      for (Path file : files(layer.id())) {
        if (Files.size(file) == "state".length()) {
          flip(file, 2);
        }
      }
      fails(ErrorCode.DAMAGED, () -> lease.layers().getFirst().blob("state"));
    }
    assertTrue(store.find(KEY).isEmpty());
  }

  @Test
  void anInterruptStopsNothing() throws Exception {
    SnapshotLayer layer;
    byte[] memory = noise(1, 2 * PAGE);
    Thread.currentThread().interrupt();
    try {
      layer = base(KEY, memory);
      assertTrue(Thread.currentThread().isInterrupted());
      try (SnapshotLease lease = store.open(layer.id(), KEY)) {
        assertArrayEquals(memory, read(lease.layers().getFirst()));
      }
      store.verify(layer.id());
      store.hold(layer.id(), "user");
      export(layer);
      assertTrue(Thread.currentThread().isInterrupted());
    } finally {
      Thread.interrupted();
    }
  }

  @Test
  void manyPublishAndCollectAtOnce() throws Exception {
    try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      List<Future<Integer>> all = new ArrayList<>();
      for (int i = 0; i < 8; i++) {
        int seed = i;
        Callable<Integer> task = () -> {
          int opened = 0;
          for (int round = 0; round < 5; round++) {
            SnapshotLayer layer = base(key("1", "image" + seed), noise(seed, 4 * PAGE));
            try (SnapshotLease lease = store.open(layer.id(), layer.key())) {
              assertArrayEquals(noise(seed, 4 * PAGE), read(lease.layers().getFirst()));
              assertArrayEquals(noise(seed, 4 * PAGE), Files.readAllBytes(lease.layers().getFirst().memory()));
              opened++;
            } catch (InstarException e) {
              assertEquals(ErrorCode.SNAPSHOT_NOT_FOUND, e.code(), "another thread collects");
            }
            store.collect(NOTHING_STAYS);
          }
          return opened;
        };
        all.add(threads.submit(task));
      }
      for (Future<Integer> one : all) {
        one.get();
      }
    }
    store.collect(NOTHING_STAYS);
    assertEquals(List.of(), store.list());
  }
}
