package dev.instar.backend.wasmtime;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.function.Limits;
import dev.instar.api.invocation.CallInput;
import dev.instar.api.sandbox.Call;
import dev.instar.api.sandbox.GuestLog;
import dev.instar.api.sandbox.PreparedFunction;
import dev.instar.api.sandbox.Probe;
import dev.instar.api.sandbox.Resettable;
import dev.instar.api.sandbox.Sandbox;
import dev.instar.api.sandbox.StartContext;
import dev.instar.api.wasmtime.Wasmtime;
import dev.instar.api.wasmtime.WasmtimeEngine;
import dev.instar.tck.capability.RequiresCapability;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.reflect.Proxy;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.OptionalLong;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What the suite does not ask for. */
@RequiresCapability({"wasmtime", "wabt"})
class WasmtimeBackendTest {
  /** Answers with one byte: lane 2 of a product of vectors. */
  private static final String VECTORS = """
      (module (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1) (data (i32.const 0) "\\10\\00\\00\\00\\01\\00\\00\\00")
        (func (export "_start")
          (i32.store8 (i32.const 16) (i32x4.extract_lane 2 (i32x4.mul (i32x4.splat (i32.const 13)) (v128.const i32x4 1 2 5 4))))
          (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))""";

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

  private static Sandbox start(PreparedFunction prepared) throws InterruptedException {
    return prepared.start(new StartContext("sandbox", Instant.now().plusSeconds(60), GuestLog.NONE));
  }

  private static byte[] call(Sandbox sandbox, String input) throws InterruptedException {
    var output = new ByteArrayOutputStream();
    sandbox.call(new Call("call", CallInput.of(input.getBytes(StandardCharsets.UTF_8)), output, GuestLog.NONE, Instant.now().plusSeconds(60)));
    ((Resettable) sandbox).reset();
    return output.toByteArray();
  }

  private InstarException refused(String module, Limits limits) {
    return assertThrows(InstarException.class, () -> node.prepare(TestBackend.wasm(module), limits));
  }

  @Test
  void vectorsRun() throws Exception {
    try (PreparedFunction prepared = node.prepare(TestBackend.wasm(VECTORS), Limits.DEFAULT); Sandbox sandbox = start(prepared)) {
      assertEquals(65, call(sandbox, "")[0]);
    }
  }

  @Test
  void codeComesFromTheCacheAndDamageIsCompiledAnew() throws Exception {
    byte[] module = TestBackend.wasm(VECTORS);
    node.prepare(module, Limits.DEFAULT).close();
    Path code = only(directory.resolve("wasmtime-code"));
    var written = Files.getLastModifiedTime(code);
    byte[] damaged = Files.readAllBytes(code);
    damaged[damaged.length / 2]++;
    Files.write(code, damaged);
    try (PreparedFunction prepared = node.prepare(module, Limits.DEFAULT); Sandbox sandbox = start(prepared)) {
      assertEquals(65, call(sandbox, "")[0]);
      assertEquals(code, only(directory.resolve("wasmtime-code")));
      assertTrue(Files.getLastModifiedTime(code).compareTo(written) >= 0);
    }
  }

  private static Path only(Path directory) throws IOException {
    try (var files = Files.list(directory)) {
      var all = files.toList();
      assertEquals(1, all.size());
      return all.getFirst();
    }
  }

  @Test
  void refusalsNameWhatIsWrong() {
    Limits limits = Limits.DEFAULT;
    assertTrue(refused("(module (func (export \"f\")))", limits).problem().detail().contains("there is no entry"));
    assertTrue(refused("(module (import \"env\" \"gone\" (func)) (memory 1) (func (export \"_start\")))", limits).problem().detail().contains("env.gone is not offered"));
    assertTrue(refused("(module (func (export \"_start\") (param i32)))", limits).problem().detail().contains("(i32) -> ()"));
    assertTrue(refused("(module (memory (export \"memory\") 1) (data (i32.const 65536) \"x\") (func (export \"_start\")))", limits).problem().detail()
        .contains("a segment does not fit into the memory"));
    assertTrue(refused("(module (memory (export \"memory\") 5000) (func (export \"_start\")))", limits).problem().detail().contains("Raise the limit"));
    InstarException start = refused("(module (func $s unreachable) (start $s) (func (export \"_start\")))", limits);
    assertEquals(ErrorCode.MODULE_REFUSED, start.code());
    assertTrue(start.problem().detail().contains("(the start function) trapped: unreachable"), start.problem().detail());
    assertEquals(ErrorCode.TIMED_OUT, refused("(module (func $s (loop (br 0))) (start $s) (func (export \"_start\")))", new Limits(1 << 20,
        Duration.ofMillis(200), 1 << 20, 1 << 20, 1 << 20, 4)).code());
  }

  @Test
  void whatWouldBecomeMoreObjectsThanTheNodeCanHoldIsRefused() {
    byte[] sections = new byte[8 + 3 * 10_001];
    System.arraycopy(new byte[] {0, 'a', 's', 'm', 1, 0, 0, 0}, 0, sections, 0, 8);
    for (int i = 8; i < sections.length; i += 3) {
      sections[i + 1] = 1;
    }
    assertTrue(refused(sections).problem().detail().contains("more than 10000 sections"));
    byte[] segments = new byte[8 + 4 + 3 + 200_002];
    System.arraycopy(sections, 0, segments, 0, 8);
    segments[8] = 11;
    int size = 200_005;
    for (int i = 0; i < 3; i++) {
      segments[9 + i] = (byte) (size >> 7 * i & 0x7f | (i < 2 ? 0x80 : 0));
      segments[12 + i] = (byte) (100_001 >> 7 * i & 0x7f | (i < 2 ? 0x80 : 0));
    }
    assertTrue(refused(segments).problem().detail().contains("100001"));
  }

  private InstarException refused(byte[] module) {
    return assertThrows(InstarException.class, () -> node.prepare(module, Limits.DEFAULT));
  }

  @Test
  void aGuestThatHasAllItsMemoryAndAbortsIsToldSo() throws Exception {
    String module = """
        (module (memory (export "memory") 1) (func (export "_start")
          (loop (br_if 0 (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) unreachable))""";
    try (PreparedFunction prepared = node.prepare(TestBackend.wasm(module), new Limits(1 << 20, Duration.ofSeconds(30), 1 << 20, 1 << 20, 1 << 20, 4));
        Sandbox sandbox = start(prepared)) {
      InstarException e = assertThrows(InstarException.class, () -> call(sandbox, ""));
      assertEquals(ErrorCode.OUT_OF_MEMORY, e.code());
      assertEquals("unreachable", e.problem().members().get("trap"));
      assertEquals("memory", e.problem().members().get("limit"));
    }
  }

  @Test
  void moreCallsThanPlacesAreTurnedAway() throws Exception {
    try (TestBackend small = new TestBackend(directory.resolve("small"), "instances", 1);
        PreparedFunction prepared = small.prepare(TestBackend.file("command/echo"), Limits.DEFAULT); Sandbox first = start(prepared);
        Sandbox second = start(prepared)) {
      CountDownLatch reads = new CountDownLatch(1);
      CountDownLatch go = new CountDownLatch(1);
      InputStream slow = new InputStream() {
        @Override
        public int read() throws IOException {
          reads.countDown();
          try {
            go.await();
          } catch (InterruptedException e) {
            throw new IOException(e);
          }
          return -1;
        }
      };
      CompletableFuture<Void> held = new CompletableFuture<>();
      Thread.ofPlatform().start(() -> {
        try {
          first.call(new Call("call", new CallInput(slow, OptionalLong.empty()), OutputStream.nullOutputStream(), GuestLog.NONE, Instant.now().plusSeconds(60)));
          held.complete(null);
        } catch (Throwable e) {
          held.completeExceptionally(e);
        }
      });
      reads.await();
      assertEquals(ErrorCode.NODE_BUSY, assertThrows(InstarException.class, () -> call(second, "")).code());
      go.countDown();
      held.get(60, TimeUnit.SECONDS);
      ((Resettable) second).reset();
      assertEquals("x", new String(call(second, "x"), StandardCharsets.UTF_8));
    }
  }

  @Test
  void withoutTheLibraryTheProbeSaysHowToGetIt() throws Exception {
    Wasmtime none = new Wasmtime() {
      @Override
      public Library library() {
        return new Library.Missing("libwasmtime.so", "pip install it");
      }

      @Override
      public WasmtimeEngine engine(Settings settings) {
        throw new IllegalStateException();
      }

      @Override
      public ProcessBuilder compiler(int mib) {
        throw new IllegalStateException();
      }
    };
    WasmtimeConfig config = (WasmtimeConfig) Proxy.newProxyInstance(WasmtimeConfig.class.getClassLoader(), new Class<?>[] {WasmtimeConfig.class},
        (proxy, method, arguments) -> method.getDefaultValue());
    WasmtimeBackend backend = new WasmtimeBackend(TestBackend.data(directory.resolve("none")), none, config);
    assertEquals("pip install it", assertInstanceOf(Probe.Missing.class, backend.probe()).remedy());
    backend.stop();
    assertInstanceOf(Probe.Usable.class, node.backend.probe());
  }
}
