package dev.instar.backend.wasmtime;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
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
import java.io.ByteArrayOutputStream;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.nio.file.Path;
import java.time.Instant;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A swap of engines keeps what a function has initialised. */
@RequiresCapability({"wasmtime", "wabt"})
class TakenOverStateTest {
  /** Answers 42 if it was initialised once. */
  private static final String REACTOR = """
      (module (import "env" "__faasm_write_output" (func $out (param i32 i32)))
        (memory (export "memory") 1) (global $g (mut i32) (i32.const 0)) (table 1 funcref) (elem declare func $forty)
        (func $forty (result i32) (i32.const 40))
        (func (export "_initialize")
          (table.set 0 (i32.const 0) (ref.func $forty))
          (global.set $g (i32.add (global.get $g) (i32.const 2))))
        (func (export "exec") (param i32) (result i32)
          (i32.store8 (i32.const 101) (i32.add (global.get $g) (call_indirect (result i32) (i32.const 0))))
          (call $out (i32.const 101) (i32.const 1))
          (i32.const 0)))""";

  @TempDir
  Path directory;

  private static byte[] answer(PreparedFunction prepared) throws InterruptedException {
    var output = new ByteArrayOutputStream();
    try (Sandbox sandbox = prepared.start(new StartContext("sandbox", Instant.now().plusSeconds(60), GuestLog.NONE))) {
      sandbox.call(new Call("call", CallInput.of(new byte[0]), output, GuestLog.NONE, Instant.now().plusSeconds(60)));
    }
    return output.toByteArray();
  }

  @Test
  void whatChicoryHasInitialisedAndStoredBeginsSoOnWasmtime() throws Exception {
    try (TestBackend node = new TestBackend(directory)) {
      byte[] module = TestBackend.wasm(REACTOR);
      try (PreparedFunction anew = node.prepare(module, Limits.DEFAULT)) {
        assertEquals("once, by _initialize", anew.describe().get("initialised"));
        assertArrayEquals(new byte[] {42}, answer(anew));
        assertArrayEquals(new byte[] {42}, answer(anew));
      }
      WasmBackend chicory = TestBackend.component(WasmBackend.class, TestBackend.data(directory), Map.of());
      Field snapshots = WasmBackend.class.getDeclaredField("snapshots");
      snapshots.setAccessible(true);
      snapshots.set(chicory, node.store());
      try (PreparedFunction first = chicory.prepare(node.request(module, Limits.DEFAULT))) {
        assertArrayEquals(new byte[] {42}, answer(first));
        ((Checkpointable) first).checkpoint();
      } finally {
        Method stop = WasmBackend.class.getDeclaredMethod("stop");
        stop.setAccessible(true);
        stop.invoke(chicory);
      }
      assertEquals(1, node.store().list().size());
      try (PreparedFunction taken = node.prepare(module, Limits.DEFAULT)) {
        assertEquals("from the snapshot", taken.describe().get("initialised"));
        assertTrue(taken.describe().get("snapshot").startsWith("restored from "), taken.describe()::toString);
        assertArrayEquals(new byte[] {42}, answer(taken));
      }
      assertTrue(node.store().list().stream().allMatch(layer -> layer.leases() == 0));
    }
  }
}
