package dev.instar.backend.wasm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.Digest;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.function.FunctionName;
import dev.instar.api.function.FunctionSpec;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.function.Image;
import dev.instar.api.function.Limits;
import dev.instar.api.function.SnapshotPolicy;
import dev.instar.api.function.Variant;
import dev.instar.api.sandbox.Checkpointable;
import dev.instar.api.sandbox.PrepareRequest;
import dev.instar.api.sandbox.PreparedFunction;
import dev.instar.api.sandbox.Sandbox;
import dev.instar.api.snapshot.OpenLayer;
import dev.instar.api.snapshot.SnapshotBuilder;
import dev.instar.api.snapshot.SnapshotInfo;
import dev.instar.api.snapshot.SnapshotKey;
import dev.instar.api.snapshot.SnapshotLayer;
import dev.instar.api.snapshot.SnapshotLease;
import dev.instar.api.snapshot.SnapshotStore;
import dev.instar.tck.capability.RequiresCapability;
import dev.instar.wasi.guest.StoredState;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Initialised functions that outlive the node; and what is left of them when the store fails, which must be a function that works. */
@RequiresCapability("wabt")
class StoredStateTest {
  /**
   * Initialised, it has 'i' at the address 40000 of a memory that has grown, 18 in a global, a function in a table that has grown, and two segments left
   * of four. It answers with what it finds, and writes over it.
   */
  private static final byte[] MODULE = Wat.compile("""
      (module
        (type $r (func (result i32)))
        (memory (export "memory") 1 100)
        (global $g (mut i32) (i32.const 8)) (global $big (mut i64) (i64.const 0))
        (table $t 2 20 funcref)
        (elem (i32.const 0) $five)
        (elem $gone funcref (ref.func $seven))
        (elem $left funcref (ref.func $seven))
        (data (i32.const 300) "data")
        (data $dropped "D")
        (data $kept "S")
        (func $five (result i32) (i32.const 5))
        (func $seven (result i32) (i32.const 7))
        (func (export "_initialize")
          (i32.store8 (i32.const 40000) (i32.const 105))
          (drop (memory.grow (i32.const 1)))
          (i32.store8 (i32.const 100000) (i32.const 106))
          (drop (table.grow $t (ref.null func) (i32.const 3)))
          (table.set $t (i32.const 4) (ref.func $seven))
          (global.set $big (i64.const -123456789012345))
          (data.drop $dropped) (elem.drop $gone))
        (func (export "_faasm_zygote") (result i32)
          (global.set $g (i32.add (global.get $g) (i32.const 10))) (i32.const 0))
        (func (export "exec") (param $m i32) (result i32) (local $o i32)
          (local.set $o (i32.load offset=4 (local.get $m)))
          (i32.store offset=24 (local.get $m) (i32.const 8))
          (i32.store8 offset=0 (local.get $o) (i32.load8_u (i32.const 40000)))
          (i32.store8 offset=1 (local.get $o) (i32.load8_u (i32.const 100000)))
          (i32.store8 offset=2 (local.get $o) (global.get $g))
          (i32.store8 offset=3 (local.get $o) (table.size $t))
          (i32.store8 offset=4 (local.get $o) (call_indirect (type $r) (i32.const 4)))
          (i32.store8 offset=5 (local.get $o) (i64.eq (global.get $big) (i64.const -123456789012345)))
          (memory.init $kept (i32.const 100) (i32.const 0) (i32.const 1))
          (i32.store8 offset=6 (local.get $o) (i32.load8_u (i32.const 100)))
          (table.init $t $left (i32.const 2) (i32.const 0) (i32.const 1))
          (i32.store8 offset=7 (local.get $o) (call_indirect (type $r) (i32.const 2)))
          (memory.fill (i32.const 0) (i32.const 67) (i32.const 65536))
          (global.set $g (i32.const 99)) (data.drop $kept) (elem.drop $left)
          (drop (memory.grow (i32.const 2)))
          (i32.const 0)))""");
  private static final byte[] ANSWER = {'i', 'j', 18, 5, 7, 1, 'S', 7};
  private static final String FRESH = "once, by _initialize, _faasm_zygote";
  private static final String NOT_RUN = "from the snapshot";

  @TempDir
  Path directory;
  private TestStore store;
  private TestNode node;

  @BeforeEach
  void open() {
    store = new TestStore(directory);
    node = node(store.store());
  }

  @AfterEach
  void close() {
    node.close();
    assertEquals(0, node.backend.guestMemory());
    assertTrue(store.store().list().stream().allMatch(layer -> layer.leases() == 0), "a layer is open that nobody uses");
    store.close();
  }

  private TestNode node(SnapshotStore offered) {
    TestNode made = new TestNode(directory);
    made.backend.snapshots = offered;
    return made;
  }

  /** The node starts anew on what it has stored. */
  private void restart() {
    close();
    open();
  }

  private SnapshotInfo only() {
    List<SnapshotInfo> all = store.store().list();
    assertEquals(1, all.size(), all::toString);
    return all.getFirst();
  }

  private Path file(String name) {
    return directory.resolve("snapshots/layers").resolve(only().layer().id().hex()).resolve(name);
  }

  private static void checkpoint(PreparedFunction prepared) {
    try {
      ((Checkpointable) prepared).checkpoint();
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  /** That it is what its module makes of itself, with calls one after the other and beside each other. */
  private static void works(PreparedFunction prepared) {
    try (Sandbox one = TestNode.start(prepared); Sandbox other = TestNode.start(prepared)) {
      for (int i = 0; i < 6; i++) {
        assertArrayEquals(ANSWER, TestNode.call(i % 3 == 0 ? other : one, "call " + i).good().output(), "call " + i);
      }
    }
  }

  private void store() {
    try (PreparedFunction prepared = node.prepare(MODULE)) {
      assertEquals("not stored yet", prepared.describe().get("snapshot"));
      assertEquals(FRESH, prepared.describe().get("initialised"));
      checkpoint(prepared);
      assertEquals("stored as " + only().layer().id(), prepared.describe().get("snapshot"));
      works(prepared);
    }
  }

  private void isRestored() {
    try (PreparedFunction prepared = node.prepare(MODULE)) {
      assertEquals(NOT_RUN, prepared.describe().get("initialised"));
      assertTrue(prepared.describe().get("snapshot").startsWith("restored from sha256:"), prepared.describe()::toString);
      works(prepared);
    }
  }

  /** It is initialised in spite of what is stored, and can be stored again. */
  private void isInitialisedAnew() {
    try (PreparedFunction prepared = node.prepare(MODULE)) {
      assertEquals(FRESH, prepared.describe().get("initialised"));
      assertEquals("not stored yet", prepared.describe().get("snapshot"));
      works(prepared);
      node.backend.snapshots = store.store();
      checkpoint(prepared);
      assertTrue(prepared.describe().get("snapshot").startsWith("stored as sha256:"), prepared.describe()::toString);
      works(prepared);
    }
    isRestored();
    restart();
    isRestored();
  }

  @Test
  void theNextStartInitialisesNothing() {
    store();
    restart();
    try (PreparedFunction prepared = node.prepare(MODULE)) {
      assertEquals(NOT_RUN, prepared.describe().get("initialised"));
      assertEquals("restored from " + only().layer().id(), prepared.describe().get("snapshot"));
      assertTrue(prepared.describe().get("code").endsWith("from the cache"));
      assertEquals(131072 + " bytes to begin with, up to 6553600", prepared.describe().get("memory"));
      works(prepared);
      assertEquals(1, only().leases());
      checkpoint(prepared);
      assertEquals("restored from " + only().layer().id(), prepared.describe().get("snapshot"));
    }
    assertEquals(Set.of("uid"), only().users());
  }

  /** Else a store that is replaced would stay for as long as the functions that were restored from it. */
  @Test
  void anotherStoreIsHeldInPlaceOfTheOneBefore() {
    store();
    restart();
    node.backend.bindSnapshots(store.store());
    try (PreparedFunction prepared = node.prepare(MODULE); TestStore next = new TestStore(directory)) {
      node.backend.bindSnapshots(next.store());
      node.backend.unbindSnapshots(store.store());
      assertEquals(0, only().leases());
      assertEquals(1, next.store().list().getFirst().leases());
      works(prepared);
      node.backend.unbindSnapshots(next.store());
      assertEquals(0, next.store().list().getFirst().leases());
      works(prepared);
      node.backend.bindSnapshots(next.store());
      assertEquals(1, next.store().list().getFirst().leases());
      prepared.close();
      assertEquals(0, next.store().list().getFirst().leases());
    }
  }

  @Test
  void aStoreThatGoesWhileAFunctionIsRestoredIsNotHeld() {
    store();
    try (TestStore next = new TestStore(directory)) {
      node.backend.bindSnapshots(store.twisted((real, method, arguments) -> {
        if (method.equals("hold")) {
          node.backend.bindSnapshots(next.store());
        }
        return Optional.empty();
      }));
      try (PreparedFunction prepared = node.prepare(MODULE)) {
        assertEquals(NOT_RUN, prepared.describe().get("initialised"));
        assertEquals(0, only().leases());
        assertEquals(1, next.store().list().getFirst().leases());
      }
      assertEquals(0, next.store().list().getFirst().leases());
    }
  }

  /** If it did, it would compute this away. */
  @Test
  void nothingOfTheModuleIsRunWhereAStateIsFound() throws Exception {
    store();
    SnapshotLayer layer = only().layer();
    byte[] module = Files.readAllBytes(file("blob-module"));
    byte[] memory = Files.readAllBytes(file("memory"));
    memory[40000] = 'X';
    try (SnapshotBuilder builder = store.store().base(layer.key(), "test")) {
      builder.memory(0, ByteBuffer.wrap(memory));
      builder.blob("module", new ByteArrayInputStream(module));
      builder.publish();
    }
    try (PreparedFunction prepared = node.prepare(MODULE); Sandbox sandbox = TestNode.start(prepared)) {
      assertEquals('X', TestNode.call(sandbox, "").good().output()[0]);
      assertEquals('X', TestNode.call(sandbox, "").good().output()[0]);
    }
  }

  @Test
  void theStoredModuleIsTheFunctionForAnyEngine() throws Exception {
    store();
    byte[] module;
    try (SnapshotLease lease = store.store().open(only().layer().id(), only().layer().key())) {
      module = StoredState.module(lease.layers().getLast(), 1 << 20);
    }
    Started again = Started.of(module);
    assertFalse(again.exports().contains("_initialize") || again.exports().contains("_faasm_zygote"), again.exports()::toString);
    byte[] memory = Files.readAllBytes(file("memory"));
    byte[] whole = again.memory();
    // Without the room for calls, which is this engine's.
    assertEquals(2 << 16, whole.length);
    assertArrayEquals(memory, Arrays.copyOf(whole, memory.length));
  }

  /** Reading a page of zeros of an image would make one, in all of a memory of which a function uses a part. */
  @Test
  void storingFillsNoHolesOfTheImage() throws Exception {
    byte[] module = Wat.compile("""
        (module (memory (export "memory") 512)
          (func (export "_initialize") (i32.store8 (i32.const 5) (i32.const 1)) (i32.store8 (i32.const 33554431) (i32.const 1)))
          (func (export "exec") (param $m i32) (result i32) (i32.store offset=24 (local.get $m) (i32.const 0)) (i32.const 0)))""");
    try (PreparedFunction prepared = node.prepare(module)) {
      checkpoint(prepared);
      assertEquals(32 << 20, only().layer().memoryBytes());
      assertTrue(only().storedBytes() < 1 << 20, only()::toString);
      assertTrue(imagesKib() < 16 << 10, () -> imagesKib() + " KiB");
    }
    restart();
    try (PreparedFunction prepared = node.prepare(module); Sandbox sandbox = TestNode.start(prepared)) {
      assertEquals(NOT_RUN, prepared.describe().get("initialised"));
      TestNode.call(sandbox, "").good();
    }
  }

  /** What all images that are mapped hold. */
  private static long imagesKib() {
    long sum = 0;
    boolean image = false;
    try {
      for (String line : Files.readAllLines(Path.of("/proc/self/smaps"))) {
        if (line.matches("[0-9a-f]+-[0-9a-f]+ .*")) {
          image = line.contains("instar-image");
        } else if (image && line.startsWith("Rss:")) {
          sum += Long.parseLong(line.replaceAll("[^0-9]", ""));
        }
      }
      return sum;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Test
  void aFunctionWithoutMemoryOrStateIsStoredToo() {
    byte[] module = Wat.compile("(module (func (export \"_start\")))");
    try (PreparedFunction prepared = node.prepare(module)) {
      checkpoint(prepared);
    }
    assertEquals(0, only().layer().memoryBytes());
    restart();
    try (PreparedFunction prepared = node.prepare(module); Sandbox sandbox = TestNode.start(prepared)) {
      assertEquals(NOT_RUN, prepared.describe().get("initialised"));
      TestNode.call(sandbox, "").good();
    }
  }

  @Test
  void whatAnInitialiserCanSeeMakesAnotherState() {
    store();
    Image image = node.image(MODULE);
    Limits d = Limits.DEFAULT;
    var small = new ArrayList<PreparedFunction>();
    small.add(node.prepare(image, d, Map.of("A", "b"), Duration.ofSeconds(60)));
    small.add(node.prepare(image, TestNode.memory(3 << 20), Map.of(), Duration.ofSeconds(60)));
    small.add(node.prepare(new Image(Digest.of(new byte[0]), Variant.WASM, image.size(), image.program(), Optional.empty()), d, Map.of(),
        Duration.ofSeconds(60)));
    small.add(node.prepare(new Image(image.digest(), Variant.WASM, image.size(), image.program(), Optional.of(directory.resolve("scratch-sandboxes"))), d,
        Map.of(), Duration.ofSeconds(60)));
    small.add(prepare("other", SnapshotPolicy.DEFAULT));
    for (PreparedFunction prepared : small) {
      assertEquals(FRESH, prepared.describe().get("initialised"));
      works(prepared);
      prepared.close();
    }
    // Whose it is and how often it was deployed is nothing that it can see.
    try (PreparedFunction same = node.prepare("somebody", image, d, Map.of(), Duration.ofSeconds(60))) {
      assertEquals(NOT_RUN, same.describe().get("initialised"));
    }
  }

  private PreparedFunction prepare(String name, SnapshotPolicy policy) {
    Image image = node.image(MODULE);
    Variant variant = new Variant(image.digest(), Variant.WASM, Optional.empty());
    var version = new FunctionVersion(new FunctionName("demo", name), 1, "uid", Instant.now(),
        new FunctionSpec(List.of(variant), Limits.DEFAULT, Map.of(), Map.of(), policy));
    try {
      return node.backend.prepare(new PrepareRequest(version, variant, image, Instant.now().plusSeconds(60)));
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  @Test
  void whatWasRemovedIsNotCalledStored() {
    try (PreparedFunction prepared = node.prepare(MODULE)) {
      checkpoint(prepared);
      Digest layer = only().layer().id();
      assertTrue(store.store().remove(layer));
      assertTrue(prepared.describe().get("snapshot").startsWith("no longer stored: " + layer), prepared.describe()::toString);
      works(prepared);
    }
  }

  @Test
  void neverMeansNeitherStoredNorRestored() {
    try (PreparedFunction prepared = prepare("tried", new SnapshotPolicy.Never())) {
      checkpoint(prepared);
      assertEquals("not stored, as its policy is never", prepared.describe().get("snapshot"));
    }
    assertEquals(List.of(), store.store().list());
    store();
    try (PreparedFunction prepared = prepare("tried", new SnapshotPolicy.Never())) {
      assertEquals(FRESH, prepared.describe().get("initialised"));
    }
  }

  @Test
  void aNodeWithoutAStoreWorks() {
    node.backend.snapshots = null;
    try (PreparedFunction prepared = node.prepare(MODULE)) {
      checkpoint(prepared);
      assertEquals("not stored yet", prepared.describe().get("snapshot"));
      works(prepared);
      // It comes later.
      node.backend.snapshots = store.store();
      checkpoint(prepared);
      assertEquals("stored as " + only().layer().id(), prepared.describe().get("snapshot"));
    }
  }

  @Test
  void twoOfOneStateStoreItOnce() {
    try (PreparedFunction one = node.prepare(MODULE); PreparedFunction other = node.prepare("somebody", node.image(MODULE), Limits.DEFAULT, Map.of(),
        Duration.ofSeconds(60))) {
      checkpoint(one);
      checkpoint(one);
      checkpoint(other);
      assertEquals(one.describe().get("snapshot"), other.describe().get("snapshot"));
      only();
    }
  }

  @Test
  void openFilesCannotBeStored() throws IOException {
    byte[] module = Wat.compile("""
        (module (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
          (memory (export "memory") 1) (data (i32.const 8) "file")
          (func (export "_initialize")
            (drop (call $open (i32.const 3) (i32.const 0) (i32.const 8) (i32.const 4) (i32.const 1) (i64.const 64) (i64.const 0) (i32.const 0)
              (i32.const 16))))
          (func (export "exec") (param i32) (result i32) (i32.const 0)))""");
    Path files = Files.createDirectory(directory.resolve("files"));
    for (int i = 0; i < 2; i++) {
      try (PreparedFunction prepared = node.prepare(node.image(module, Optional.of(files)), Limits.DEFAULT, Map.of(), Duration.ofSeconds(60))) {
        String why = "cannot be stored: its initialisation has opened or written files, which no module can hold";
        assertEquals(why, prepared.describe().get("snapshot"));
        checkpoint(prepared);
        assertEquals(why, prepared.describe().get("snapshot"));
        assertEquals("once, by _initialize", prepared.describe().get("initialised"));
      }
      assertEquals(List.of(), store.store().list());
    }
  }

  @Test
  void whatIsFoundOutWhileItIsWrittenIsTold() {
    // Each of its exports would construct once more.
    byte[] module = Wat.compile("""
        (module (memory (export "memory") 1) (func (export "_initialize")) (func (export "exec") (param i32) (result i32) (i32.const 0)))""");
    byte[] names = new Binary().name("name").section(1, new Binary().bytes(1, 0).name("_initialize.command_export").done()).done();
    byte[] section = new Binary().section(0, names).done();
    byte[] named = Arrays.copyOf(module, module.length + section.length);
    System.arraycopy(section, 0, named, module.length, section.length);
    try (PreparedFunction prepared = node.prepare(named); Sandbox sandbox = TestNode.start(prepared)) {
      assertEquals("not stored yet", prepared.describe().get("snapshot"));
      checkpoint(prepared);
      assertTrue(prepared.describe().get("snapshot").startsWith("cannot be stored: each of its exported functions"), prepared.describe()::toString);
      assertTrue(sandbox.reusable());
    }
    assertEquals(List.of(), store.store().list());
  }

  // ---- what can go wrong ----

  /** What becomes of a file of the layer. */
  enum Damage {
    FLIPPED,
    CUT,
    GONE
  }

  @ParameterizedTest
  @EnumSource(Damage.class)
  void aDamagedModuleIsNotBelieved(Damage damage) throws IOException {
    store();
    damage(file("blob-module"), damage);
    isInitialisedAnew();
  }

  @ParameterizedTest
  @EnumSource(Damage.class)
  void damagedMemoryIsNotBelieved(Damage damage) throws IOException {
    store();
    store.close();
    store = new TestStore(directory);
    node.backend.snapshots = store.store();
    damage(file("memory"), damage);
    isInitialisedAnew();
  }

  @ParameterizedTest
  @ValueSource(strings = {"manifest.json", "sums", "memory", "blob-module"})
  void whatIsDamagedBetweenTwoStartsIsNotBelieved(String name) throws IOException {
    store();
    damage(file(name), Damage.FLIPPED);
    restart();
    isInitialisedAnew();
  }

  /** Mapped where it is, one that gets shorter would take the JVM along. */
  @ParameterizedTest
  @EnumSource(Damage.class)
  void aRunningFunctionNeedsItsLayerNoMore(Damage damage) throws IOException {
    store();
    restart();
    try (PreparedFunction prepared = node.prepare(MODULE); Sandbox before = TestNode.start(prepared)) {
      assertEquals(NOT_RUN, prepared.describe().get("initialised"));
      Path memory = file("memory");
      if (damage == Damage.FLIPPED) {
        Files.setPosixFilePermissions(memory, PosixFilePermissions.fromString("rw-------"));
        try (FileChannel f = FileChannel.open(memory, StandardOpenOption.WRITE)) {
          f.write(ByteBuffer.allocate((int) f.size()), 0);
        }
      } else {
        damage(memory, damage);
      }
      assertArrayEquals(ANSWER, TestNode.call(before, "").good().output());
      works(prepared);
    }
  }

  private static void damage(Path file, Damage damage) throws IOException {
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-------"));
    switch (damage) {
      case FLIPPED -> {
        try (RandomAccessFile f = new RandomAccessFile(file.toFile(), "rw")) {
          long middle = f.length() / 2;
          f.seek(middle);
          int old = f.read();
          f.seek(middle);
          f.write(old ^ 1);
        }
      }
      case CUT -> {
        try (FileChannel f = FileChannel.open(file, StandardOpenOption.WRITE)) {
          f.truncate(f.size() / 2);
        }
      }
      case GONE -> Files.delete(file);
    }
  }

  /** A module of the right key that is whole, and another function's. */
  @ParameterizedTest
  @ValueSource(strings = {
      "(module)",
      "(module (memory 2) (global i32 (i32.const 1)) (global i64 (i64.const 1)) (table 20 20 funcref) (elem (i32.const 0) func 0) (func))",
      "(module (memory 101) (global i32 (i32.const 1)) (global i64 (i64.const 1)) (table 20 20 funcref))",
      "(module (memory 2) (global i32 (i32.const 1)) (global i64 (i64.const 1)) (table 21 21 funcref))",
      "(module (memory 2) (global i32 (i32.const 1)) (global i64 (i64.const 1)) (table 20000000 funcref))",
      "(module (memory 2) (global i32 (i32.const 1)) (table 20 20 funcref))",
      "(module (memory 0) (global i32 (i32.const 1)) (global i64 (i64.const 1)) (table 20 20 funcref))",
      "no module"})
  void aStateOfAnotherModuleIsNotBelieved(String other) throws IOException {
    store();
    SnapshotLayer layer = only().layer();
    byte[] memory = Files.readAllBytes(file("memory"));
    byte[] module = other.startsWith("(") ? Wat.compile(other) : other.getBytes();
    store.store().remove(layer.id());
    publish(layer, 0, memory, module);
    Digest useless = only().layer().id();
    isInitialisedAnew();
    assertNotEquals(useless, only().layer().id());
  }

  @Test
  void aReferenceToNoFunctionIsNotBelieved() throws IOException {
    store();
    SnapshotLayer layer = only().layer();
    byte[] memory = Files.readAllBytes(file("memory"));
    String like = "(module (memory 2) (global i32 (i32.const 1)) (global i64 (i64.const 1)) (table 5 20 funcref) (elem (i32.const 0) func %d)"
        + "(func)".repeat(6) + ")";
    // The module has five.
    for (int function = 4; function < 6; function++) {
      store.store().list().forEach(l -> store.store().remove(l.layer().id()));
      publish(layer, 0, memory, Started.wat(like.formatted(function)).written());
      try (PreparedFunction prepared = node.prepare(MODULE)) {
        assertEquals(function < 5 ? NOT_RUN : FRESH, prepared.describe().get("initialised"));
      }
    }
    isInitialisedAnew();
  }

  private void publish(SnapshotLayer like, long address, byte[] memory, byte[] module) throws IOException {
    try (SnapshotBuilder builder = store.store().base(like.key(), "test")) {
      builder.memory(address, ByteBuffer.wrap(memory));
      if (module.length > 0) {
        builder.blob("module", new ByteArrayInputStream(module));
      }
      builder.publish();
    }
  }

  @Test
  void aLayerOfAnotherFormIsNotBelieved() throws IOException {
    store();
    SnapshotLayer layer = only().layer();
    byte[] memory = Files.readAllBytes(file("memory"));
    byte[] module = Files.readAllBytes(file("blob-module"));
    for (int way = 0; way < 3; way++) {
      store.store().list().forEach(l -> store.store().remove(l.layer().id()));
      switch (way) {
        case 0 -> publish(layer, 4096, memory, module);
        case 1 -> publish(layer, 0, memory, new byte[0]);
        default -> publish(layer, 0, new byte[3 << 20], module);
      }
      isInitialisedAnew();
    }
  }

  @Test
  void aLayerThatIsCollectedInBetweenIsMissedByNobody() {
    store();
    node.backend.snapshots = store.twisted((real, method, arguments) -> {
      if (!method.equals("find")) {
        return Optional.empty();
      }
      Optional<SnapshotLayer> found = real.find((SnapshotKey) arguments[0]);
      found.ifPresent(layer -> real.remove(layer.id()));
      return Optional.of(found);
    });
    isInitialisedAnew();
  }

  @Test
  void aStoreWithoutRoomCostsOnlyTheStart() {
    InstarException full = new InstarException(ErrorCode.NO_SPACE, "full");
    for (String where : List.of("base", "memory", "blob", "publish")) {
      node.backend.snapshots = store.twisted((real, method, arguments) -> {
        if (method.equals(where)) {
          throw full;
        }
        return method.equals("base") ? Optional.of(TestStore.twisted(SnapshotBuilder.class,
            real.base((SnapshotKey) arguments[0], (String) arguments[1]), (none, m, a) -> {
              if (m.equals(where)) {
                throw full;
              }
              return Optional.empty();
            })) : Optional.empty();
      });
      try (PreparedFunction prepared = node.prepare(MODULE)) {
        assertEquals(ErrorCode.NO_SPACE, assertThrows(InstarException.class, () -> checkpoint(prepared)).code());
        assertEquals("not stored yet", prepared.describe().get("snapshot"));
        works(prepared);
      }
    }
    assertEquals(0, count(directory.resolve("snapshots/building")));
    node.backend.snapshots = store.store();
    store();
    restart();
    isRestored();
  }

  private static int count(Path at) {
    return at.toFile().list().length;
  }

  @Test
  void whoNeedsALayerIsNotWorthAStart() {
    store();
    node.backend.snapshots = store.twisted((real, method, arguments) -> {
      if (method.equals("hold")) {
        throw new InstarException(ErrorCode.NO_SPACE, "full");
      }
      return Optional.empty();
    });
    isRestored();
  }

  @ParameterizedTest
  @ValueSource(strings = {"find", "open", "layers", "layer", "blob", "read"})
  void aStoreThatVanishesOnTheWayIsLikeNone(String where) {
    store();
    IllegalStateException gone = new IllegalStateException("the store has been stopped");
    TestStore.Twist twist = (none, method, arguments) -> {
      if (method.equals(where)) {
        node.backend.snapshots = null;
        throw gone;
      }
      return Optional.empty();
    };
    node.backend.snapshots = store.twisted((real, method, arguments) -> {
      twist.call(real, method, arguments);
      if (!method.equals("open")) {
        return Optional.empty();
      }
      SnapshotLease lease = real.open((Digest) arguments[0], (SnapshotKey) arguments[1]);
      return Optional.of(TestStore.twisted(SnapshotLease.class, lease, (none, m, a) -> {
        twist.call(null, m, a);
        return m.equals("layers") ? Optional.of(lease.layers().stream().map(layer ->
            TestStore.twisted(OpenLayer.class, layer, twist)).toList()) : Optional.empty();
      }));
    });
    try (PreparedFunction prepared = node.prepare(MODULE)) {
      assertEquals(FRESH, prepared.describe().get("initialised"));
      works(prepared);
      checkpoint(prepared);
      assertEquals("not stored yet", prepared.describe().get("snapshot"));
    }
    node.backend.snapshots = store.store();
    isRestored();
  }

  @Test
  void aStoreThatIsReplacedTakesNothingAway() {
    store();
    try (PreparedFunction prepared = node.prepare(MODULE); Sandbox sandbox = TestNode.start(prepared)) {
      TestStore old = store;
      store = new TestStore(directory);
      node.backend.snapshots = store.store();
      old.close();
      assertTrue(store.store().remove(only().layer().id()), "the new one does not know who has it open");
      assertArrayEquals(ANSWER, TestNode.call(sandbox, "").good().output());
      works(prepared);
    }
  }

  // ---- side by side ----

  @Test
  void aHundredGuestsShareTheImage() throws IOException {
    store();
    restart();
    List<Sandbox> alive = new ArrayList<>();
    try (PreparedFunction prepared = node.prepare(MODULE)) {
      for (int i = 0; i < 100; i++) {
        alive.add(TestNode.start(prepared));
      }
      for (int round = 0; round < 3; round++) {
        for (Sandbox sandbox : alive) {
          assertArrayEquals(ANSWER, TestNode.call(sandbox, "").good().output());
        }
      }
      try (var maps = Files.lines(Path.of("/proc/self/maps"))) {
        assertTrue(maps.filter(line -> line.contains("instar-image")).count() >= 100, "they do not map the image");
      }
      alive.forEach(Sandbox::close);
    }
    assertEquals(Set.of("uid"), only().users());
    store.store().verify(only().layer().id());
  }

  /** Of an image of 16 MiB; each has had a call that has written ten of its pages. */
  @Test
  void aThousandGuestsShareTheImage() throws IOException {
    int count = 1000;
    byte[] module = Wat.compile("""
        (module (memory 256)
          (func (export "_initialize") (memory.fill (i32.const 0) (i32.const 1) (i32.const 16777216)))
          (func (export "exec") (param $m i32) (result i32) (local $i i32)
            (loop $next
              (i32.store (i32.mul (local.get $i) (i32.const 40960)) (i32.const 2))
              (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 10))))
            (i32.store offset=24 (local.get $m) (i32.const 0))
            (i32.const 0)))""");
    try (PreparedFunction first = node.prepare(module)) {
      checkpoint(first);
    }
    assertEquals(16 << 20, only().layer().memoryBytes());
    restart();
    List<Sandbox> alive = new ArrayList<>();
    try (PreparedFunction prepared = node.prepare(module)) {
      assertEquals(NOT_RUN, prepared.describe().get("initialised"));
      long before = pss();
      for (int i = 0; i < count; i++) {
        alive.add(TestNode.start(prepared));
        TestNode.call(alive.getLast(), "").good();
      }
      long each = (pss() - before) / count;
      System.out.println("PSS of each of " + count + " guests of an image of 16 MiB: " + each + " KiB");
      assertTrue(each < 200, each + " KiB");
      alive.forEach(Sandbox::close);
    }
  }

  /** KiB. */
  private static long pss() throws IOException {
    try (var lines = Files.lines(Path.of("/proc/self/smaps_rollup"))) {
      return Long.parseLong(lines.filter(l -> l.startsWith("Pss:")).findFirst().orElseThrow().replaceAll("[^0-9]", ""));
    }
  }

  @Test
  void aCheckpointDoesNotDisturbCalls() throws Exception {
    AtomicBoolean stored = new AtomicBoolean();
    AtomicReference<Throwable> failure = new AtomicReference<>();
    int calls = 0;
    try (PreparedFunction prepared = node.prepare(MODULE); Sandbox sandbox = TestNode.start(prepared)) {
      List<Thread> threads = new ArrayList<>();
      for (int i = 0; i < 3; i++) {
        threads.add(Thread.ofPlatform().start(() -> {
          try {
            checkpoint(prepared);
          } catch (Throwable e) {
            failure.set(e);
          }
          stored.set(true);
        }));
      }
      while (!stored.get() || calls < 20) {
        assertArrayEquals(ANSWER, TestNode.call(sandbox, "").good().output());
        calls++;
      }
      for (Thread thread : threads) {
        thread.join();
      }
      assertNull(failure.get());
      only();
    }
    restart();
    isRestored();
  }

  @ParameterizedTest
  @ValueSource(strings = {"find", "base", "memory", "blob", "publish"})
  void anInterruptEndsIt(String when) {
    TestStore.Twist twist = (none, method, arguments) -> {
      if (method.equals(when)) {
        Thread.currentThread().interrupt();
      }
      return Optional.empty();
    };
    try (PreparedFunction prepared = node.prepare(MODULE)) {
      node.backend.snapshots = store.twisted((real, method, arguments) -> {
        twist.call(real, method, arguments);
        return method.equals("base") ? Optional.of(TestStore.twisted(SnapshotBuilder.class, real.base((SnapshotKey) arguments[0], (String) arguments[1]),
            twist)) : Optional.empty();
      });
      if (when.equals("publish")) {
        checkpoint(prepared);
        assertTrue(Thread.interrupted());
        assertEquals(Set.of(), only().users(), "nobody would release it");
      } else {
        assertThrows(InterruptedException.class, ((Checkpointable) prepared)::checkpoint);
        assertFalse(Thread.interrupted());
        assertEquals(List.of(), store.store().list());
      }
      assertEquals(0, count(directory.resolve("snapshots/building")));
      works(prepared);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"memory", "blob", "publish"})
  void aFunctionThatIsClosedMeanwhileIsNotStored(String when) {
    AtomicReference<PreparedFunction> closing = new AtomicReference<>();
    node.backend.snapshots = store.twisted((real, method, arguments) -> method.equals("base")
        ? Optional.of(TestStore.twisted(SnapshotBuilder.class, real.base((SnapshotKey) arguments[0], (String) arguments[1]),
            (none, m, a) -> {
              if (m.equals(when)) {
                closing.get().close();
              }
              return Optional.empty();
            })) : Optional.empty());
    PreparedFunction prepared = node.prepare(MODULE);
    closing.set(prepared);
    checkpoint(prepared);
    // At the publication it is too late to stop, but nobody holds it.
    assertEquals(when.equals("publish") ? 1 : 0, store.store().list().size());
    assertTrue(store.store().list().stream().allMatch(layer -> layer.users().isEmpty()));
    assertEquals(0, count(directory.resolve("snapshots/building")));
    assertEquals(0, node.backend.guestMemory());
    checkpoint(prepared);
    node.backend.snapshots = store.store();
    try (PreparedFunction again = node.prepare(MODULE)) {
      works(again);
    }
  }
}
