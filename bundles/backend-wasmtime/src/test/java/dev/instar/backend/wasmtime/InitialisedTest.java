package dev.instar.backend.wasmtime;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.function.Limits;
import dev.instar.api.invocation.CallInput;
import dev.instar.api.sandbox.Call;
import dev.instar.api.sandbox.Checkpointable;
import dev.instar.api.sandbox.GuestLog;
import dev.instar.api.sandbox.PreparedFunction;
import dev.instar.api.sandbox.Sandbox;
import dev.instar.api.sandbox.StartContext;
import dev.instar.backend.wasm.WasmBackend;
import dev.instar.tck.capability.RequiresCapability;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A function is initialised once, and begins so on either engine. */
@RequiresCapability({"wasmtime", "wabt"})
class InitialisedTest {
  /**
   * Its initialisation changes all that it can: memory, and its size, numbers of each type, references to functions that nobody exports, a table, and of two
   * segments of each kind it drops the first. Answers with what it finds, in letters and digits.
   */
  private static final String EVERYTHING = """
      (module (import "env" "__faasm_write_output" (func $out (param i32 i32)))
        (memory (export "memory") 1 20)
        (global $i (mut i32) (i32.const 0)) (global $I (mut i64) (i64.const 0)) (global $f (mut f32) (f32.const 0)) (global $F (mut f64) (f64.const 0))
        (global $v (mut v128) (v128.const i64x2 0 0)) (global $r (mut funcref) (ref.null func)) (global $e (mut externref) (ref.null extern))
        (table $t 2 20 funcref) (table $u 1 externref)
        (elem declare func $forty) (elem $gone funcref (ref.func $one)) (elem $left func $two)
        (data $dropped "XX") (data $kept "kept")
        (type $number (func (result i32)))
        (func $forty (result i32) (i32.const 40)) (func $one (result i32) (i32.const 1)) (func $two (result i32) (i32.const 2))
        (func (export "_initialize")
          (drop (memory.grow (i32.const 1)))
          (i32.store8 (i32.const 100000) (i32.const 77))
          (global.set $i (i32.add (global.get $i) (i32.const -7))) (global.set $I (i64.const 0x8000000000000001))
          (global.set $f (f32.const -0x1.8p3)) (global.set $F (f64.const nan:0x123)) (global.set $v (v128.const i64x2 5 -6))
          (global.set $r (ref.func $forty))
          (drop (table.grow $t (ref.null func) (i32.const 3)))
          (table.set $t (i32.const 4) (ref.func $forty)) (table.init $t $gone (i32.const 1) (i32.const 0) (i32.const 1))
          (elem.drop $gone) (data.drop $dropped))
        (func $digit (param $at i32) (param $is i32) (i32.store8 (local.get $at) (i32.add (i32.const 48) (local.get $is))))
        (func (export "exec") (param i32) (result i32)
          (call $digit (i32.const 200) (i32.eq (global.get $i) (i32.const -7)))
          (call $digit (i32.const 201) (i64.eq (global.get $I) (i64.const 0x8000000000000001)))
          (call $digit (i32.const 202) (i32.eq (i32.reinterpret_f32 (global.get $f)) (i32.reinterpret_f32 (f32.const -0x1.8p3))))
          (call $digit (i32.const 203) (i64.eq (i64.reinterpret_f64 (global.get $F)) (i64.reinterpret_f64 (f64.const nan:0x123))))
          (call $digit (i32.const 204) (i64.eq (i64x2.extract_lane 1 (global.get $v)) (i64.const -6)))
          (table.set $t (i32.const 0) (global.get $r))
          (call $digit (i32.const 205) (i32.eq (call_indirect $t (type $number) (i32.const 0)) (i32.const 40)))
          (call $digit (i32.const 206) (i32.eq (call_indirect $t (type $number) (i32.const 1)) (i32.const 1)))
          (call $digit (i32.const 207) (ref.is_null (table.get $t (i32.const 3))))
          (call $digit (i32.const 208) (i32.eq (call_indirect $t (type $number) (i32.const 4)) (i32.const 40)))
          (call $digit (i32.const 209) (i32.eq (table.size $t) (i32.const 5)))
          (call $digit (i32.const 210) (i32.eq (i32.load8_u (i32.const 100000)) (i32.const 77)))
          (call $digit (i32.const 211) (ref.is_null (global.get $e)))
          (table.init $t $left (i32.const 0) (i32.const 0) (i32.const 1))
          (call $digit (i32.const 212) (i32.eq (call_indirect $t (type $number) (i32.const 0)) (i32.const 2)))
          (memory.init $kept (i32.const 213) (i32.const 0) (i32.const 4))
          (memory.init $dropped (i32.const 200) (i32.const 0) (i32.const 0))
          (call $out (i32.const 200) (i32.const 17))
          (i32.const 0))
        (func (export "late") (memory.init $dropped (i32.const 200) (i32.const 0) (i32.const 2))))""";
  private static final String FOUND = "1111111111111kept";

  /** Answers with where its input is, and how often it was initialised, and writes to its input. */
  private static final String ROOM = """
      (module (import "env" "__faasm_write_output" (func $out (param i32 i32)))
        (memory (export "memory") 2 %d) (func $i (export "_initialize") (i32.store (i32.const 16) (i32.const 1)))
        (func (export "exec") (param $call i32) (result i32)
          (i32.store (i32.const 0) (i32.load (local.get $call)))
          (i32.store (i32.const 4) (i32.load (i32.const 16)))
          (i32.store8 (i32.load (local.get $call)) (i32.const 9))
          (call $out (i32.const 0) (i32.const 8)) (i32.const 0)))""";

  @TempDir
  Path directory;

  private static byte[] answer(PreparedFunction prepared) throws InterruptedException {
    var output = new ByteArrayOutputStream();
    try (Sandbox sandbox = prepared.start(new StartContext("sandbox", Instant.now().plusSeconds(60), GuestLog.NONE))) {
      sandbox.call(new Call("call", CallInput.of(new byte[] {5}), output, GuestLog.NONE, Instant.now().plusSeconds(60)));
    }
    return output.toByteArray();
  }

  private static String text(PreparedFunction prepared) throws InterruptedException {
    return new String(answer(prepared), StandardCharsets.UTF_8);
  }

  private interface OnChicory {
    void run(WasmBackend chicory) throws Exception;
  }

  private void onChicory(TestBackend node, OnChicory work) throws Exception {
    WasmBackend chicory = TestBackend.component(WasmBackend.class, TestBackend.data(directory), Map.of());
    Field snapshots = WasmBackend.class.getDeclaredField("snapshots");
    snapshots.setAccessible(true);
    snapshots.set(chicory, node.store());
    try {
      work.run(chicory);
    } finally {
      Method stop = WasmBackend.class.getDeclaredMethod("stop");
      stop.setAccessible(true);
      stop.invoke(chicory);
    }
  }

  @Test
  void allThatAnInitialisationChangesIsKept() throws Exception {
    byte[] module = TestBackend.wasm(EVERYTHING);
    try (TestBackend node = new TestBackend(directory)) {
      try (PreparedFunction first = node.prepare(module, Limits.DEFAULT)) {
        assertEquals("once, by _initialize", first.describe().get("initialised"));
        assertEquals("not stored yet", first.describe().get("snapshot"));
        assertEquals(FOUND, text(first));
        assertEquals(FOUND, text(first));
        ((Checkpointable) first).checkpoint();
        assertTrue(first.describe().get("snapshot").startsWith("stored as "), first.describe()::toString);
      }
      try (PreparedFunction again = node.prepare(module, Limits.DEFAULT)) {
        assertEquals("from the snapshot", again.describe().get("initialised"));
        assertEquals(FOUND, text(again));
      }
      assertEquals(0, node.backend.guestMemory());
      assertTrue(node.store().list().stream().allMatch(layer -> layer.leases() == 0));
    }
  }

  @Test
  void whatWasmtimeHasStoredBeginsSoOnChicory() throws Exception {
    // Without vectors, which Chicory does not have.
    byte[] module = TestBackend.wasm(EVERYTHING.replaceAll("\\(global \\$v [^\\n]*?\\(global \\$r", "(global \\$r").replaceAll("\\(global.set \\$v [^\\n]*", "")
        .replace("(i64.eq (i64x2.extract_lane 1 (global.get $v)) (i64.const -6))", "(i32.const 1)"));
    try (TestBackend node = new TestBackend(directory)) {
      try (PreparedFunction first = node.prepare(module, Limits.DEFAULT)) {
        ((Checkpointable) first).checkpoint();
      }
      onChicory(node, chicory -> {
        try (PreparedFunction taken = chicory.prepare(node.request(module, Limits.DEFAULT))) {
          assertEquals("from the snapshot", taken.describe().get("initialised"));
          assertEquals(FOUND, text(taken));
        }
      });
      assertEquals(1, node.store().list().size());
    }
  }

  @Test
  void bothEnginesStoreTheSame() throws Exception {
    byte[] module = Files.readAllBytes(Path.of("../../examples/echo/function.wasm"));
    try (TestBackend node = new TestBackend(directory)) {
      try (PreparedFunction first = node.prepare(module, Limits.DEFAULT)) {
        ((Checkpointable) first).checkpoint();
      }
      var one = node.store().list().getFirst();
      node.store().remove(one.layer().id());
      onChicory(node, chicory -> {
        try (PreparedFunction first = chicory.prepare(node.request(module, Limits.DEFAULT))) {
          ((Checkpointable) first).checkpoint();
        }
      });
      var other = node.store().list().getFirst();
      assertEquals(one.layer().key(), other.layer().key());
      assertEquals(one.layer().memoryBytes(), other.layer().memoryBytes());
      assertEquals(one.layer().blobs(), other.layer().blobs());
    }
  }

  @Test
  void theRoomForCallsIsThereFromTheBeginningAsFarAsItMayBe() throws Exception {
    try (TestBackend node = new TestBackend(directory)) {
      for (int most : new int[] {20, 4}) {
        byte[] module = TestBackend.wasm(ROOM.formatted(most));
        byte[] found;
        try (PreparedFunction prepared = node.prepare(module, Limits.DEFAULT)) {
          found = answer(prepared);
          assertArrayEquals(found, answer(prepared));
          assertEquals(1, found[4]);
        }
        onChicory(node, chicory -> {
          try (PreparedFunction prepared = chicory.prepare(node.request(module, Limits.DEFAULT))) {
            assertArrayEquals(found, answer(prepared));
          }
        });
      }
    }
  }

  @Test
  void whatWasDrawnIsNotShared() throws Exception {
    String module = """
        (module (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
          (import "env" "__faasm_write_output" (func $out (param i32 i32)))
          (memory (export "memory") 1)
          (func (export "_initialize") (drop (call $random (i32.const 64) (i32.const 16))))
          %s
          (func (export "exec") (param i32) (result i32) (call $out (i32.const 64) (i32.const 17)) (i32.const 0)))""";
    try (TestBackend node = new TestBackend(directory)) {
      try (PreparedFunction prepared = node.prepare(TestBackend.wasm(module.formatted("")), Limits.DEFAULT)) {
        assertEquals("anew for each call, by _initialize", prepared.describe().get("initialised"));
        assertTrue(prepared.describe().get("uniqueness").startsWith("its initialisation drew random numbers; "), prepared.describe()::toString);
        assertFalse(text(prepared).equals(text(prepared)));
        ((Checkpointable) prepared).checkpoint();
        assertTrue(prepared.describe().get("snapshot").startsWith("cannot be stored: "), prepared.describe()::toString);
        assertEquals(0, node.store().list().size());
      }
      String reseed = "(func (export \"instar_reseed\") (i32.store8 (i32.const 80) (i32.add (i32.const 1) (i32.load8_u (i32.const 80)))))";
      try (PreparedFunction prepared = node.prepare(TestBackend.wasm(module.formatted(reseed)), Limits.DEFAULT)) {
        assertEquals("once, by _initialize", prepared.describe().get("initialised"));
        byte[] found = answer(prepared);
        assertEquals(1, found[16]);
        assertArrayEquals(found, answer(prepared));
      }
    }
  }

  @Test
  void aModuleThatTheStateIsTooLargeForIsInitialisedAnew() throws Exception {
    String module = """
        (module (import "env" "__faasm_write_output" (func $out (param i32 i32)))
          (memory (export "memory") 2)
          (func (export "_initialize") (memory.fill (i32.const 100) (i32.const 65) (i32.const 100000)))
          (func (export "exec") (param i32) (result i32) (call $out (i32.const 100099) (i32.const 2)) (i32.const 0)))""";
    try (TestBackend node = new TestBackend(directory, "module$_$bytes", 50_000L);
        PreparedFunction prepared = node.prepare(TestBackend.wasm(module), Limits.DEFAULT)) {
      assertEquals("anew for each call, by _initialize", prepared.describe().get("initialised"));
      assertTrue(prepared.describe().get("snapshot").contains("50000 and 100000 are allowed"), prepared.describe()::toString);
      assertArrayEquals(new byte[] {65, 0}, answer(prepared));
    }
  }

  @Test
  void aStoredModuleOfNoUseIsPutAsideAndTheFunctionIsInitialised() throws Exception {
    byte[] module = TestBackend.wasm(ROOM.formatted(20));
    try (TestBackend node = new TestBackend(directory)) {
      try (PreparedFunction first = node.prepare(module, Limits.DEFAULT)) {
        ((Checkpointable) first).checkpoint();
      }
      var layer = node.store().list().getFirst();
      node.store().remove(layer.layer().id());
      try (var builder = node.store().base(layer.layer().key(), "a test")) {
        builder.blob("module", new ByteArrayInputStream(TestBackend.wasm("(module (func (export \"exec\") (param i32) (result i32) (i32.const 0)))")));
        builder.publish();
      }
      try (PreparedFunction again = node.prepare(module, Limits.DEFAULT)) {
        assertEquals("once, by _initialize", again.describe().get("initialised"));
        assertEquals(1, answer(again)[4]);
      }
      assertEquals(0, node.store().list().size());
    }
  }
}
