package dev.instar.backend.wasm;

import dev.instar.api.Digest;
import dev.instar.api.InstarException;
import dev.instar.api.data.DataDirectory;
import dev.instar.api.function.FunctionName;
import dev.instar.api.function.FunctionSpec;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.function.Image;
import dev.instar.api.function.Limits;
import dev.instar.api.function.Variant;
import dev.instar.api.invocation.CallInput;
import dev.instar.api.sandbox.Call;
import dev.instar.api.sandbox.GuestLog;
import dev.instar.api.sandbox.PrepareRequest;
import dev.instar.api.sandbox.PreparedFunction;
import dev.instar.api.sandbox.Resettable;
import dev.instar.api.sandbox.Sandbox;
import dev.instar.api.sandbox.StartContext;
import dev.instar.backend.wasm.compile.CompilerProcess;
import dev.instar.backend.wasm.compile.Compilers;
import dev.instar.backend.wasm.compile.Launch;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.reflect.Proxy;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;

/** A backend over a directory, and what its caller does. */
final class TestNode implements AutoCloseable {
  private static final AtomicInteger COUNT = new AtomicInteger();

  /** For all nodes that are not about compiling: a process takes a second to start. It ends with the tests. */
  private static final class Shared {
    static final Compilers COMPILERS = new Compilers(new Launch(Path.of("unused: the classes are in files")), compilerSettings(config()));

    private Shared() {}
  }

  final Path directory;
  final WasmBackend backend;

  TestNode(Path directory, Object... settings) {
    this(directory, Shared.COMPILERS, settings);
  }

  /** Of compilers that the caller closes. */
  TestNode(Path directory, Compilers compilers, Object... settings) {
    this.directory = directory;
    try {
      this.backend = new WasmBackend(data(directory), config(settings), compilers);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Whether it compiles for all nodes. One that was ended a moment ago is told by its program. */
  static boolean isCompiler(ProcessHandle process) {
    return Shared.COMPILERS.pids().contains(process.pid()) || !process.isAlive()
        || process.info().commandLine().filter(line -> line.contains(CompilerProcess.class.getName())).isPresent();
  }

  static Compilers.Settings compilerSettings(WasmConfig config) {
    return WasmBackend.settings(config);
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

  /** The configuration's defaults, but for keys (as their method names) and values that follow each other. */
  static WasmConfig config(Object... settings) {
    Map<String, Object> values = new HashMap<>();
    for (int i = 0; i < settings.length; i += 2) {
      values.put((String) settings[i], settings[i + 1]);
    }
    return (WasmConfig) Proxy.newProxyInstance(WasmConfig.class.getClassLoader(), new Class<?>[] {WasmConfig.class},
        (proxy, method, arguments) -> values.getOrDefault(method.getName(), method.getDefaultValue()));
  }

  Image image(byte[] module) {
    return image(module, Optional.empty());
  }

  Image image(byte[] module, Optional<Path> rootfs) {
    try {
      Digest digest = Digest.of(module);
      Path file = directory.resolve(digest.hex() + ".wasm");
      // Whole or not at all: another thread may be preparing the same module.
      Path temporary = Files.createTempFile(directory, "image", "");
      Files.write(temporary, module);
      Files.move(temporary, file, StandardCopyOption.ATOMIC_MOVE);
      return new Image(digest, Variant.WASM, module.length, file, rootfs);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  PreparedFunction prepare(byte[] module) {
    return prepare(image(module), Limits.DEFAULT, Map.of(), Duration.ofSeconds(60));
  }

  PreparedFunction prepare(byte[] module, long memory) {
    return prepare(image(module), memory(memory), Map.of(), Duration.ofSeconds(60));
  }

  static Limits memory(long bytes) {
    Limits d = Limits.DEFAULT;
    return new Limits(bytes, d.timeout(), d.inputBytes(), d.outputBytes(), d.logBytes(), d.concurrency());
  }

  PreparedFunction prepare(Image image, Limits limits, Map<String, String> environment, Duration time) {
    return prepare("demo", image, limits, environment, time);
  }

  PreparedFunction prepare(String user, Image image, Limits limits, Map<String, String> environment, Duration time) {
    return prepare(user, image, limits, environment, time, StartContext.Room.NONE);
  }

  PreparedFunction prepare(String user, Image image, Limits limits, Map<String, String> environment, Duration time, StartContext.Room room) {
    Variant variant = new Variant(image.digest(), Variant.WASM, Optional.empty());
    FunctionVersion version = new FunctionVersion(new FunctionName(user, "tried"), 1, "uid", Instant.now(),
        new FunctionSpec(List.of(variant), limits, environment, Map.of()));
    try {
      return backend.prepare(new PrepareRequest(version, variant, image, Instant.now().plus(time), room));
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  static Sandbox start(PreparedFunction prepared) {
    try {
      return prepared.start(new StartContext("sandbox-" + COUNT.incrementAndGet(), Instant.now().plusSeconds(60), GuestLog.NONE));
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  /** How a call ended. */
  record Answer(byte[] output, String log, Optional<InstarException> failure) {
    String text() {
      return new String(good().output, StandardCharsets.UTF_8);
    }

    Answer good() {
      failure.ifPresent(e -> {
        throw new AssertionError("The call failed: " + e.problem(), e);
      });
      return this;
    }

    InstarException bad() {
      return failure.orElseThrow(() -> new AssertionError("The call succeeded with '" + new String(output, StandardCharsets.UTF_8) + "'"));
    }
  }

  static Answer call(Sandbox sandbox, byte[] input) {
    var output = new ByteArrayOutputStream();
    var log = new ByteArrayOutputStream();
    Optional<InstarException> failure = Optional.empty();
    try {
      sandbox.call(new Call("call", CallInput.of(input), output, log::write, Instant.now().plusSeconds(60)));
    } catch (InstarException e) {
      failure = Optional.of(e);
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
    if (sandbox.reusable()) {
      ((Resettable) sandbox).reset();
    }
    return new Answer(output.toByteArray(), log.toString(StandardCharsets.UTF_8), failure);
  }

  static Answer call(Sandbox sandbox, String input) {
    return call(sandbox, input.getBytes(StandardCharsets.UTF_8));
  }

  /** Prepares, starts, calls once and closes. */
  Answer once(byte[] module, String input) {
    return once(prepare(module), input);
  }

  static Answer once(PreparedFunction prepared, String input) {
    try (prepared; Sandbox sandbox = start(prepared)) {
      return call(sandbox, input);
    }
  }

  @Override
  public void close() {
    backend.close();
  }
}
