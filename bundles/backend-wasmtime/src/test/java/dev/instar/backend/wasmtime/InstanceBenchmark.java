package dev.instar.backend.wasmtime;

import dev.instar.api.function.Limits;
import dev.instar.api.invocation.CallInput;
import dev.instar.api.sandbox.Call;
import dev.instar.api.sandbox.GuestLog;
import dev.instar.api.sandbox.PreparedFunction;
import dev.instar.api.sandbox.Resettable;
import dev.instar.api.sandbox.Sandbox;
import dev.instar.api.sandbox.StartContext;
import dev.instar.api.wasmtime.HostFunction;
import dev.instar.api.wasmtime.Wasmtime;
import dev.instar.api.wasmtime.WasmtimeModule;
import dev.instar.backend.wasm.WasmBackend;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/**
 * What a fresh instance with one call costs, in microseconds: {@code java -cp ... dev.instar.backend.wasmtime.InstanceBenchmark}. Prints the median and the
 * 99th percentile, of the engine alone and of calls through both backends.
 */
final class InstanceBenchmark {
  private static final int WARM = 30_000;
  private static final int MEASURED = 30_000;

  private InstanceBenchmark() {}

  private interface Step {
    void run() throws Exception;
  }

  private static void measure(String what, Step step) throws Exception {
    for (int i = 0; i < WARM; i++) {
      step.run();
    }
    long[] nanos = new long[MEASURED];
    for (int i = 0; i < MEASURED; i++) {
      long before = System.nanoTime();
      step.run();
      nanos[i] = System.nanoTime() - before;
    }
    Arrays.sort(nanos);
    System.out.printf("%-40s p50 %8.1f us   p99 %8.1f us%n", what, nanos[MEASURED / 2] / 1e3, nanos[MEASURED / 100 * 99] / 1e3);
  }

  /** @param arguments names of examples, each measured with its sample input */
  public static void main(String[] arguments) throws Exception {
    Path directory = Files.createTempDirectory("wasmtime-benchmark");
    WasmtimeModule.Host nobody = new WasmtimeModule.Host() {};
    try (TestBackend node = new TestBackend(directory)) {
      var engine = node.library().engine(new Wasmtime.Settings(512, 4, 10_000_000));
      byte[] module = TestBackend.wasm("""
          (module (memory (export "memory") 1) (data (i32.const 100) "some data")
            (func (export "f") (param i32) (result i32) (i32.store (i32.const 200) (local.get 0)) (i32.load (i32.const 100))))""");
      byte[] code = new Compiler(node.library(), new Compiler.Settings(1, Duration.ofSeconds(60), 512)).compile(module, Instant.now().plusSeconds(60));
      try (var loaded = engine.load(Files.write(directory.resolve("code"), code), List.<HostFunction>of())) {
        measure("instance + call + drop", () -> {
          try (var instance = loaded.instantiate(nobody, 1 << 20, 0)) {
            instance.call("f", 1);
          }
        });
      }
      engine.close();
      WasmBackend chicory = TestBackend.component(WasmBackend.class, TestBackend.data(directory.resolve("chicory")), Map.of());
      for (String form : List.of("command/echo", "reactor/echo")) {
        both(node, chicory, form, TestBackend.file(form), new byte[64]);
      }
      Path examples = Path.of("../../examples");
      for (String example : arguments) {
        byte[] input = Files.readAllBytes(Files.list(examples.resolve(example)).filter(f -> f.getFileName().toString().startsWith("sample-input")).findFirst()
            .orElseThrow());
        both(node, chicory, example, Files.readAllBytes(examples.resolve(example).resolve("function.wasm")), input);
      }
    }
    System.exit(0);
  }

  /** The two in turn, so that what else the machine does is the same for both. */
  private static void both(TestBackend node, WasmBackend chicory, String what, byte[] module, byte[] body) throws Exception {
    try (PreparedFunction on = node.prepare(module, Limits.DEFAULT); PreparedFunction beside = chicory.prepare(node.request(module, Limits.DEFAULT))) {
      for (int round = 0; round < 2; round++) {
        calls("wasmtime, " + what, on, body);
        calls("Chicory,  " + what, beside, body);
      }
    }
  }

  private static void calls(String what, PreparedFunction prepared, byte[] body) throws Exception {
    try (Sandbox sandbox = prepared.start(new StartContext("sandbox", Instant.MAX, GuestLog.NONE))) {
      measure(what, () -> {
        sandbox.call(new Call("call", CallInput.of(body), OutputStream.nullOutputStream(), GuestLog.NONE, Instant.MAX));
        ((Resettable) sandbox).reset();
      });
    }
  }
}
