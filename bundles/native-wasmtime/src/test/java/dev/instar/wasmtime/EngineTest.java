package dev.instar.wasmtime;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.data.DataDirectory;
import dev.instar.api.wasmtime.HostFunction;
import dev.instar.api.wasmtime.Wasmtime;
import dev.instar.api.wasmtime.WasmtimeEngine;
import dev.instar.api.wasmtime.WasmtimeException;
import dev.instar.api.wasmtime.WasmtimeInstance;
import dev.instar.api.wasmtime.WasmtimeModule;
import dev.instar.api.wasmtime.WasmtimeTrap;
import dev.instar.api.wasmtime.WasmtimeTrap.Reason;
import dev.instar.tck.capability.NativeLibraries;
import dev.instar.tck.capability.RequiresCapability;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The library through the service. */
@RequiresCapability({"wasmtime", "wabt"})
class EngineTest {
  @TempDir
  static Path directory;

  private static final WasmtimeModule.Host NOBODY = new WasmtimeModule.Host() {};

  private record Own(String name, long[] numbers) implements WasmtimeModule.Host {}

  private static Wasmtime library;
  private static WasmtimeEngine engine;

  @BeforeAll
  static void open() {
    library = new WasmtimeLibrary(data(directory), NativeLibraries.wasmtime().toString(), directory, Optional.empty());
    assertInstanceOf(Wasmtime.Library.Loaded.class, library.library());
    engine = library.engine(new Wasmtime.Settings(3, 2, 1000));
  }

  @AfterAll
  static void close() {
    engine.close();
  }

  static DataDirectory data(Path root) {
    return new DataDirectory() {
      @Override
      public Path root() {
        return root;
      }

      @Override
      public Path area(String name) {
        try {
          return Files.createDirectories(root.resolve(name));
        } catch (IOException e) {
          throw new UncheckedIOException(e);
        }
      }

      @Override
      public Path scratch(String name) {
        return area("scratch-" + name);
      }
    };
  }

  private static byte[] wasm(String text) throws IOException, InterruptedException {
    Path source = Files.writeString(Files.createTempFile(directory, "m", ".wat"), text);
    Path module = Path.of(source + ".wasm");
    Process wat2wasm = new ProcessBuilder("wat2wasm", source.toString(), "-o", module.toString()).inheritIO().start();
    assertEquals(0, wat2wasm.waitFor());
    return Files.readAllBytes(module);
  }

  private static byte[] answer(byte[] module) throws IOException, InterruptedException {
    Process compiler = library.compiler(512).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    try (var in = compiler.getOutputStream()) {
      in.write(module);
    }
    byte[] answer = compiler.getInputStream().readAllBytes();
    assertEquals(0, compiler.waitFor());
    return answer;
  }

  private static WasmtimeModule load(String text, HostFunction... imports) throws Exception {
    byte[] answer = answer(wasm(text));
    assertEquals(Wasmtime.COMPILED, answer[0], () -> new String(answer, StandardCharsets.UTF_8));
    Path file = Files.write(Files.createTempFile(directory, "m", ".code"), Arrays.copyOfRange(answer, 1, answer.length));
    return engine.load(file, List.of(imports));
  }

  private static Reason reason(WasmtimeInstance instance, String export, long... arguments) {
    return assertThrows(WasmtimeTrap.class, () -> instance.call(export, arguments)).reason();
  }

  @Test
  void argumentsResultsAndMemoryPassBothWays() throws Exception {
    List<Object> seen = new ArrayList<>();
    var host = new HostFunction("env", "f", "iIi", "i", (instance, own, a) -> {
      seen.addAll(List.of(((Own) own).name(), (int) a[0], a[1], (int) a[2]));
      instance.memory().set(ValueLayout.JAVA_INT_UNALIGNED, 101, 0x01020304);
      return -5;
    });
    try (var module = load("""
        (module (import "env" "f" (func $f (param i32 i64 i32) (result i32))) (memory (export "memory") 1 3)
          (func (export "g") (param i64 i32) (result i64)
            (i64.add (i64.extend_i32_s (call $f (i32.const -1) (local.get 0) (local.get 1))) (i64.load32_u (i32.const 101)))))""", host);
        var instance = module.instantiate(new Own("mine", new long[1]), 3 << 16, 10)) {
      assertEquals(0x01020304 - 5, instance.call("g", Long.MIN_VALUE, 7));
      assertEquals(List.of("mine", -1, Long.MIN_VALUE, 7), seen);
      assertEquals(1 << 16, instance.memoryBytes());
      assertEquals(OptionalInt.of(1), instance.grow(2));
      assertEquals(OptionalInt.empty(), instance.grow(1));
      assertEquals(3 << 16, instance.memoryBytes());
      assertTrue(instance.hasFunction("g"));
      assertTrue(!instance.hasFunction("memory") && !instance.hasFunction("h"));
      assertThrows(IllegalArgumentException.class, () -> instance.call("h"));
    }
  }

  @Test
  void eachInstanceIsNew() throws Exception {
    try (var module = load("""
        (module (memory (export "memory") 1) (global $g (mut i32) (i32.const 0)) (data (i32.const 10) "\\05")
          (func (export "count") (result i32)
            (i32.store8 (i32.const 10) (i32.add (i32.load8_u (i32.const 10)) (i32.const 1)))
            (global.set $g (i32.add (global.get $g) (i32.const 100)))
            (i32.add (global.get $g) (i32.load8_u (i32.const 10)))))""")) {
      for (int i = 0; i < 10; i++) {
        try (var instance = module.instantiate(NOBODY, 1 << 16, 0)) {
          assertEquals(106, instance.call("count"));
          assertEquals(207, instance.call("count"));
        }
      }
    }
  }

  @Test
  void trapsHaveTheirReasonAndHurtNothingElse() throws Exception {
    try (var module = load("""
        (module (memory (export "memory") 1) (table 1 funcref)
          (func (export "unreachable") unreachable)
          (func (export "memory-access") (param i32) (result i32) (i32.load (local.get 0)))
          (func (export "divide") (result i32) (i32.div_s (i32.const 1) (i32.const 0)))
          (func (export "indirect") (call_indirect (i32.const 0)))
          (func $again (export "recurse") (param i64) (result i64) (i64.add (i64.const 1) (call $again (local.get 0)))))""")) {
      for (int i = 0; i < 3; i++) {
        try (var instance = module.instantiate(NOBODY, 1 << 16, 1)) {
          assertEquals("unreachable", assertThrows(WasmtimeTrap.class, () -> instance.call("unreachable")).getMessage());
          assertEquals("out of bounds memory access", assertThrows(WasmtimeTrap.class, () -> instance.call("memory-access", -1)).getMessage());
          assertEquals("integer divide by zero", assertThrows(WasmtimeTrap.class, () -> instance.call("divide")).getMessage());
          assertEquals("uninitialized element", assertThrows(WasmtimeTrap.class, () -> instance.call("indirect")).getMessage());
          assertEquals(Reason.STACK, reason(instance, "recurse", 1));
          assertEquals(0, instance.call("memory-access", 65532));
        }
      }
    }
  }

  /** The JVM makes its own exceptions of signals, too, on the same threads. */
  @Test
  void signalsOfTheJvmStayItsOwn() throws Exception {
    try (var module = load("(module (func (export \"f\") unreachable))"); var instance = module.instantiate(NOBODY, 0, 0)) {
      int caught = 0;
      for (int i = 0; i < 50_000; i++) {
        Object[] none = i % 2 == 0 ? null : new Object[0];
        try {
          caught += none.length;
        } catch (NullPointerException e) {
          caught++;
        }
      }
      assertEquals(25_000, caught);
      assertThrows(StackOverflowError.class, EngineTest::deep);
      assertEquals(Reason.TRAP, reason(instance, "f"));
      assertThrows(StackOverflowError.class, EngineTest::deep);
    }
  }

  private static int deep() {
    return deep() + 1;
  }

  @Test
  void whatAHostFunctionThrowsEndsTheCall() throws Exception {
    IOException thrown = new IOException("mine");
    var host = new HostFunction("env", "f", "", "", (instance, own, a) -> {
      throw thrown;
    });
    var overflow = new HostFunction("env", "o", "", "", (instance, own, a) -> deep());
    try (var module = load("""
        (module (import "env" "f" (func $f)) (import "env" "o" (func $o)) (export "f" (func $f))
        (func (export "g") (call $f)) (func (export "o") (call $o)) (func $r (export "r") (call $o) (call $r)))""", host, overflow);
        var instance = module.instantiate(NOBODY, 0, 0)) {
      WasmtimeTrap trap = assertThrows(WasmtimeTrap.class, () -> instance.call("g"));
      assertEquals(Reason.HOST, trap.reason());
      assertSame(thrown, trap.getCause());
      assertInstanceOf(StackOverflowError.class, assertThrows(WasmtimeTrap.class, () -> instance.call("o")).getCause());
    }
  }

  @Test
  void anInterruptEndsALoopAtTheNextTick() throws Exception {
    try (var module = load("(module (func (export \"spin\") (loop (br 0))))")) {
      CompletableFuture<Reason> ended = new CompletableFuture<>();
      CountDownLatch started = new CountDownLatch(1);
      Thread thread = Thread.ofPlatform().start(() -> {
        try (var instance = module.instantiate(NOBODY, 0, 0)) {
          started.countDown();
          ended.complete(reason(instance, "spin"));
        } catch (Throwable e) {
          ended.completeExceptionally(e);
        }
      });
      started.await();
      thread.interrupt();
      ticker(ended).join(60_000);
      assertEquals(Reason.INTERRUPTED, ended.get(30, TimeUnit.SECONDS));
      thread.join();
    }
  }

  @Test
  void aHostSeesEachTickAndMayEndTheCall() throws Exception {
    IOException enough = new IOException("enough");
    var host = new WasmtimeModule.Host() {
      private int ticks;

      @Override
      public void tick(WasmtimeInstance instance) throws IOException {
        assertEquals(1 << 16, instance.memoryBytes());
        ticks++;
        if (ticks == 3) {
          throw enough;
        }
      }
    };
    try (var module = load("(module (memory (export \"memory\") 1) (func (export \"spin\") (loop (br 0))))"); var instance = module.instantiate(host, 1 << 16, 0)) {
      CompletableFuture<Void> done = new CompletableFuture<>();
      Thread ticker = ticker(done);
      WasmtimeTrap trap = assertThrows(WasmtimeTrap.class, () -> instance.call("spin"));
      done.complete(null);
      ticker.join();
      assertEquals(Reason.HOST, trap.reason());
      assertSame(enough, trap.getCause());
    }
  }

  private static Thread ticker(CompletableFuture<?> until) {
    return Thread.ofPlatform().daemon().start(() -> {
      while (!until.isDone()) {
        engine.tick();
        LockSupport.parkNanos(1_000_000);
      }
    });
  }

  @Test
  void aStartFunctionCallsItsHostAndItsEndIsToldApart() throws Exception {
    var host = new HostFunction("env", "f", "i", "", (instance, own, a) -> {
      ((Own) own).numbers()[0] = instance.memoryBytes() + a[0];
      return 0;
    });
    try (var module = load("""
        (module (import "env" "f" (func $f (param i32))) (memory (export "memory") 2) (func $s (call $f (i32.const 4))) (start $s))""", host)) {
      Own own = new Own("", new long[1]);
      module.instantiate(own, 2 << 16, 0).close();
      assertEquals((2 << 16) + 4, own.numbers()[0]);
    }
    try (var module = load("(module (func $s unreachable) (start $s))")) {
      assertEquals(Reason.TRAP, assertThrows(WasmtimeTrap.class, () -> module.instantiate(NOBODY, 0, 0)).reason());
    }
    try (var module = load("(module (memory 1) (data (i32.const 65536) \"x\"))")) {
      assertEquals("out of bounds memory access", assertThrows(WasmtimeTrap.class, () -> module.instantiate(NOBODY, 1 << 16, 0)).getMessage());
    }
  }

  @Test
  void placesAndLimitsAreBounds() throws Exception {
    try (var module = load("(module (memory (export \"memory\") 2) (table (export \"t\") 3 funcref))")) {
      assertTrue(!assertThrows(WasmtimeException.class, () -> module.instantiate(NOBODY, 1 << 16, 3)).full());
      assertTrue(!assertThrows(WasmtimeException.class, () -> module.instantiate(NOBODY, 2 << 16, 2)).full());
      List<WasmtimeInstance> all = new ArrayList<>();
      for (int i = 0; i < 3; i++) {
        all.add(module.instantiate(NOBODY, 2 << 16, 3));
      }
      assertTrue(assertThrows(WasmtimeException.class, () -> module.instantiate(NOBODY, 2 << 16, 3)).full());
      all.forEach(WasmtimeInstance::close);
      all.getFirst().close();
      module.instantiate(NOBODY, 2 << 16, 3).close();
    }
  }

  @Test
  void anInvalidModuleAndAMissingImportAreRefused() throws Exception {
    byte[] answer = answer(new byte[] {0, 'a', 's', 'm', 1, 0, 0, 0, 1, 1});
    assertEquals(Wasmtime.INVALID, answer[0]);
    assertTrue(new String(answer, 1, answer.length - 1, StandardCharsets.UTF_8).contains("unexpected end"));
    assertTrue(assertThrows(WasmtimeException.class, () -> load("(module (import \"env\" \"none\" (func)))")).getMessage().contains("none"));
  }

  @Test
  void vectorsAreThere() throws Exception {
    try (var module = load("""
        (module (func (export "f") (param i32) (result i32)
          (i32x4.extract_lane 2 (i32x4.mul (i32x4.splat (local.get 0)) (v128.const i32x4 1 2 3 4)))))"""); var instance = module.instantiate(NOBODY, 0, 0)) {
      assertEquals(21, instance.call("f", 7));
    }
  }
}
