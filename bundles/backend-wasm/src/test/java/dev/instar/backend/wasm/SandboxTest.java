package dev.instar.backend.wasm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.function.Limits;
import dev.instar.api.sandbox.PreparedFunction;
import dev.instar.api.sandbox.Sandbox;
import dev.instar.tck.capability.RequiresCapability;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** State, traps and kills, beyond what the conformance suite asks of any backend. */
@RequiresCapability("wabt")
@Timeout(120)
class SandboxTest extends NodeTest {
  private static byte[] reactor(String declarations, String body) {
    return Wat.compile("(module (memory (export \"memory\") 1) " + declarations
        + " (func (export \"exec\") (param $m i32) (result i32) (local $o i32) "
        + "(local.set $o (i32.load (i32.add (local.get $m) (i32.const 4)))) (i32.store (i32.add (local.get $m) (i32.const 24)) (i32.const 8)) "
        + body + " (i32.const 0)))");
  }

  private static String answer(int at, String value) {
    return "(i32.store8 (i32.add (local.get $o) (i32.const " + at + ")) " + value + ")";
  }

  // ---- state ----

  /** Answers what it finds in its memory, a global, a table, the sizes of both, a segment and an element segment, and then changes all of these. */
  private static final byte[] CANARY = reactor("""
      (global $g (mut i32) (i32.const 7))
      (table $t 2 100 funcref)
      (func $f (result i32) (i32.const 1))
      (func $h (result i32) (i32.const 2))
      (elem (i32.const 0) $f)
      (elem $passive func $h)
      (data $segment "S")
      (type $r (func (result i32)))
      (func (export "_initialize")
        (global.set $g (i32.add (global.get $g) (i32.const 1)))
        (i32.store8 (i32.const 40000) (i32.add (i32.load8_u (i32.const 40000)) (i32.const 5)))
        (drop (table.grow $t (ref.null func) (i32.const 3))))
      (func (export "_faasm_zygote") (result i32)
        (global.set $g (i32.add (global.get $g) (i32.const 10))) (i32.const 0))
      """,
      answer(0, "(i32.load8_u (i32.const 40000))") + answer(1, "(global.get $g)") + answer(2, "(table.size $t)")
          + answer(3, "(call_indirect (type $r) (i32.const 0))") + answer(4, "(memory.size)")
          + "(memory.init $segment (i32.const 100) (i32.const 0) (i32.const 1))" + answer(5, "(i32.load8_u (i32.const 100))")
          + "(table.init $t $passive (i32.const 4) (i32.const 0) (i32.const 1))" + answer(6, "(call_indirect (type $r) (i32.const 4))")
          + answer(7, "(i32.load8_u (i32.const 50000))")
          + "(memory.fill (i32.const 0) (i32.const 67) (i32.const 65536)) (global.set $g (i32.const 99)) "
          + "(drop (table.grow $t (ref.null func) (i32.const 9)))"
          + "(table.set $t (i32.const 0) (ref.func $h)) (data.drop $segment) (elem.drop $passive) (drop (memory.grow (i32.const 2)))");

  @Test
  void everyCallFindsTheSnapshot() {
    byte[] fresh = {5, 18, 5, 1, 4, 'S', 2, 0};
    try (PreparedFunction prepared = node.prepare(CANARY); Sandbox one = TestNode.start(prepared); Sandbox other = TestNode.start(prepared)) {
      // The convention's own pages are at the end of the memory: 1 page of the module's and 3 of these.
      for (int i = 0; i < 300; i++) {
        assertArrayEquals(fresh, TestNode.call(i % 3 == 0 ? other : one, "canary " + i).good().output(), "call " + i);
      }
      assertTrue(prepared.describe().get("initialised").contains("_initialize, _faasm_zygote"), prepared.describe().toString());
    }
  }

  @Test
  void noByteOfAnEarlierCallIsInMemory() {
    // Adds up all bytes of its memory, grown by 20 pages, but for what lies between the struct and its own output; then fills it all.
    byte[] module = reactor("""
        (global $sum (mut i32) (i32.const 0))
        (func $add (param $from i32) (param $to i32)
          (loop $next
            (if (i32.lt_u (local.get $from) (local.get $to))
              (then
                (global.set $sum (i32.add (global.get $sum) (i32.load8_u (local.get $from))))
                (local.set $from (i32.add (local.get $from) (i32.const 1)))
                (br $next)))))
        """, """
        (drop (memory.grow (i32.const 20)))
        (call $add (i32.const 0) (local.get $m))
        (call $add (local.get $o) (i32.mul (memory.size) (i32.const 65536)))
        (i32.store (local.get $o) (global.get $sum))
        (memory.fill (i32.const 0) (i32.const 67) (local.get $m))
        (memory.fill (i32.add (local.get $o) (i32.const 8)) (i32.const 67)
          (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.add (local.get $o) (i32.const 8))))
        """);
    try (PreparedFunction prepared = node.prepare(module); Sandbox one = TestNode.start(prepared); Sandbox other = TestNode.start(prepared)) {
      for (int i = 0; i < 50; i++) {
        assertArrayEquals(new byte[8], TestNode.call(i % 3 == 0 ? other : one, "CANARY".repeat(i * 100)).good().output(), "call " + i);
      }
    }
  }

  /**
   * Answers a sum over all that it can see (every word of its memory, that it grows by zeros, its sizes, globals, tables, segments), then changes all
   * of it, as much of the memory as the second byte of its input says, and ends as the first byte says.
   */
  private static final String WITNESS = """
      (module
        (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory 12 40)
        (data (i32.const 70000) "an active segment")
        (data $passive "a passive segment")
        (global $a (mut i32) (i32.const 5))
        (global $b (mut i64) (i64.const 6))
        (global $c (mut f64) (f64.const 7.5))
        (table $t 4 60 funcref)
        (table $u 1 60 externref)
        (elem (table $t) (i32.const 0) func $one $two)
        (elem $late func $two)
        (type $number (func (result i32)))
        (func $one (result i32) (i32.const 1))
        (func $two (result i32) (i32.const 2))
        (func $deep (call $deep))
        (func $begin
          (i64.store (i32.const 700000) (i64.const 0x1122334455667788))
          (memory.fill (i32.const 300000) (i32.const 9) (i32.const 50000))
          (global.set $b (i64.const 66))
          (drop (table.grow $u (ref.null extern) (i32.const 2)))
          (drop (memory.grow (i32.const 1))))
        (start $begin)
        (func $sum (param $s i64) (result i64) (local $at i32) (local $end i32)
          (local.set $end (i32.mul (memory.size) (i32.const 65536)))
          (loop $words
            (local.set $s (i64.add (i64.mul (local.get $s) (i64.const 1099511628211)) (i64.load (local.get $at))))
            (br_if $words (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 8))) (local.get $end))))
          (local.get $s))
        (func $mix (param $s i64) (param $v i64) (result i64)
          (i64.xor (i64.mul (local.get $s) (i64.const 31)) (local.get $v)))
        (func (export "_start") (local $s i64) (local $how i32)
          (local.set $s (call $sum (i64.const 1)))
          (local.set $s (call $mix (local.get $s) (i64.extend_i32_u (memory.grow (i32.const 3)))))
          (local.set $s (call $sum (local.get $s)))
          (local.set $s (call $mix (local.get $s) (i64.extend_i32_u (global.get $a))))
          (local.set $s (call $mix (local.get $s) (global.get $b)))
          (local.set $s (call $mix (local.get $s) (i64.reinterpret_f64 (global.get $c))))
          (local.set $s (call $mix (local.get $s) (i64.extend_i32_u (table.size $t))))
          (local.set $s (call $mix (local.get $s) (i64.extend_i32_u (table.size $u))))
          (local.set $s (call $mix (local.get $s) (i64.extend_i32_u (call_indirect $t (type $number) (i32.const 0)))))
          (local.set $s (call $mix (local.get $s) (i64.extend_i32_u (call_indirect $t (type $number) (i32.const 1)))))
          (local.set $s (call $mix (local.get $s) (i64.extend_i32_u (ref.is_null (table.get $t (i32.const 2))))))
          (memory.init $passive (i32.const 100) (i32.const 0) (i32.const 17))
          (local.set $s (call $mix (local.get $s) (i64.load (i32.const 107))))
          (table.init $t $late (i32.const 3) (i32.const 0) (i32.const 1))
          (local.set $s (call $mix (local.get $s) (i64.extend_i32_u (call_indirect $t (type $number) (i32.const 3)))))
          (i32.store (i32.const 0) (i32.const 32))
          (i32.store (i32.const 4) (i32.const 2))
          (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
          (local.set $how (i32.load8_u (i32.const 32)))
          (i32.store (i32.const 4) (i32.const 8))
          (if (i32.load8_u (i32.const 33))
            (then (memory.fill (i32.const 64) (i32.const 67) (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 64))))
            (else (i32.store8 (i32.const 699999) (i32.const 67)) (i32.store8 (i32.const 900000) (i32.const 67))))
          (i64.store (i32.const 32) (local.get $s))
          (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
          (global.set $a (i32.const 67)) (global.set $b (i64.const 67)) (global.set $c (f64.const 67))
          (table.fill $t (i32.const 0) (ref.func $two) (table.size $t))
          (drop (table.grow $t (ref.func $one) (i32.const 9)))
          (drop (table.grow $u (ref.null extern) (i32.const 9)))
          (data.drop $passive) (elem.drop $late)
          (if (i32.eq (local.get $how) (i32.const 1)) (then unreachable))
          (if (i32.eq (local.get $how) (i32.const 2)) (then (drop (i32.load (i32.const -4)))))
          (if (i32.eq (local.get $how) (i32.const 3)) (then (call $exit (i32.const 3))))
          (if (i32.eq (local.get $how) (i32.const 4)) (then (call $deep)))
          (if (i32.eq (local.get $how) (i32.const 5)) (then (drop (i32.div_u (i32.const 1) (i32.const 0)))))
          (if (i32.eq (local.get $how) (i32.const 6)) (then (drop (call $write (i32.const 1) (i32.const -8) (i32.const 1) (i32.const 8)))))))""";

  @Test
  void nothingOfACallIsSeenByTheNextHoweverItEnded() {
    byte[] module = Wat.compile(WITNESS);
    try (PreparedFunction prepared = node.prepare(module)) {
      List<Sandbox> sandboxes = new ArrayList<>(List.of(TestNode.start(prepared), TestNode.start(prepared), TestNode.start(prepared)));
      byte[] first = TestNode.call(sandboxes.getFirst(), new byte[2]).good().output();
      assertEquals(8, first.length);
      for (int i = 0; i < 210; i++) {
        int at = i % sandboxes.size();
        byte how = (byte) (i % 7);
        TestNode.Answer answer = TestNode.call(sandboxes.get(at), new byte[] {how, (byte) (i / 7 % 2)});
        assertEquals(how == 0, answer.failure().isEmpty(), "call " + i);
        assertArrayEquals(first, answer.output(), "call " + i);
        if (i % 10 == 9) {
          // The next one has the memory of this one.
          sandboxes.get(at).close();
          sandboxes.set(at, TestNode.start(prepared));
        }
      }
      sandboxes.forEach(Sandbox::close);
    }
  }

  @Test
  void waitingSandboxesAreChargedWhatTheyKeep() {
    byte[] module = Wat.compile(WITNESS);
    try (PreparedFunction prepared = node.prepare(module)) {
      long image = node.backend.guestMemory();
      Sandbox sandbox = TestNode.start(prepared);
      long started = node.backend.guestMemory();
      TestNode.call(sandbox, new byte[] {0, 1}).good();
      long many = node.backend.guestMemory();
      TestNode.call(sandbox, new byte[2]).good();
      long few = node.backend.guestMemory();
      assertTrue(image >= 65536 && started > image, image + " " + started);
      assertTrue(many - started < 600_000 && few - started < 600_000, many + " " + few + " after " + started);
      sandbox.close();
      assertEquals(image, node.backend.guestMemory());
    }
  }

  @Test
  @EnabledOnOs(OS.LINUX)
  void closedFunctionsLeaveNoDescriptorAndNoMapping() throws Exception {
    byte[] module = Wat.compile(WITNESS);
    long descriptors = imageDescriptors();
    long mappings = imageMappings();
    for (int i = 0; i < 20; i++) {
      try (PreparedFunction prepared = node.prepare(module); Sandbox one = TestNode.start(prepared); Sandbox other = TestNode.start(prepared)) {
        TestNode.call(one, new byte[2]).good();
        TestNode.call(other, new byte[2]).good();
        assertTrue(imageDescriptors() > descriptors && imageMappings() > mappings, "the image is no memfd, or has another name");
      }
    }
    assertEquals(descriptors, imageDescriptors());
    assertEquals(mappings, imageMappings());
  }

  private static long imageDescriptors() throws IOException {
    try (var all = Files.list(Path.of("/proc/self/fd"))) {
      return all.filter(fd -> {
        try {
          return Files.readSymbolicLink(fd).toString().contains("instar-image");
        } catch (IOException e) {
          // That of the listing itself, which is closed by now.
          return false;
        }
      }).count();
    }
  }

  private static long imageMappings() throws IOException {
    return Files.readAllLines(Path.of("/proc/self/maps")).stream().filter(line -> line.contains("instar-image")).count();
  }

  @Test
  void filesAreThoseOfTheBundleInEveryCall() throws Exception {
    Path rootfs = Files.createDirectories(directory.resolve("rootfs"));
    Files.writeString(rootfs.resolve("state"), "bundle");
    // Appends its input to the file, and answers the file.
    byte[] module = Wat.compile("""
        (module
          (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "fd_pread" (func $pread (param i32 i32 i32 i64 i32) (result i32)))
          (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
          (memory 1)
          (data (i32.const 100) "state")
          (func (export "_start")
            (i32.store (i32.const 0) (i32.const 1000))
            (i32.store (i32.const 4) (i32.const 1000))
            (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
            (if (call $open (i32.const 3) (i32.const 1) (i32.const 100) (i32.const 5) (i32.const 0)
                  (i64.const 70) (i64.const 0) (i32.const 1) (i32.const 16))
              (then (unreachable)))
            (i32.store (i32.const 4) (i32.load (i32.const 8)))
            (drop (call $write (i32.load (i32.const 16)) (i32.const 0) (i32.const 1) (i32.const 8)))
            (i32.store (i32.const 4) (i32.const 1000))
            (drop (call $pread (i32.load (i32.const 16)) (i32.const 0) (i32.const 1) (i64.const 0) (i32.const 8)))
            (i32.store (i32.const 4) (i32.load (i32.const 8)))
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))""");
    try (PreparedFunction prepared = node.prepare(node.image(module, Optional.of(rootfs)), Limits.DEFAULT, Map.of(), Duration.ofSeconds(60));
        Sandbox one = TestNode.start(prepared); Sandbox other = TestNode.start(prepared)) {
      for (int i = 0; i < 20; i++) {
        assertEquals("bundle+" + i, TestNode.call(i % 3 == 0 ? other : one, "+" + i).text());
      }
      assertTrue(prepared.describe().get("files").contains("rootfs"), prepared.describe().toString());
    }
    assertEquals("bundle", Files.readString(rootfs.resolve("state")));
  }

  // ---- traps ----

  @ParameterizedTest
  @CsvSource(delimiter = '|', value = {
      "unreachable | unreachable",
      "(drop (i32.div_s (i32.const 1) (i32.const 0))) | integer divide by zero",
      "(drop (i64.rem_u (i64.const 1) (i64.const 0))) | integer divide by zero",
      "(drop (i32.div_s (i32.const 0x80000000) (i32.const -1))) | integer overflow",
      "(drop (i32.trunc_f32_s (f32.const nan))) | invalid conversion to integer",
      "(drop (i32.trunc_f64_s (f64.const 1e30))) | integer overflow",
      "(drop (i32.load (i32.const 65533))) | out of bounds memory access",
      "(drop (i64.load offset=4294967295 (i32.const 100))) | out of bounds memory access",
      "(i32.store (i32.const -4) (i32.const 1)) | out of bounds memory access",
      "(memory.fill (i32.const 65530) (i32.const 1) (i32.const 100)) | out of bounds memory access",
      "(memory.copy (i32.const 0) (i32.const 65530) (i32.const 100)) | out of bounds memory access",
      "(drop (table.get 0 (i32.const 10))) | out of bounds table access",
      "(call_indirect (i32.const 10)) | undefined element",
      "(call_indirect (i32.const 1)) | uninitialized element",
      "(drop (call_indirect (result i32) (i32.const 0))) | indirect call type mismatch",
      "(call $deep) | call stack exhausted"})
  void trapsAreNamedByTheSpecification(String instruction, String words) {
    byte[] module = Wat.compile("(module (memory 1) (table 3 funcref) (func $f) (elem (i32.const 0) $f) (func $deep (call $deep)) "
        + "(func (export \"_start\") " + instruction + "))");
    InstarException e = node.once(module, "").bad();
    assertEquals(words.equals("call stack exhausted") ? ErrorCode.STACK_OVERFLOW : ErrorCode.FUNCTION_TRAPPED, e.code());
    assertEquals(words, e.problem().members().get("trap"));
    assertTrue(e.problem().detail().contains(words), e.problem().detail());
    assertFalse(e.problem().detail().matches("(?s).*(Exception|\\.java|dylibso|func_).*"), e.problem().detail());
  }

  @Test
  void aTrapTellsItsFunction() {
    byte[] module = Wat.compile("(module (func $ok) (func $bad unreachable) (func (export \"_start\") (call $ok) (call $bad)))");
    assertTrue(node.once(module, "").bad().problem().detail().contains("function 1"), () -> node.once(module, "").bad().problem().detail());
  }

  // ---- kills ----

  /** A function over the 64 KiB that a JVM method may have, which ends in these instructions. */
  private static byte[] interpreted(String end) {
    String filler = IntStream.range(0, 12_000).mapToObj(i -> "(local.set 0 (i32.add (local.get 0) (i32.const " + i + ")))")
        .collect(Collectors.joining("\n"));
    return Wat.compile("(module (memory 1) (func $large (param i32) (result i32) (if (i32.eqz (local.get 0)) (then " + filler + ")) " + end + ") "
        + "(func (export \"_start\") (drop (call $large (i32.const 1)))))");
  }

  @ParameterizedTest
  @ValueSource(strings = {
      "(loop $l (br $l)) (unreachable)",
      "(loop $l (br_if $l (i32.const 1))) (unreachable)",
      "(loop $l (br_table $l $l (i32.const 0))) (unreachable)",
      "(loop $l (local.set 0 (i32.add (local.get 0) (i32.const 1))) (br_if $l (local.get 0)) (br $l)) (unreachable)",
      "(return_call $large (i32.const 1))"})
  void aLoopInAnInterpretedFunctionCanBeKilled(String loop) throws Exception {
    try (PreparedFunction prepared = node.prepare(interpreted(loop))) {
      assertEquals("1 functions compiled, 1 interpreted", prepared.describe().get("code"));
      killed(prepared);
    }
    // The same from the cache.
    try (PreparedFunction prepared = node.prepare(interpreted(loop))) {
      assertEquals("1 functions compiled, 1 interpreted, from the cache", prepared.describe().get("code"));
      killed(prepared);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {
      "(loop $l (br $l))",
      "(loop $l (br_if $l (i32.const 1)))",
      "(loop $l (br_table $l $l (i32.const 0)))",
      "(drop (call $fibonacci (i32.const 100)))",
      "(drop (call $indirect (i32.const 100)))",
      "(loop $l (memory.fill (i32.const 0) (i32.const 1) (i32.const 65536)) (br $l))"})
  void computationsCanBeKilled(String body) throws Exception {
    // Recursion without a loop, and without end for all that anybody will see.
    byte[] module = Wat.compile("(module (memory 1) (table 1 funcref) (elem (i32.const 0) $indirect) (type $t (func (param i32) (result i32))) "
        + "(func $fibonacci (type $t) (if (result i32) (i32.lt_u (local.get 0) (i32.const 2)) (then (local.get 0)) (else (i32.add "
        + "(call $fibonacci (i32.sub (local.get 0) (i32.const 1))) (call $fibonacci (i32.sub (local.get 0) (i32.const 2))))))) "
        + "(func $indirect (type $t) (if (result i32) (i32.lt_u (local.get 0) (i32.const 2)) (then (local.get 0)) (else (i32.add "
        + "(call_indirect (type $t) (i32.sub (local.get 0) (i32.const 1)) (i32.const 0)) "
        + "(call_indirect (type $t) (i32.sub (local.get 0) (i32.const 2)) (i32.const 0)))))) "
        + "(func (export \"_start\") " + body + "))");
    try (PreparedFunction prepared = node.prepare(module)) {
      killed(prepared);
    }
  }

  private static void killed(PreparedFunction prepared) throws Exception {
    try (ExecutorService pool = Executors.newSingleThreadExecutor(); Sandbox sandbox = TestNode.start(prepared)) {
      Future<TestNode.Answer> call = pool.submit(() -> TestNode.call(sandbox, ""));
      Thread.sleep(100);
      assertFalse(call.isDone());
      sandbox.kill();
      assertEquals(ErrorCode.TIMED_OUT, call.get(20, TimeUnit.SECONDS).bad().code());
      assertFalse(pool.submit(() -> Thread.currentThread().isInterrupted()).get(), "the thread is interrupted still");
      assertFalse(sandbox.reusable());
    }
  }

  @Test
  void noInterruptLeaksToTheNextTaskOfAThread() throws Exception {
    Random random = new Random(3);
    try (PreparedFunction echo = node.prepare(Wat.file("command/echo")); ExecutorService pool = Executors.newSingleThreadExecutor()) {
      for (int i = 0; i < 300; i++) {
        Sandbox sandbox = TestNode.start(echo);
        Future<TestNode.Answer> call = pool.submit(() -> TestNode.call(sandbox, "racing"));
        Future<Boolean> after = pool.submit(() -> Thread.currentThread().isInterrupted());
        long until = System.nanoTime() + random.nextInt(300_000);
        while (System.nanoTime() < until) {
          Thread.onSpinWait();
        }
        sandbox.kill();
        try {
          call.get().failure().ifPresent(e -> assertEquals(ErrorCode.TIMED_OUT, e.code()));
        } catch (ExecutionException e) {
          // The kill came between the call and the reset, which says so, too.
          assertEquals(ErrorCode.TIMED_OUT, assertInstanceOf(InstarException.class, e.getCause()).code());
        }
        assertFalse(after.get());
        sandbox.close();
      }
    }
  }

  @Test
  void stoppingEndsPreparationsThatRunOrWait() throws Exception {
    byte[] endless = Wat.compile("(module (memory 1) (func $loop (loop $l (br $l))) (start $loop) (func (export \"_start\")))");
    try (ExecutorService pool = Executors.newFixedThreadPool(2)) {
      List<Future<InstarException>> both = new ArrayList<>();
      for (int i = 0; i < 2; i++) {
        both.add(pool.submit(() -> assertThrows(InstarException.class, () -> node.prepare(endless))));
      }
      Thread.sleep(300);
      node.close();
      for (Future<InstarException> ended : both) {
        assertEquals(ErrorCode.NOT_READY, ended.get(20, TimeUnit.SECONDS).code());
      }
      assertEquals(ErrorCode.NOT_READY, assertThrows(InstarException.class, () -> node.prepare(endless)).code());
    }
  }

  // ---- limits ----

  @Test
  void memoryThatIsTouchedIsBoundedForTheWholeNode() {
    reopen("guest$_$memory$_$bytes", 4L << 20);
    byte[] hungry = reactor("", "(drop (memory.grow (i32.const 32))) (memory.fill (i32.const 70000) (i32.const 1) (i32.const 1500000))");
    List<Sandbox> sandboxes = new ArrayList<>();
    try (PreparedFunction prepared = node.prepare(hungry)) {
      for (int i = 0; i < 20; i++) {
        sandboxes.add(TestNode.start(prepared));
        TestNode.call(sandboxes.getLast(), "").good();
      }
      byte[] greedy = reactor("", "(drop (memory.grow (i32.const 200))) (memory.fill (i32.const 0) (i32.const 1) (i32.const 9000000))");
      InstarException e = node.once(greedy, "").bad();
      assertEquals(ErrorCode.OUT_OF_MEMORY, e.code());
      assertTrue(e.problem().detail().contains("guest-memory-bytes") && e.problem().detail().contains("4194304"), e.problem().detail());
      // No time will make it fit.
      assertTrue(e.problem().retryAfter().isEmpty());
      TestNode.call(sandboxes.getFirst(), "").good();
      sandboxes.forEach(Sandbox::close);
    }
  }

  @Test
  void tablesAreBounded() {
    reopen("table$_$elements", 1000);
    byte[] grow = reactor("(table $a 10 funcref) (table $b 10 funcref)",
        answer(0, "(i32.eq (table.grow $a (ref.null func) (i32.const 900)) (i32.const 10))")
            + answer(1, "(i32.eq (table.grow $b (ref.null func) (i32.const 900)) (i32.const -1))")
            + answer(2, "(i32.eq (table.grow $b (ref.null func) (i32.const 0x7fffffff)) (i32.const -1))")
            + answer(3, "(i32.eq (table.grow $b (ref.null func) (i32.const -1)) (i32.const -1))"));
    try (PreparedFunction prepared = node.prepare(grow); Sandbox sandbox = TestNode.start(prepared)) {
      for (int i = 0; i < 3; i++) {
        assertArrayEquals(new byte[] {1, 1, 1, 1, 0, 0, 0, 0}, TestNode.call(sandbox, "").good().output());
      }
    }
    InstarException e = assertThrows(InstarException.class, () -> node.prepare(reactor("(table 1001 funcref)", "")));
    assertTrue(e.problem().detail().contains("1001") && e.problem().detail().contains("1000"), e.problem().detail());
  }

  @Test
  void growingPastTheLimitGivesMinusOne() {
    byte[] grow = reactor("", answer(0, "(i32.eq (memory.grow (i32.const 100)) (i32.const -1))")
        + answer(1, "(i32.ne (memory.grow (i32.const 2)) (i32.const -1))"));
    try (PreparedFunction prepared = node.prepare(grow, 10 << 16); Sandbox sandbox = TestNode.start(prepared)) {
      assertArrayEquals(new byte[] {1, 1}, Arrays.copyOf(TestNode.call(sandbox, "").good().output(), 2));
    }
  }

  @Test
  void describesHowItRuns() {
    try (PreparedFunction prepared = node.prepare(Wat.file("command/env"))) {
      var told = prepared.describe();
      assertTrue(told.get("entry").contains("_start"), told.toString());
      assertEquals("environ_get, environ_sizes_get, fd_read, fd_write", told.get("imports"));
      assertTrue(told.get("memory").contains("262144") && told.get("memory").contains("268435456"), told.toString());
      assertEquals("none", told.get("files"));
    }
  }

  @Test
  void argumentsAreTheFunctionsName() {
    byte[] name = Wat.compile("""
        (module
          (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
          (memory 1)
          (func (export "_start")
            (drop (call $sizes (i32.const 0) (i32.const 4)))
            (drop (call $args (i32.const 100) (i32.const 200)))
            (i32.store (i32.const 16) (i32.load (i32.const 100)))
            (i32.store (i32.const 20) (i32.sub (i32.load (i32.const 4)) (i32.const 1)))
            (drop (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 24)))))""");
    assertEquals("tried", node.once(name, "").text());
  }
}
