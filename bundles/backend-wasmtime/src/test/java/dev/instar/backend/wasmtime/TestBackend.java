package dev.instar.backend.wasmtime;

import dev.instar.api.Digest;
import dev.instar.api.data.DataDirectory;
import dev.instar.api.function.FunctionName;
import dev.instar.api.function.FunctionSpec;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.function.Image;
import dev.instar.api.function.Limits;
import dev.instar.api.function.Variant;
import dev.instar.api.sandbox.PrepareRequest;
import dev.instar.api.sandbox.PreparedFunction;
import dev.instar.api.snapshot.SnapshotStore;
import dev.instar.api.wasmtime.HostFunction;
import dev.instar.api.wasmtime.Wasmtime;
import dev.instar.api.wasmtime.WasmtimeEngine;
import dev.instar.api.wasmtime.WasmtimeInstance;
import dev.instar.api.wasmtime.WasmtimeModule;
import dev.instar.api.wasmtime.WasmtimeTrap;
import dev.instar.snapshots.SnapshotStoreComponent;
import dev.instar.tck.capability.NativeLibraries;
import dev.instar.wasmtime.CompilerProcess;
import dev.instar.wasmtime.WasmtimeLibrary;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.reflect.Constructor;
import java.lang.reflect.Method;
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
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;

/** A backend over a directory and the real library, as Declarative Services would make it. */
final class TestBackend implements AutoCloseable {
  private static final Map<String, byte[]> MODULES = new ConcurrentHashMap<>();

  final Path directory;
  final WasmtimeBackend backend;
  /** How many instances were made. */
  final AtomicLong instances = new AtomicLong();
  private final SnapshotStoreComponent store;

  TestBackend(Path directory, Object... settings) {
    this.directory = directory;
    try {
      Map<String, Object> library = Map.of("library", NativeLibraries.wasmtime().toString());
      backend = new WasmtimeBackend(data(directory), counting(component(WasmtimeLibrary.class, data(directory), library)),
          (WasmtimeConfig) config(WasmtimeConfig.class, map(settings)));
      store = component(SnapshotStoreComponent.class, data(directory), Map.of());
      backend.snapshots = store;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private Wasmtime counting(Wasmtime library) {
    return new Wasmtime() {
      @Override
      public Library library() {
        return library.library();
      }

      @Override
      public WasmtimeEngine engine(Settings settings) {
        return counting(library.engine(settings));
      }

      @Override
      public ProcessBuilder compiler(int mib) throws IOException {
        return library.compiler(mib);
      }
    };
  }

  private WasmtimeEngine counting(WasmtimeEngine engine) {
    return new WasmtimeEngine() {
      @Override
      public WasmtimeModule load(Path compiled, List<HostFunction> imports) {
        return counting(engine.load(compiled, imports));
      }

      @Override
      public void tick() {
        engine.tick();
      }

      @Override
      public void close() {
        engine.close();
      }
    };
  }

  private WasmtimeModule counting(WasmtimeModule module) {
    return new WasmtimeModule() {
      @Override
      public WasmtimeInstance instantiate(Host host, long memoryBytes, long tableElements) throws WasmtimeTrap {
        WasmtimeInstance made = module.instantiate(host, memoryBytes, tableElements);
        instances.incrementAndGet();
        return made;
      }

      @Override
      public void close() {
        module.close();
      }
    };
  }

  private static Map<String, Object> map(Object... settings) {
    Map<String, Object> values = new HashMap<>();
    for (int i = 0; i < settings.length; i += 2) {
      values.put((String) settings[i], settings[i + 1]);
    }
    return values;
  }

  private static Object config(Class<?> type, Map<String, Object> values) {
    return Proxy.newProxyInstance(type.getClassLoader(), new Class<?>[] {type},
        (proxy, method, arguments) -> values.getOrDefault(method.getName(), method.getDefaultValue()));
  }

  /** One that is made of a data directory and its configuration. */
  static <T> T component(Class<T> type, DataDirectory data, Map<String, Object> values) {
    try {
      Constructor<?> activate = type.getConstructors()[0];
      Object[] arguments = new Object[activate.getParameterCount()];
      for (int i = 0; i < arguments.length; i++) {
        Class<?> parameter = activate.getParameterTypes()[i];
        arguments[i] = parameter == DataDirectory.class ? data : config(parameter, values);
      }
      return type.cast(activate.newInstance(arguments));
    } catch (ReflectiveOperationException e) {
      throw new AssertionError(e);
    }
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

  /** Whether it compiles, or waits to. */
  static boolean isCompiler(ProcessHandle process) {
    return !process.isAlive() || process.info().commandLine().filter(line -> line.contains(CompilerProcess.class.getName())).isPresent();
  }

  SnapshotStore store() {
    return store;
  }

  Wasmtime library() {
    return component(WasmtimeLibrary.class, data(directory), Map.of("library", NativeLibraries.wasmtime().toString()));
  }

  /** A text of backend-wasm's tests: both backends run the same. */
  static byte[] file(String name) {
    try {
      return wasm(Files.readString(Path.of("../backend-wasm/src/test/wat", name + ".wat")));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static byte[] wasm(String text) {
    return MODULES.computeIfAbsent(text, TestBackend::translate);
  }

  private static byte[] translate(String text) {
    try {
      Path source = Files.createTempFile("wasmtime", ".wat");
      Path module = Files.createTempFile("wasmtime", ".wasm");
      try {
        Files.writeString(source, text);
        Process p = new ProcessBuilder("wat2wasm", "--enable-tail-call", "--enable-threads", source.toString(), "-o", module.toString())
            .redirectErrorStream(true).start();
        String said = new String(p.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        if (p.waitFor() != 0) {
          throw new AssertionError(said + "\n" + text);
        }
        return Files.readAllBytes(module);
      } finally {
        Files.delete(source);
        Files.delete(module);
      }
    } catch (IOException | InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  Image image(byte[] module, Optional<Path> rootfs) {
    try {
      Digest digest = Digest.of(module);
      Path file = directory.resolve(digest.hex() + ".wasm");
      Path temporary = Files.createTempFile(directory, "image", "");
      Files.write(temporary, module);
      Files.move(temporary, file, StandardCopyOption.ATOMIC_MOVE);
      return new Image(digest, Variant.WASM, module.length, file, rootfs);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  PrepareRequest request(byte[] module, Limits limits) {
    Image image = image(module, Optional.empty());
    Variant variant = new Variant(image.digest(), Variant.WASM, Optional.empty());
    FunctionVersion version = new FunctionVersion(new FunctionName("demo", "tried"), 1, "uid", Instant.now(),
        new FunctionSpec(List.of(variant), limits, Map.of(), Map.of()));
    return new PrepareRequest(version, variant, image, Instant.now().plus(Duration.ofSeconds(60)));
  }

  PreparedFunction prepare(byte[] module, Limits limits) {
    try {
      return backend.prepare(request(module, limits));
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  @Override
  public void close() {
    backend.stop();
    try {
      Method stop = SnapshotStoreComponent.class.getDeclaredMethod("stop");
      stop.setAccessible(true);
      stop.invoke(store);
    } catch (ReflectiveOperationException e) {
      throw new AssertionError(e);
    }
  }
}
