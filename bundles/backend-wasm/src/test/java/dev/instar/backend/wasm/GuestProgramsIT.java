package dev.instar.backend.wasm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.dylibso.chicory.compiler.MachineFactoryCompiler;
import com.dylibso.chicory.runtime.HostFunction;
import com.dylibso.chicory.runtime.ImportValues;
import com.dylibso.chicory.runtime.Instance;
import com.dylibso.chicory.wasm.Parser;
import com.dylibso.chicory.wasm.WasmModule;
import dev.instar.tck.capability.RequiresCapability;
import dev.instar.wasi.ByteBudget;
import dev.instar.wasi.CallStopped;
import dev.instar.wasi.Clocks;
import dev.instar.wasi.FileQuota;
import dev.instar.wasi.LowerTree;
import dev.instar.wasi.ProcExit;
import dev.instar.wasi.Wasi;
import dev.instar.wasi.WasiSettings;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** C programs, compiled here against wasi-libc, run by Chicory over this package. */
@RequiresCapability("examples-toolchain")
class GuestProgramsIT {
  @TempDir
  Path temp;

  private final ByteArrayOutputStream stdout = new ByteArrayOutputStream();
  private final ByteArrayOutputStream stderr = new ByteArrayOutputStream();
  private Wasi wasi;

  @BeforeEach
  void start() throws IOException {
    Path image = Files.createDirectory(temp.resolve("image"));
    Files.writeString(image.resolve("file"), "hello\n");
    Files.createDirectory(image.resolve("dir"));
    Files.writeString(image.resolve("dir/inner"), "inner");
    Files.createSymbolicLink(image.resolve("link"), Path.of("file"));
    wasi = new Wasi(new WasiSettings(List.of("program", "one", "two"), Map.of("GREETING", "Hello"), Optional.of(LowerTree.scan(image, 100)),
        temp.resolve("scratch"), new FileQuota(64, 1000, 16 << 20, 64 << 10), ByteBudget.UNLIMITED, Clocks.system(), new SecureRandom()));
  }

  @AfterEach
  void stop() {
    wasi.close();
  }

  private WasmModule compile(String name) throws IOException, InterruptedException {
    for (String file : new String[] {name + ".c", "check.h"}) {
      try (InputStream source = getClass().getResourceAsStream(file)) {
        Files.copy(source, temp.resolve(file));
      }
    }
    Process compiler = new ProcessBuilder("/usr/bin/clang-14", "--target=wasm32-wasi", "-fuse-ld=/usr/bin/wasm-ld-14", "-O1", "-Wall", "-Werror",
        "-Wno-unused-result", name + ".c", "-o", name + ".wasm").directory(temp.toFile()).redirectErrorStream(true).start();
    String said = new String(compiler.getInputStream().readAllBytes());
    assertEquals(0, compiler.waitFor(), said);
    return Parser.parse(temp.resolve(name + ".wasm"));
  }

  private Instance instance(WasmModule module, boolean compiled) {
    ImportValues imports = ImportValues.builder().addFunction(ChicoryImports.of(wasi).toArray(HostFunction[]::new)).build();
    Instance.Builder builder = Instance.builder(module).withImportValues(imports).withStart(false);
    return (compiled ? builder.withMachineFactory(MachineFactoryCompiler.compile(module)) : builder).build();
  }

  private void connect(String input) {
    wasi.connect(new ByteArrayInputStream(input.getBytes()), stdout, stderr::write);
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void filesAsPosixKnowsThem(boolean compiled) throws Exception {
    WasmModule module = compile("files");
    for (int run = 0; run < 2; run++) {
      connect("");
      try {
        instance(module, compiled).export("_start").apply();
      } catch (ProcExit e) {
        assertEquals("", stderr.toString(), "exit code " + e.code());
      }
      wasi.reset();
    }
    assertEquals("all is well\nall is well\n", stdout.toString());
    try (var left = Files.list(temp.resolve("scratch"))) {
      assertEquals(List.<Path>of(), left.toList());
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void streamsArgumentsAndExit(boolean compiled) throws Exception {
    connect("some input");
    Instance instance = instance(compile("streams"), compiled);
    ProcExit exit = assertThrows(ProcExit.class, () -> instance.export("_start").apply());
    assertEquals("copied 10", stderr.toString());
    assertEquals(7, exit.code());
    assertEquals("Hello, two: some input", stdout.toString());
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void aFailingStreamEndsTheProgramWithItsCause(boolean compiled) throws Exception {
    IOException gone = new IOException("gone");
    wasi.connect(InputStream.nullInputStream(), new OutputStream() {
      @Override
      public void write(int b) throws IOException {
        throw gone;
      }
    }, stderr::write);
    Instance instance = instance(compile("forever"), compiled);
    assertSame(gone, assertThrows(CallStopped.class, () -> instance.export("_start").apply()).getCause());
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void anInterruptEndsASleepingProgram(boolean compiled) throws Exception {
    CountDownLatch waiting = new CountDownLatch(1);
    wasi.connect(InputStream.nullInputStream(), new OutputStream() {
      @Override
      public void write(int b) {
        waiting.countDown();
      }
    }, stderr::write);
    Instance instance = instance(compile("forever"), compiled);
    CompletableFuture<Throwable> ended = new CompletableFuture<>();
    Thread thread = Thread.ofPlatform().start(() -> {
      try {
        instance.export("_start").apply();
        ended.complete(null);
      } catch (Throwable e) {
        ended.complete(e);
      }
    });
    assertTrue(waiting.await(60, TimeUnit.SECONDS));
    while (thread.getState() != Thread.State.TIMED_WAITING) {
      Thread.sleep(1);
    }
    thread.interrupt();
    assertInstanceOf(InterruptedException.class, assertInstanceOf(CallStopped.class, ended.get(60, TimeUnit.SECONDS)).getCause());
  }
}
