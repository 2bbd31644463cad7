package dev.instar.backend.wasm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.tck.capability.RequiresCapability;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Wizer, which initialises on wasmtime, writes the same state back as we do. */
@RequiresCapability({"wabt", "wizer"})
@Timeout(120)
class WizerIT {
  @TempDir
  Path directory;

  private byte[] wizer(byte[] module) throws IOException, InterruptedException {
    Path in = Files.write(directory.resolve("in.wasm"), module);
    Path out = directory.resolve("out.wasm");
    Process wizer = new ProcessBuilder("target/wizer/node_modules/.bin/wizer", "-f", "_initialize", in.toString(), "-o", out.toString())
        .redirectErrorStream(true).start();
    wizer.getOutputStream().close();
    String said = new String(wizer.getInputStream().readAllBytes());
    assertTrue(wizer.waitFor(60, TimeUnit.SECONDS) && wizer.exitValue() == 0, said);
    return Files.readAllBytes(out);
  }

  private static void same(Started theirs, Started ours) {
    assertArrayEquals(theirs.memory(), ours.memory());
    assertEquals(theirs.instance().memory().pages(), ours.instance().memory().pages());
    assertEquals(theirs.instance().globalCount(), ours.instance().globalCount());
    for (int i = 0; i < ours.instance().globalCount(); i++) {
      assertEquals(theirs.instance().global(i).getValue(), ours.instance().global(i).getValue(), "global " + i);
    }
    assertEquals(theirs.exports(), ours.exports());
  }

  /** Reactors with state made in the initialisation: numbers of all types, memory that has grown, a list in it, a generator of numbers. */
  @ParameterizedTest
  @ValueSource(strings = {
      """
      (module (memory (export "memory") 1 8) (data (i32.const 16) "\\01\\02\\03")
        (global $i (export "i") (mut i32) (i32.const 0)) (global $l (export "l") (mut i64) (i64.const 0))
        (global $f (export "f") (mut f32) (f32.const 0)) (global $d (export "d") (mut f64) (f64.const 0))
        (func (export "_initialize")
          (global.set $i (i32.const -5)) (global.set $l (i64.const 0x123456789abcdef)) (global.set $f (f32.const nan:0x200001))
          (global.set $d (f64.const -0x1p-1074)) (drop (memory.grow (i32.const 3)))
          (memory.fill (i32.const 100000) (i32.const 9) (i32.const 77777)) (i32.store8 (i32.const 17) (i32.const 0)))
        (func (export "answer") (param i32) (result i64)
          (global.set $i (i32.add (global.get $i) (local.get 0)))
          (i64.add (i64.load (i32.add (i32.const 99990) (local.get 0))) (i64.extend_i32_s (i32.add (global.get $i) (memory.size))))))
      """,
      """
      (module (memory (export "memory") 2)
        (global $seed (mut i64) (i64.const 42))
        (func $next (result i64)
          (global.set $seed (i64.add (i64.mul (global.get $seed) (i64.const 6364136223846793005)) (i64.const 1442695040888963407)))
          (i64.shr_u (global.get $seed) (i64.const 20)))
        (func (export "_initialize") (local $at i32)
          (loop $more
            (i64.store (i32.and (i32.wrap_i64 (call $next)) (i32.const 0x1fff0)) (call $next))
            (br_if $more (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 1))) (i32.const 2000)))))
        (func (export "answer") (param i32) (result i64)
          (i64.xor (call $next) (i64.load (i32.and (i32.wrap_i64 (call $next)) (i32.const 0x1fff0))))))
      """,
      """
      (module (type $t (func (result i64))) (memory (export "memory") 1) (table 4 funcref) (elem (i32.const 1) $one $two)
        (func $one (result i64) (i64.const 1)) (func $two (result i64) (i64.load (i32.const 8)))
        (func $start (i64.store (i32.const 8) (i64.const 22)))
        (func (export "_initialize") (i64.store (i32.const 8) (i64.add (i64.load (i32.const 8)) (i64.const 200))))
        (func (export "answer") (param i32) (result i64) (call_indirect (type $t) (i32.add (i32.const 1) (i32.and (local.get 0) (i32.const 1)))))
        (start $start))
      """})
  void reactorsBeginTheSame(String text) throws Exception {
    byte[] module = Wat.compile(text);
    Started theirs = Started.of(wizer(module));
    Started first = Started.of(module);
    first.call("_initialize");
    Started ours = first.again("_initialize");
    same(theirs, ours);
    assertArrayEquals(first.memory(), ours.memory());
    assertFalse(ours.exports().contains("_initialize"));
    for (long argument : LongStream.range(0, 50).toArray()) {
      long expected = first.call("answer", argument)[0];
      assertEquals(expected, theirs.call("answer", argument)[0]);
      assertEquals(expected, ours.call("answer", argument)[0]);
    }
    same(theirs, ours);
  }

  static Stream<Path> reactors() throws IOException {
    return WrittenBackExamplesIT.examples().filter(example -> {
      try {
        return new String(Files.readAllBytes(example.resolve("function.wasm")), StandardCharsets.ISO_8859_1).contains("_initialize");
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    });
  }

  @ParameterizedTest
  @MethodSource("reactors")
  void examplesBeginTheSame(Path example) throws Exception {
    byte[] module = Files.readAllBytes(example.resolve("function.wasm"));
    Started first = Started.of(module);
    first.call("_initialize");
    same(Started.of(wizer(module)), first.again("_initialize"));
  }
}
