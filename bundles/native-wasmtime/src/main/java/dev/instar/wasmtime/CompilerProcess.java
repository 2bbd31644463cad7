package dev.instar.wasmtime;

import static dev.instar.wasmtime.CApi.ALL;
import static dev.instar.wasmtime.CApi.LONG;

import dev.instar.api.wasmtime.HostFunction;
import dev.instar.api.wasmtime.Wasmtime;
import dev.instar.api.wasmtime.WasmtimeModule;
import dev.instar.api.wasmtime.WasmtimeTrap;
import dev.instar.wasmtime.CApi.Functions;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * A process of its own, which may die: it compiles one module, or it finds out whether a library is the one that {@link CApi} describes.
 *
 * <p>Arguments: the library, and for a check an empty directory to write to.
 */
public final class CompilerProcess {

  private CompilerProcess() {}

  /** Ends with 0 when it has answered. */
  public static void main(String[] arguments) throws Exception {
    var out = new FileOutputStream(FileDescriptor.out);
    System.setOut(System.err);
    CApi.load(Path.of(arguments[0]));
    if (arguments.length > 1) {
      check(Path.of(arguments[1]));
      out.write("good".getBytes(StandardCharsets.US_ASCII));
    } else {
      // What it takes for the first time, before there is a module to wait for it.
      long engine = Configuration.compiling();
      compile(engine, SAMPLE);
      byte[] module = new FileInputStream(FileDescriptor.in).readAllBytes();
      compile(engine, module, out);
    }
    out.flush();
    Runtime.getRuntime().halt(0);
  }

  private static void compile(long engine, byte[] module, OutputStream out) throws IOException {
    try {
      byte[] compiled = compile(engine, module);
      out.write(Wasmtime.COMPILED);
      out.write(compiled);
    } catch (Invalid e) {
      out.write(Wasmtime.INVALID);
      out.write(e.getMessage().getBytes(StandardCharsets.UTF_8));
    }
  }

  private static final class Invalid extends Exception {
    private static final long serialVersionUID = 1;

    Invalid(String what) {
      super(what);
    }
  }

  private static byte[] compile(long engine, byte[] bytes) throws Invalid {
    try (Arena arena = Arena.ofConfined()) {
      long out = arena.allocate(16, 8).address();
      MemorySegment code = arena.allocate(Math.max(1, bytes.length));
      MemorySegment.copy(bytes, 0, code, ValueLayout.JAVA_BYTE, 0, bytes.length);
      demand((long) CApi.call(Functions.MODULE_NEW, engine, code.address(), (long) bytes.length, out));
      long module = ALL.get(LONG, out);
      try {
        demand((long) CApi.call(Functions.MODULE_SERIALIZE, module, out));
        byte[] compiled = CApi.bytes(out);
        CApi.call(Functions.BYTES_DELETE, out);
        return compiled;
      } finally {
        CApi.call(Functions.MODULE_DELETE, module);
      }
    }
  }

  private static void demand(long error) throws Invalid {
    if (error != 0) {
      throw new Invalid(CApi.message(error));
    }
  }

  /**
   * {@code (module (import "h" "f" (func $f (param i32 i64) (result i64))) (memory (export "memory") 1 2)
   * (func (export "g") (param i32) (result i64) local.get 0 local.get 0 i32.load i64.extend_i32_u call $f) (data (i32.const 8) "\2a"))}
   */
  private static final byte[] SAMPLE = {0, 'a', 's', 'm', 1, 0, 0, 0, 1, 12, 2, 0x60, 2, 0x7f, 0x7e, 1, 0x7e, 0x60, 1, 0x7f, 1, 0x7e, 2, 7, 1, 1, 'h', 1, 'f', 0, 0,
      3, 2, 1, 1, 5, 4, 1, 1, 1, 2, 7, 14, 2, 6, 'm', 'e', 'm', 'o', 'r', 'y', 2, 0, 1, 'g', 0, 1, 10, 14, 1, 12, 0, 0x20, 0, 0x20, 0, 0x28, 2, 0, (byte) 0xad, 0x10, 0, 0x0b,
      11, 7, 1, 0, 0x41, 8, 0x0b, 1, 0x2a};

  private record Sample(long number) implements WasmtimeModule.Host {}

  /** Uses each function and each layout, in the largest pool that may be configured. What is not as expected ends the process, by itself or by an exception. */
  private static void check(Path directory) throws Exception {
    byte[] compiled = compile(Configuration.compiling(), SAMPLE);
    String text = new String(compiled, StandardCharsets.ISO_8859_1);
    String version = Integer.toString(CApi.MAJOR);
    // Section .wasmtime.info: a byte that says a version follows, its length, the version.
    if (!text.contains((char) version.length() + version)) {
      throw new IllegalStateException("it is not of version " + version);
    }
    Path file = Files.write(directory.resolve("sample"), compiled);
    var engine = new Engine(new Wasmtime.Settings(2000, 4, 10_000_000));
    var add = new HostFunction("h", "f", "iI", "I", (instance, host, a) -> ((Sample) host).number() + a[0] + a[1] + instance.memory().get(ValueLayout.JAVA_BYTE, 8));
    try (var module = engine.load(file, List.of(add)); var instance = module.instantiate(new Sample(1000), 2 << 16, 10)) {
      expect(1000 + 8 + 42 + 42, instance.call("g", 8));
      expect(1 << 16, instance.memoryBytes());
      expect(1, instance.grow(1).orElse(-1));
      expect(2 << 16, instance.memoryBytes());
      expect(-1, instance.grow(1).orElse(-1));
      engine.tick();
      expect(1000 + 12, instance.call("g", 12) - 42);
      try {
        instance.call("g", -1);
        throw new IllegalStateException("an access out of bounds was none");
      } catch (WasmtimeTrap e) {
        expect(1, e.getMessage().startsWith("out of bounds memory") ? 1 : 0);
      }
    }
    engine.close();
    Files.delete(file);
  }

  private static void expect(long expected, long actual) {
    if (expected != actual) {
      throw new IllegalStateException("it answers " + actual + " and not " + expected);
    }
  }
}
