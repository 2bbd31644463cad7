package dev.instar.backend.wasmtime;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.instar.api.InstarException;
import dev.instar.api.function.Limits;
import dev.instar.api.invocation.CallInput;
import dev.instar.api.sandbox.Call;
import dev.instar.api.sandbox.GuestLog;
import dev.instar.api.sandbox.PreparedFunction;
import dev.instar.api.sandbox.Resettable;
import dev.instar.api.sandbox.Sandbox;
import dev.instar.api.sandbox.StartContext;
import dev.instar.tck.capability.RequiresCapability;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Nothing of a call is there for the next one, in an instance that serves both and in one that is made anew. */
@RequiresCapability({"wasmtime", "wabt"})
class RewindTest {
  private static final int PAGE = 4096;
  /** Pages of 64 KiB of {@link #EVERYTHING}. */
  private static final int PAGES = 40;
  private static final int MOST_RANGES = 40;

  /** What a call does at its end, beside writing over all globals. */
  private static final int ENDS = 0;
  private static final int GROWS = 1;
  private static final int TRAPS = 2;

  /**
   * Its input: what to do at its end, and pairs of an address and a length of what to overwrite. Answers with 8 bytes: what its memory, but for this call's
   * input, and its globals come to, found before anything was written.
   */
  private static final String EVERYTHING = """
      (module (import "env" "__faasm_write_output" (func $out (param i32 i32)))
        (memory (export "memory") %d 100)
        (global $i (mut i32) (i32.const -7)) (global $I (mut i64) (i64.const 0x8000000000000001)) (global $f (mut f32) (f32.const -0x1.8p3))
        (global $F (mut f64) (f64.const nan:0x123)) (global $v (mut v128) (v128.const i64x2 5 -6)) (global $r (mut funcref) (ref.func $forty))
        (global $e (mut externref) (ref.null extern)) (global (export "$rewind") (mut i32) (i32.const 3)) (global $fixed i32 (i32.const 11))
        (table $t 3 funcref) (elem (i32.const 0) $forty) (type $number (func (result i32)))
        %s
        (func $forty (result i32) (i32.const 40))
        (func $mix (param $hash i64) (param $with i64) (result i64)
          (i64.mul (i64.xor (local.get $hash) (local.get $with)) (i64.const 0x100000001b3)))
        (func $words (param $hash i64) (param $from i32) (param $to i32) (result i64)
          (loop $each
            (if (i32.lt_u (local.get $from) (local.get $to)) (then
              (local.set $hash (call $mix (local.get $hash) (i64.load (local.get $from))))
              (local.set $from (i32.add (local.get $from) (i32.const 8)))
              (br $each))))
          (local.get $hash))
        (func (export "exec") (param $call i32) (result i32)
          (local $input i32) (local $end i32) (local $hash i64) (local $own i32)
          (local.set $own (i32.const %d))
          (local.set $input (i32.load (local.get $call)))
          (local.set $end (i32.add (local.get $input) (i32.load offset=20 (local.get $call))))
          (local.set $hash (call $words (i64.const 14695981039346656037) (i32.const 0) (local.get $own)))
          ;; What is behind this call's input.
          (local.set $hash (call $words (local.get $hash) (i32.and (i32.add (local.get $end) (i32.const 7)) (i32.const -8)) (i32.shl (memory.size) (i32.const 16))))
          (local.set $hash (call $mix (local.get $hash) (i64.extend_i32_u (memory.size))))
          (local.set $hash (call $mix (local.get $hash) (i64.extend_i32_u (global.get $i))))
          (local.set $hash (call $mix (local.get $hash) (global.get $I)))
          (local.set $hash (call $mix (local.get $hash) (i64.extend_i32_u (i32.reinterpret_f32 (global.get $f)))))
          (local.set $hash (call $mix (local.get $hash) (i64.reinterpret_f64 (global.get $F))))
          (local.set $hash (call $mix (local.get $hash) (i64x2.extract_lane 0 (global.get $v))))
          (local.set $hash (call $mix (local.get $hash) (i64x2.extract_lane 1 (global.get $v))))
          (local.set $hash (call $mix (local.get $hash) (i64.extend_i32_u (ref.is_null (global.get $r)))))
          (local.set $hash (call $mix (local.get $hash) (i64.extend_i32_u (global.get 7))))
          (local.set $hash (call $mix (local.get $hash) (i64.extend_i32_u (call_indirect $t (type $number) (i32.const 0)))))
          (local.set $hash (call $mix (local.get $hash) (i64.extend_i32_u (global.get $fixed))))
          (global.set $i (i32.const 1)) (global.set $I (i64.const 1)) (global.set $f (f32.const 1)) (global.set $F (f64.const 1))
          (global.set $v (v128.const i64x2 1 1)) (global.set $r (ref.null func)) (global.set 7 (i32.const 9))
          (if (i32.eq (i32.load (local.get $input)) (i32.const 1)) (then (drop (memory.grow (i32.const 1)))
            (i64.store (i32.sub (i32.shl (memory.size) (i32.const 16)) (i32.const 8)) (i64.const -1))))
          (local.set $input (i32.add (local.get $input) (i32.const 4)))
          (loop $each
            (if (i32.lt_u (local.get $input) (local.get $end)) (then
              (memory.fill (i32.load (local.get $input)) (i32.const 0xa5) (i32.load offset=4 (local.get $input)))
              (local.set $input (i32.add (local.get $input) (i32.const 8)))
              (br $each))))
          (local.set $input (i32.load (local.get $call)))
          (if (i32.eq (i32.load (local.get $input)) (i32.const 2)) (then unreachable))
          (i64.store (i32.const 0) (local.get $hash))
          (call $out (i32.const 0) (i32.const 8))
          (i32.const 0)))""";

  /** Few bytes, which are copied; many, which are mapped; and what an initialisation has come to. */
  private static final String FEW = "(data (i32.const 70000) \"some bytes\") (data (i32.const 8) \"others\")";

  @TempDir
  Path directory;

  private TestBackend node;

  @BeforeEach
  void open() {
    node = new TestBackend(directory);
  }

  @AfterEach
  void close() {
    node.close();
    assertEquals(0, node.backend.guestMemory());
  }

  private static byte[] everything(String kind) {
    String data = switch (kind) {
      case "few" -> FEW;
      case "many" -> "(data (i32.const 4100) \"" + "many bytes".repeat(10_000) + "\") (data (i32.const 1000000) \"end\")";
      case "none" -> "";
      default -> FEW + "(func (export \"_initialize\") (memory.fill (i32.const 300000) (i32.const 77) (i32.const 200000)) (global.set $I (i64.const 12)))";
    };
    return TestBackend.wasm(EVERYTHING.formatted(PAGES, data, PAGES << 16));
  }

  private static Sandbox start(PreparedFunction prepared) throws InterruptedException {
    return prepared.start(new StartContext("sandbox", Instant.now().plusSeconds(60), GuestLog.NONE));
  }

  private static byte[] call(Sandbox sandbox, byte[] input) throws InterruptedException {
    var output = new ByteArrayOutputStream();
    sandbox.call(new Call("call", CallInput.of(input), output, GuestLog.NONE, Instant.now().plusSeconds(60)));
    ((Resettable) sandbox).reset();
    return output.toByteArray();
  }

  /** Always as long: what is behind it counts. */
  private static byte[] input(int end, int... ranges) {
    ByteBuffer input = ByteBuffer.allocate(4 + 8 * MOST_RANGES).order(ByteOrder.LITTLE_ENDIAN).putInt(end);
    for (int one : ranges) {
      input.putInt(one);
    }
    return input.array();
  }

  /** Of so many calls' writes. */
  private static int[] ranges(Random random, int number, int most) {
    int[] ranges = new int[2 * number];
    for (int i = 0; i < number; i++) {
      ranges[2 * i + 1] = random.nextInt(most);
      ranges[2 * i] = random.nextInt((PAGES << 16) - ranges[2 * i + 1]);
    }
    return ranges;
  }

  @ParameterizedTest
  @ValueSource(strings = {"none", "few", "many", "initialised"})
  void noByteAndNoGlobalOfACallIsThereForTheNext(String kind) throws Exception {
    assumeTrue(Rewinder.possible());
    try (PreparedFunction prepared = node.prepare(everything(kind), Limits.DEFAULT); Sandbox sandbox = start(prepared)) {
      assertTrue(prepared.describe().get("reset").startsWith("an instance serves one call after the other"), prepared.describe().toString());
      long first = ByteBuffer.wrap(call(sandbox, input(ENDS, 0, 8))).getLong();
      Random random = new Random(5);
      long made = node.instances.get();
      for (int i = 0; i < 100; i++) {
        // Few pages, all pages, and in between; what ends the instance, too.
        int[] ranges = switch (i % 5) {
          case 0 -> new int[] {0, PAGES << 16};
          case 1 -> ranges(random, 3, 20);
          case 2 -> ranges(random, MOST_RANGES, 3 * PAGE);
          // In the room for calls, behind this one's input.
          case 3 -> new int[] {(PAGES << 16) + 40_000, 10_000};
          default -> ranges(random, 1 + random.nextInt(6), 2 * PAGE);
        };
        assertEquals(first, ByteBuffer.wrap(call(sandbox, input(ENDS, ranges))).getLong(), "call " + i);
      }
      assertEquals(made, node.instances.get(), "instances made");
      assertThrows(InstarException.class, () -> call(sandbox, input(TRAPS, 0, PAGES << 16)));
      ((Resettable) sandbox).reset();
      assertEquals(first, ByteBuffer.wrap(call(sandbox, input(GROWS, 16, 9 * PAGE))).getLong());
      assertEquals(first, ByteBuffer.wrap(call(sandbox, input(ENDS, 0, 100))).getLong());
      assertEquals(made + 2, node.instances.get(), "instances made");
    }
  }

  @Test
  void noByteAndNoGlobalIsThereForOthersAtTheSameTime() throws Exception {
    try (PreparedFunction few = node.prepare(everything("few"), Limits.DEFAULT); PreparedFunction many = node.prepare(everything("many"), Limits.DEFAULT);
        ExecutorService pool = Executors.newFixedThreadPool(6)) {
      List<Future<Boolean>> all = new ArrayList<>();
      AtomicBoolean failed = new AtomicBoolean();
      for (int i = 0; i < 6; i++) {
        PreparedFunction mine = i % 2 == 0 ? few : many;
        long expected;
        try (Sandbox sandbox = start(mine)) {
          expected = ByteBuffer.wrap(call(sandbox, input(ENDS, 0, 8))).getLong();
        }
        Random random = new Random(i);
        Callable<Boolean> caller = () -> {
          for (int sandboxes = 0; sandboxes < 4 && !failed.get(); sandboxes++) {
            try (Sandbox sandbox = start(mine)) {
              for (int calls = 0; calls < 15; calls++) {
                long found = ByteBuffer.wrap(call(sandbox, input(random.nextInt(8) == 0 ? GROWS : ENDS, ranges(random, 1 + random.nextInt(30), 4 * PAGE)))).getLong();
                if (found != expected) {
                  failed.set(true);
                }
              }
            }
          }
          return !failed.get();
        };
        all.add(pool.submit(caller));
      }
      for (Future<Boolean> one : all) {
        assertTrue(one.get());
      }
    }
  }

  /** Each changes what the next call would find, and traps when it finds it changed. */
  @ParameterizedTest
  @ValueSource(strings = {
      "(if (i32.eqz (ref.is_null (table.get $t (i32.const 1)))) (then unreachable)) (table.set $t (i32.const 1) (ref.func $f))",
      "(if (i32.ne (table.grow $t (ref.null func) (i32.const 1)) (i32.const 3)) (then unreachable))",
      "(if (ref.is_null (table.get $t (i32.const 0))) (then unreachable)) (table.fill $t (i32.const 0) (ref.null func) (i32.const 3))",
      "(if (i32.eqz (ref.is_null (table.get $t (i32.const 1)))) (then unreachable)) (table.copy $t $t (i32.const 1) (i32.const 0) (i32.const 1))",
      "(if (i32.eqz (ref.is_null (table.get $t (i32.const 1)))) (then unreachable)) (table.init $t $e (i32.const 1) (i32.const 0) (i32.const 1))",
      "(table.init $t $e (i32.const 0) (i32.const 0) (i32.const 1)) (elem.drop $e)",
      "(memory.init $d (i32.const 0) (i32.const 0) (i32.const 1)) (data.drop $d)"})
  void noTableAndNoSegmentOfACallIsThereForTheNext(String changes) throws Exception {
    // Blocks, branches, vectors and numbers before it, so that it is found only by who reads all of them.
    byte[] module = TestBackend.wasm("""
        (module (memory (export "memory") 1) (table $t 3 10 funcref) (elem (i32.const 0) $f) (elem $e funcref (ref.func $f)) (data $d "x")
          (type $v (func)) (global $g (mut i32) (i32.const 0))
          (func $f)
          (func (export "_start") (local f32 f64 v128 i64) (local $n i32)
            (block $a (loop $b (block $c (br_table $a $b $c $a (i32.const 2))))
              (local.set 2 (i8x16.shuffle 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 (v128.const i32x4 0x26262626 11 0xfc0f 0x0b0b0b0b) (v128.load offset=38 (i32.const 38))))
              (local.set 2 (v128.load32_lane offset=300 align=1 3 (i32.const 0) (local.get 2))) (v128.store64_lane 1 (i32.const 8) (local.get 2))
              (local.set 2 (v128.load64_zero (i32.const 38))) (drop (i8x16.extract_lane_s 11 (local.get 2)))
              (local.set 0 (f32.const 0x1.26260bp3)) (local.set 1 (f64.const 0x1.2626260b0bp7)) (local.set 3 (i64.const -0x2626262626))
              (drop (select (result i32) (i32.const 38) (i32.const 1) (i32.const 0)))
              (drop (i64.trunc_sat_f64_u (local.get 1))) (memory.copy (i32.const 0) (i32.const 38) (i32.const 11)) (memory.fill (i32.const 0) (i32.const 0) (i32.const 38))
              (drop (table.size $t)) (drop (memory.grow (i32.const 0))) (drop (ref.is_null (ref.null func))) (drop (ref.func $f))
              (call_indirect $t (type $v) (i32.const 0)))
            (if (i32.eqz (local.tee $n (i32.const 38))) (then nop) (else (call $f)))
            %s))""".formatted(changes));
    try (PreparedFunction prepared = node.prepare(module, Limits.DEFAULT); Sandbox sandbox = start(prepared)) {
      assertTrue(prepared.describe().get("reset").startsWith("each call has an instance of its own"));
      call(sandbox, new byte[0]);
      call(sandbox, new byte[0]);
    }
    byte[] without = TestBackend.wasm("""
        (module (memory (export "memory") 1) (table $t 3 10 funcref) (elem (i32.const 0) $f) (elem $e funcref (ref.func $f)) (data $d "x")
          (func $f) (func (export "_start") (drop (table.get $t (i32.const 0))) (memory.init $d (i32.const 0) (i32.const 0) (i32.const 1))))""");
    try (PreparedFunction prepared = node.prepare(without, Limits.DEFAULT)) {
      assertEquals(Rewinder.possible(), prepared.describe().get("reset").startsWith("an instance serves"));
    }
  }

  @Test
  void instancesThatWaitMakeRoomForOthers() throws Exception {
    try (TestBackend small = new TestBackend(directory.resolve("small"), "instances", 2);
        PreparedFunction one = small.prepare(everything("few"), Limits.DEFAULT); PreparedFunction other = small.prepare(everything("none"), Limits.DEFAULT);
        Sandbox first = start(one); Sandbox second = start(one); Sandbox third = start(other)) {
      long expected = ByteBuffer.wrap(call(first, input(ENDS, 0, 8))).getLong();
      // Neither of the two is brought back.
      for (Sandbox each : List.of(first, second)) {
        each.call(new Call("call", CallInput.of(input(ENDS, 0, 64)), new ByteArrayOutputStream(), GuestLog.NONE, Instant.now().plusSeconds(60)));
      }
      call(third, input(ENDS, 0, 8));
      ((Resettable) first).reset();
      ((Resettable) second).reset();
      assertEquals(expected, ByteBuffer.wrap(call(first, input(ENDS, 0, 8))).getLong());
      assertEquals(expected, ByteBuffer.wrap(call(second, input(ENDS, 0, 8))).getLong());
      call(third, input(ENDS, 0, 8));
    }
  }
}
