package dev.instar.backend.wasmtime;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.instar.api.wasmtime.Wasmtime;
import dev.instar.api.wasmtime.WasmtimeEngine;
import dev.instar.tck.capability.RequiresCapability;
import dev.instar.wasmtime.CompilerProcess;
import java.io.IOException;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The core specification tests that backend-wasm has, each file once on new instances and once on ones that were brought back (see {@link SpecRun}). */
@RequiresCapability({"wasmtime", "wabt"})
class CoreSpecificationTest {
  private static final Path FILES = Path.of("../backend-wasm/src/test/wast");
  private static final long STACK = 4L << 20;
  /** So that nothing is left out unnoticed. */
  private static final SpecRun.Figures NEW = new SpecRun.Figures(1025, 21_820, 2185, 0, 0, 3825);
  private static final SpecRun.Figures REWOUND = new SpecRun.Figures(1025, 21_820, 2185, 731, 294, 3825);

  @TempDir
  static Path directory;
  private static TestBackend node;
  private static WasmtimeEngine engine;
  private static SpecRun.Compiling compiler;
  private static SpecRun.Figures ranNew = SpecRun.Figures.NONE;
  private static SpecRun.Figures ranRewound = SpecRun.Figures.NONE;

  @BeforeAll
  static void open() throws Exception {
    node = new TestBackend(directory);
    engine = node.library().engine(new Wasmtime.Settings(1000, 4, 10_000_000));
    // As the compiling process does; one for each of some thousand modules would take minutes.
    Method compile = CompilerProcess.class.getDeclaredMethod("compile", long.class, byte[].class);
    compile.setAccessible(true);
    Method configuration = Class.forName("dev.instar.wasmtime.Configuration").getDeclaredMethod("compiling");
    configuration.setAccessible(true);
    Object compiling = configuration.invoke(null);
    compiler = module -> {
      try {
        return Optional.of((byte[]) compile.invoke(null, compiling, module));
      } catch (InvocationTargetException e) {
        return Optional.empty();
      } catch (IllegalAccessException e) {
        throw new AssertionError(e);
      }
    };
  }

  static Stream<String> files() throws IOException {
    try (Stream<Path> all = Files.list(FILES)) {
      return all.map(f -> f.getFileName().toString()).filter(f -> f.endsWith(".wast")).sorted().toList().stream();
    }
  }

  @ParameterizedTest
  @MethodSource("files")
  void holds(String file) throws Exception {
    Path modules = Files.createDirectory(directory.resolve(file));
    Path json = modules.resolve("commands.json");
    Process p = new ProcessBuilder("wast2json", "--enable-all", FILES.resolve(file).toString(), "-o", json.toString()).redirectErrorStream(true).start();
    String said = new String(p.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, p.waitFor(), said);
    JsonNode commands = JsonMapper.builder().build().readTree(Files.readAllBytes(json)).get("commands");
    ranNew = ranNew.plus(run(modules, commands, SpecRun.Way.NEW));
    if (Rewinder.possible()) {
      ranRewound = ranRewound.plus(run(modules, commands, SpecRun.Way.REWOUND));
    }
  }

  private static SpecRun.Figures run(Path modules, JsonNode commands, SpecRun.Way way) throws Exception {
    SpecRun run = new SpecRun(modules, way, compiler, engine);
    AtomicReference<Throwable> thrown = new AtomicReference<>();
    Thread thread = Thread.ofPlatform().stackSize(STACK).start(() -> {
      try (run) {
        run.run(commands);
      } catch (Throwable e) {
        thrown.set(e);
      }
    });
    thread.join();
    if (thrown.get() != null) {
      throw new AssertionError(thrown.get());
    }
    assertEquals(Map.of(), run.failures(), () -> way + ": " + String.join("\n", new ArrayList<>(run.failures().values())));
    return run.figures();
  }

  @AfterAll
  static void nothingWasLeftOut() {
    engine.close();
    node.close();
    assertEquals(List.of(NEW, Rewinder.possible() ? REWOUND : SpecRun.Figures.NONE), List.of(ranNew, ranRewound));
  }
}
