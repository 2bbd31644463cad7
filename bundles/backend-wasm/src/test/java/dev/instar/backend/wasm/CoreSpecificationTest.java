package dev.instar.backend.wasm;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.instar.backend.wasm.compile.Compilers;
import dev.instar.backend.wasm.compile.Launch;
import dev.instar.tck.capability.RequiresCapability;
import dev.instar.wasi.guest.MemoryBudget;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The core specification tests of src/test/wast, each file once as its modules are instantiated, once from snapshots and after resets, and once from
 * modules that these were written back to (see {@link SpecRun}). What does not come out as the specification says is listed in known-differences.txt,
 * with the reason; what comes out otherwise than that list says is a failure, in either direction.
 */
@RequiresCapability("wabt")
class CoreSpecificationTest {
  private static final Path FILES = Path.of("src/test/wast");
  /** What an in-process call has by default. */
  private static final long STACK = 4L << 20;
  /** So that nothing is left out unnoticed. The first two count each command four times: all runs of its file. */
  private static final SpecRun.Figures ALL = new SpecRun.Figures(4 * 28_312, 4 * 581, 22_450, 2 * 1003, 1003, 1003);

  @TempDir
  static Path directory;
  private static List<SpecScript> scripts;
  private static SpecDifferences known;
  private static Compilers compilers;
  private static ModuleCompiler compiler;
  private static Bounds bounds;
  private static SpecRun.Figures ran = SpecRun.Figures.NONE;

  @BeforeAll
  static void open() throws Exception {
    Path json = Files.createDirectory(directory.resolve("json"));
    var read = new TreeMap<String, SpecScript>();
    try (Stream<Path> all = Files.list(FILES)) {
      for (Path file : all.filter(f -> f.toString().endsWith(".wast")).toList()) {
        SpecScript script = SpecScript.convert(file, json);
        read.put(script.name(), script);
      }
    }
    scripts = List.copyOf(read.values());
    // As a node does: some commands leave hardly any stack.
    HostFunctions.touch(directory);
    known = SpecDifferences.read(FILES.resolve("known-differences.txt"));
    compilers = new Compilers(new Launch(directory), TestNode.compilerSettings(TestNode.config()));
    compiler = new ModuleCompiler(new CodeCache(directory.resolve("code"), "of these tests", 1L << 30), compilers, MemoryBudget.ofHeap(Long.MAX_VALUE));
    WasmConfig config = TestNode.config();
    bounds = new Bounds(config.module$_$bytes(), config.code$_$bytes(), config.functions(), config.function$_$bytes(), config.table$_$elements());
    assertEquals(List.of(), known.strangers(scripts), "known differences of commands that there are not");
  }

  static Stream<String> files() throws IOException {
    try (Stream<Path> all = Files.list(FILES)) {
      return all.map(f -> f.getFileName().toString()).filter(f -> f.endsWith(".wast")).sorted().toList().stream();
    }
  }

  @ParameterizedTest
  @MethodSource("files")
  void holdsAtFirst(String file) throws InterruptedException {
    run(file, SpecRun.Way.AT_FIRST);
  }

  @ParameterizedTest
  @MethodSource("files")
  void holdsAfterReset(String file) throws InterruptedException {
    run(file, SpecRun.Way.AFTER_RESET);
  }

  @ParameterizedTest
  @MethodSource("files")
  void holdsWrittenBack(String file) throws InterruptedException {
    run(file, SpecRun.Way.WRITTEN_BACK);
  }

  @ParameterizedTest
  @MethodSource("files")
  void holdsRestored(String file) throws InterruptedException {
    run(file, SpecRun.Way.RESTORED);
  }

  private static void run(String file, SpecRun.Way way) throws InterruptedException {
    SpecScript script = scripts.stream().filter(s -> s.name().equals(file)).findFirst().orElseThrow();
    SpecRun run = new SpecRun(script, way, compiler, bounds, directory);
    Thread thread = Thread.ofPlatform().stackSize(STACK).start(() -> {
      try (run) {
        run.run();
      }
    });
    thread.join();
    ran = ran.plus(run.figures());
    List<String> unexpected = known.unexpected(script, run.failures());
    assertEquals(List.of(), unexpected, () -> String.join("\n", unexpected));
  }

  @AfterAll
  static void nothingWasLeftOut() {
    compilers.close();
    assertEquals(ALL, ran);
  }
}
