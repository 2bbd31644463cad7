package dev.instar.backend.wasm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.dylibso.chicory.runtime.ImportValues;
import com.dylibso.chicory.runtime.Instance;
import com.dylibso.chicory.wasm.Parser;
import com.sun.management.ThreadMXBean;
import dev.instar.api.sandbox.PreparedFunction;
import dev.instar.api.sandbox.Sandbox;
import dev.instar.tck.capability.RequiresCapability;
import dev.instar.wasi.Clocks;
import dev.instar.wasi.FileQuota;
import dev.instar.wasi.Wasi;
import dev.instar.wasi.WasiSettings;
import dev.instar.wasi.guest.MemoryBudget;
import java.lang.management.ManagementFactory;
import java.security.SecureRandom;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Calls of the host: many of them must not keep the node's garbage collector busy, because its pauses are everybody's. */
@RequiresCapability("wabt")
@Timeout(60)
class HostCallsTest extends NodeTest {
  private static final int CALLS = 100_000;
  /** Of one call; what is less comes from the call of the function. With the arguments alone in an array of their own, it would be 40 and more. */
  private static final int MOST_BYTES = 8;

  private static byte[] loop(String imports, String call) {
    return Wat.compile("(module " + imports + " (memory (export \"memory\") 1) (func (export \"_start\") (local $i i32) (loop $again " + call
        + " (local.set $i (i32.add (local.get $i) (i32.const 1))) (br_if $again (i32.lt_u (local.get $i) (i32.const " + CALLS + "))))))");
  }

  private long bytesOf(byte[] module) {
    var threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    try (PreparedFunction prepared = node.prepare(module); Sandbox sandbox = TestNode.start(prepared)) {
      TestNode.call(sandbox, "").good();
      long before = threads.getCurrentThreadAllocatedBytes();
      TestNode.call(sandbox, "").good();
      return threads.getCurrentThreadAllocatedBytes() - before;
    }
  }

  @Test
  void callsOfTheHostMakeNoGarbage() {
    byte[] clocks = loop("(import \"wasi_snapshot_preview1\" \"clock_time_get\" (func $now (param i32 i64 i32) (result i32)))",
        "(drop (call $now (i32.const 1) (i64.const 0) (i32.const 0)))");
    long bytes = bytesOf(clocks);
    assertTrue(bytes < (long) MOST_BYTES * CALLS, () -> bytes + " bytes for " + CALLS + " calls");
  }

  /** The interpreter takes as many as there are. */
  @Test
  void aCallHasAsManyResultsAsItsTypeSays() {
    byte[] module = Wat.compile("""
        (module (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
          (memory (export "memory") 1) (func (export "call") (result i32) (call $write (i32.const 99) (i32.const 0) (i32.const 0) (i32.const 0))))""");
    Wasi wasi = new Wasi(new WasiSettings(List.of(), Map.of(), Optional.empty(), directory, FileQuota.DEFAULT, MemoryBudget.ofHeap(1 << 20),
        Clocks.system(), new SecureRandom()));
    Instance instance = Instance.builder(Parser.parse(module)).withImportValues(ImportValues.builder().withFunctions(List.copyOf(ChicoryImports.of(wasi))).build()).build();
    assertArrayEquals(new long[] {8}, instance.export("call").apply());
    wasi.close();
  }

  @Test
  void argumentsOfOneCallAreNotThoseOfTheNext() {
    byte[] module = Wat.compile("""
        (module (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
          (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
          (memory (export "memory") 1) (data (i32.const 0) "\\10\\00\\00\\00\\01\\00\\00\\00\\11\\00\\00\\00\\01\\00\\00\\00ab")
          (func (export "_start")
            (if (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)) (then (call $exit (i32.const 1))))
            (if (i32.ne (call $write (i32.const 99) (i32.const 0) (i32.const 1) (i32.const 32)) (i32.const 8)) (then (call $exit (i32.const 2))))
            (if (call $yield) (then (call $exit (i32.const 3))))
            (if (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 32)) (then (call $exit (i32.const 4))))
            (call $exit (i32.const 0))))""");
    try (PreparedFunction prepared = node.prepare(module); Sandbox sandbox = TestNode.start(prepared)) {
      assertEquals("ab", TestNode.call(sandbox, "").text());
      assertEquals("ab", TestNode.call(sandbox, "").text());
    }
  }
}
