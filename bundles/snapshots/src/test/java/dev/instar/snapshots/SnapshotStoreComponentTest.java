package dev.instar.snapshots;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.Digest;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.data.ChecksummedDocument;
import dev.instar.api.data.DurableFiles;
import dev.instar.api.snapshot.GcPolicy;
import dev.instar.api.snapshot.SnapshotBuilder;
import dev.instar.api.snapshot.SnapshotKey;
import dev.instar.api.snapshot.SnapshotLayer;
import dev.instar.api.snapshot.SnapshotLease;
import dev.instar.data.LockedDataDirectory;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SnapshotStoreComponentTest {
  private static final SnapshotKey KEY = new SnapshotKey("toy", "1", new TreeMap<>(Map.of("a", "b")), List.of());
  private static final GcPolicy NOTHING_STAYS = new GcPolicy(Duration.ZERO, 0);

  @TempDir Path dir;
  private LockedDataDirectory data;
  private Path area;
  private SnapshotStoreComponent store;

  @BeforeEach
  void open() throws Exception {
    data = LockedDataDirectory.open(dir.resolve("data"));
    area = data.area("snapshots");
    store = store(1 << 20);
  }

  private SnapshotStoreComponent store(long budget) {
    return new SnapshotStoreComponent(data, new SnapshotStoreComponent.Limits(new GcPolicy(Duration.ofDays(1), budget), 1 << 20));
  }

  @AfterEach
  void close() {
    store.stop();
    data.close();
  }

  private static SnapshotLayer publish(SnapshotStoreComponent store, int seed, int bytes) {
    byte[] memory = new byte[bytes];
    new Random(seed).nextBytes(memory);
    try (SnapshotBuilder builder = store.base(KEY, "test")) {
      builder.memory(0, ByteBuffer.wrap(memory));
      return builder.publish();
    }
  }

  private static List<Path> list(Path directory) throws IOException {
    try (Stream<Path> entries = Files.list(directory)) {
      return entries.toList();
    }
  }

  @Test
  void whatWasHalfMadeIsSweptAtTheStart() throws Exception {
    SnapshotBuilder cut = store.base(KEY, "test");
    cut.memory(0, ByteBuffer.allocate(5000));
    Files.writeString(area.resolve("users").resolve(".x.1.tmp"), "half");
    assertEquals(1, list(area.resolve("building")).size());
    store.stop();
    store = store(1 << 20);
    assertEquals(List.of(), list(area.resolve("building")));
    assertEquals(List.of(), list(area.resolve("users")));
    assertThrows(InstarException.class, cut::publish);
    cut.close();
    assertEquals(List.of(), store.list());
  }

  @Test
  void whoComesBeforeAllIsReadWaits() {
    SnapshotLayer first = publish(store, 0, 5000);
    for (int i = 1; i < 100; i++) {
      publish(store, i, 100);
    }
    store.hold(first.id(), "somebody");
    SnapshotStoreComponent.Limits limits = new SnapshotStoreComponent.Limits(store.policy(), 1 << 20);
    store.stop();
    store = new SnapshotStoreComponent(limits, data);
    assertEquals(100, store.list().size());
    store.stop();
    store = new SnapshotStoreComponent(limits, data);
    assertEquals(Set.of("somebody"), store.inspect(first.id()).orElseThrow().users());
    store.stop();
    store = new SnapshotStoreComponent(limits, data);
    store.configure(new SnapshotStoreComponent.Limits(NOTHING_STAYS, 1 << 20));
    assertEquals(List.of(), store.list());
  }

  @Test
  void oneThatIsStoppedAtOnceLetsTheAreaGo() throws Exception {
    publish(store, 1, 5000);
    store.stop();
    new SnapshotStoreComponent(new SnapshotStoreComponent.Limits(store.policy(), 1 << 20), data).stop();
    Files.createDirectory(area.resolve("building").resolve("left"));
    store = store(1 << 20);
    assertEquals(List.of(), list(area.resolve("building")));
    assertEquals(1, store.list().size());
  }

  @Test
  void theOlderOneIsFoundWhenTheNewerHasGone() {
    SnapshotLayer first = publish(store, 1, 5000);
    SnapshotLayer second = publish(store, 2, 5000);
    store.stop();
    store = store(1 << 20);
    assertEquals(second, store.find(KEY).orElseThrow());
    store.remove(second.id());
    assertEquals(first, store.find(KEY).orElseThrow());
    store.remove(first.id());
    assertTrue(store.find(KEY).isEmpty());
    SnapshotLayer third = publish(store, 3, 5000);
    assertEquals(third, store.find(KEY).orElseThrow());
  }

  @Test
  void aStrangerAmongTheLayersIsSetAsideAtTheStart() throws Exception {
    SnapshotLayer layer = publish(store, 1, 5000);
    store.stop();
    Files.writeString(area.resolve("layers").resolve("readme"), "stranger");
    Files.createDirectory(area.resolve("layers").resolve("empty"));
    Path renamed = area.resolve("layers").resolve(Digest.of(new byte[0]).hex());
    Files.createDirectory(renamed);
    Files.copy(area.resolve("layers").resolve(layer.id().hex()).resolve(StoredLayer.MANIFEST), renamed.resolve(StoredLayer.MANIFEST));
    store = store(1 << 20);
    assertEquals(List.of(layer), store.list().stream().map(i -> i.layer()).toList());
    assertEquals(1, list(area.resolve("layers")).size());
    assertEquals(3, list(area.resolve("damaged")).size());
  }

  @Test
  void nobodyHoldsWhatIsNoLongerThereAtTheStart() throws Exception {
    SnapshotLayer cut = publish(store, 1, 5000);
    SnapshotLayer whole = publish(store, 2, 5000);
    store.hold(cut.id(), "user");
    store.hold(whole.id(), "user");
    store.stop();
    Files.delete(area.resolve("layers").resolve(cut.id().hex()).resolve(StoredLayer.MEMORY));
    // A removal that a crash has cut.
    Files.writeString(area.resolve("users").resolve(Digest.of(new byte[0]).hex()), "left");
    store = store(1 << 20);
    assertEquals(Set.of("user"), store.inspect(whole.id()).orElseThrow().users());
    assertEquals(List.of(area.resolve("users").resolve(whole.id().hex())), list(area.resolve("users")));
  }

  @Test
  void aLinkInTheLayersPlaceIsNotFollowed() throws Exception {
    SnapshotLayer layer = publish(store, 1, 5000);
    Path memory = area.resolve("layers").resolve(layer.id().hex()).resolve(StoredLayer.MEMORY);
    Path elsewhere = dir.resolve("elsewhere");
    Files.move(memory, elsewhere);
    Files.createSymbolicLink(memory, elsewhere);
    store.stop();
    store = store(1 << 20);
    assertTrue(store.find(KEY).isEmpty());
  }

  @Test
  void onlyTheNewestDamagedOnesAreKept() throws Exception {
    for (int i = 0; i < 12; i++) {
      SnapshotLayer layer = publish(store, i, 5000);
      Path memory = area.resolve("layers").resolve(layer.id().hex()).resolve(StoredLayer.MEMORY);
      Files.setPosixFilePermissions(memory, PosixFilePermissions.fromString("rw-------"));
      Files.write(memory, new byte[5000]);
      InstarException damaged = assertThrows(InstarException.class, () -> store.verify(layer.id()));
      assertEquals(ErrorCode.DAMAGED, damaged.code());
    }
    assertEquals(8, list(area.resolve("damaged")).size());
  }

  @Test
  void aLeaseOfADamagedLayerStaysOpen() throws Exception {
    SnapshotLayer layer = publish(store, 1, 2 * Chunks.SIZE);
    try (SnapshotLease lease = store.open(layer.id(), KEY)) {
      Path memory = lease.layers().getFirst().memory();
      try (var channel = FileChannel.open(memory)) {
        var mapped = channel.map(FileChannel.MapMode.READ_ONLY, 0, layer.memoryBytes());
        byte first = mapped.get(0);
        Files.setPosixFilePermissions(memory, PosixFilePermissions.fromString("rw-------"));
        byte[] content = Files.readAllBytes(memory);
        content[Chunks.SIZE] ^= 1;
        Files.write(memory, content);
        assertThrows(InstarException.class, () -> store.verify(layer.id()));
        assertEquals(first, mapped.get(0));
      }
    }
    assertEquals(0, store.list().size());
  }

  @Test
  void publicationKeepsTheBudgetButNotAtItsOwnCost() {
    store.stop();
    store = store(20_000);
    SnapshotLayer first = publish(store, 1, 12_000);
    SnapshotLayer second = publish(store, 2, 12_000);
    assertEquals(List.of(second), store.list().stream().map(i -> i.layer()).toList());
    assertTrue(store.inspect(first.id()).isEmpty());
  }

  @Test
  void aSmallerBudgetCountsAtOnce() {
    publish(store, 1, 300_000);
    SnapshotLayer newest = publish(store, 2, 300_000);
    store.configure(new SnapshotStoreComponent.Limits(new GcPolicy(Duration.ofDays(1), 400_000), 1 << 20));
    assertEquals(List.of(newest.id()), store.list().stream().map(info -> info.layer().id()).toList());
  }

  @Test
  void anAreaThatSomebodyHasDeletedIsMadeAgain() throws Exception {
    publish(store, 1, 5000);
    DurableFiles.deleteTree(area);
    SnapshotLayer next = publish(store, 2, 5000);
    store.hold(next.id(), "me");
    store.stop();
    store = store(1 << 20);
    assertEquals(List.of(next.id()), store.list().stream().map(info -> info.layer().id()).toList());
    assertEquals(Set.of("me"), store.list().getFirst().users());
  }

  @Test
  void theNewerOfTwoGenerationsCollectsOnceTheOlderHasStopped() {
    SnapshotLayer layer = publish(store, 1, 5000);
    SnapshotStoreComponent newer = store(1 << 20);
    try {
      assertEquals(List.of(), newer.collect(NOTHING_STAYS).removed());
      SnapshotLayer other = publish(store, 2, 5000);
      newer.open(other.id(), KEY).close();
      store.stop();
      assertEquals(Set.of(layer.id(), other.id()), Set.copyOf(newer.collect(NOTHING_STAYS).removed()));
    } finally {
      newer.stop();
    }
  }

  @Test
  void oneThatHasStoppedDoesNotCollectAgain() {
    publish(store, 1, 5000);
    store.stop();
    // A checkpoint that was under way when the bundle stopped.
    publish(store, 2, 5000);
    store = store(1 << 20);
    assertEquals(2, store.collect(NOTHING_STAYS).removed().size());
  }

  @Test
  void usersThatCannotBeReadAreForgotten() throws Exception {
    SnapshotLayer layer = publish(store, 1, 5000);
    Path users = area.resolve("users").resolve(layer.id().hex());
    for (String document : List.of("", "{}", "[null]", "null", "[\"user\"")) {
      store.hold(layer.id(), "user");
      store.stop();
      if (document.isEmpty()) {
        Files.writeString(users, "cut off");
      } else {
        ChecksummedDocument.write(users, document.getBytes(StandardCharsets.UTF_8));
      }
      store = store(1 << 20);
      assertEquals(Set.of(), store.inspect(layer.id()).orElseThrow().users());
    }
    assertThrows(InstarException.class, () -> store.hold(layer.id(), "line\nbreak"));
    store.release("user");
  }

  @Test
  void aLayerThatCannotBeReadDoesNotKeepTheOthersAway() throws Exception {
    SnapshotLayer bad = publish(store, 1, 5000);
    SnapshotLayer good = publish(store, 2, 5000);
    store.stop();
    Files.createDirectory(area.resolve("users").resolve(bad.id().hex()));
    store = store(1 << 20);
    assertEquals(List.of(good), store.list().stream().map(i -> i.layer()).toList());
    Files.delete(area.resolve("users").resolve(bad.id().hex()));
    store.verify(bad.id());
    assertEquals(2, store.list().size());
  }

  @Test
  void aSourceThatFailsIsNoFaultOfTheStore() throws Exception {
    try (SnapshotBuilder builder = store.base(KEY, "test")) {
      InputStream broken = new InputStream() {
        @Override
        public int read() throws IOException {
          throw new IOException("the upload was cut");
        }
      };
      assertEquals("the upload was cut", assertThrows(IOException.class, () -> builder.blob("state", broken)).getMessage());
    }
    assertEquals(List.of(), list(area.resolve("building")));
    assertThrows(IOException.class, () -> store.importFrom(new InputStream() {
      @Override
      public int read() throws IOException {
        throw new IOException("the upload was cut");
      }
    }));
  }

  @Test
  void holesStayHolesOnTheDisk() throws Exception {
    byte[] memory = new byte[16 << 20];
    memory[8 << 20] = 1;
    SnapshotLayer layer;
    try (SnapshotBuilder builder = store.base(KEY, "test")) {
      builder.memory(0, ByteBuffer.wrap(memory));
      layer = builder.publish();
    }
    try (SnapshotLease lease = store.open(layer.id(), KEY)) {
      Path file = lease.layers().getFirst().memory();
      assertEquals(memory.length, Files.size(file));
      Process du = new ProcessBuilder("du", "-k", file.toString()).start();
      int kib = Integer.parseInt(new String(du.getInputStream().readAllBytes(), StandardCharsets.US_ASCII).split("\\s")[0]);
      assertEquals(0, du.waitFor());
      assertTrue(kib < 1024, () -> kib + " KiB are allocated");
      assertArrayEquals(memory, Files.readAllBytes(file));
    }
  }

  @Test
  void aBuilderIsUsedOnce() throws Exception {
    SnapshotBuilder builder = store.base(KEY, "test");
    builder.publish();
    assertEquals(ErrorCode.CONFLICT, assertThrows(InstarException.class, builder::publish).code());
    assertEquals(ErrorCode.CONFLICT,
        assertThrows(InstarException.class, () -> builder.blob("state", new ByteArrayInputStream(new byte[1]))).code());
    builder.close();
    assertEquals(1, store.list().size());
  }

  @Test
  void keysDifferInEachPart() {
    Digest one = Digest.of(new byte[] {1});
    Digest two = Digest.of(new byte[] {2});
    List<SnapshotKey> keys = List.of(KEY, new SnapshotKey("toy2", "1", KEY.machine(), List.of()), new SnapshotKey("toy", "2", KEY.machine(), List.of()),
        new SnapshotKey("toy", "1", new TreeMap<>(Map.of("a", "c")), List.of()), new SnapshotKey("toy", "1", new TreeMap<>(Map.of("ab", "")), List.of()),
        new SnapshotKey("toy", "1", KEY.machine(), List.of(one, two)), new SnapshotKey("toy", "1", KEY.machine(), List.of(two, one)));
    assertEquals(keys.size(), keys.stream().map(SnapshotKey::digest).distinct().count());
    assertEquals(KEY.digest(), new SnapshotKey("toy", "1", new TreeMap<>(Map.of("a", "b")), Arrays.asList()).digest());
    assertThrows(InstarException.class, () -> new SnapshotKey("", "1", KEY.machine(), List.of()));
  }

  @Test
  void chainsHaveAnEnd() {
    SnapshotLayer top = publish(store, 1, 100);
    for (int i = 1; i < Archive.MAX_LAYERS; i++) {
      try (SnapshotBuilder builder = store.diff(top.id(), KEY, "test")) {
        top = builder.publish();
      }
    }
    Digest last = top.id();
    assertEquals(ErrorCode.CONFLICT, assertThrows(InstarException.class, () -> store.diff(last, KEY, "test")).code());
    assertFalse(store.collect(NOTHING_STAYS).removed().isEmpty());
    assertEquals(List.of(), store.list());
  }
}
