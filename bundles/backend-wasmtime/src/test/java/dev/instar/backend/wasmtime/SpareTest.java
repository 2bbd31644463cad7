package dev.instar.backend.wasmtime;

import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.tck.capability.RequiresCapability;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A compiling process waits ahead. */
@RequiresCapability({"wasmtime", "wabt"})
class SpareTest {
  private static final Compiler.Settings SETTINGS = new Compiler.Settings(1, Duration.ofSeconds(60), 256);

  @TempDir
  Path directory;

  private TestBackend node;
  private Compiler compiler;

  @BeforeEach
  void open() {
    node = new TestBackend(directory);
    compiler = new Compiler(node.library(), SETTINGS);
  }

  @AfterEach
  void close() {
    compiler.close();
    node.close();
  }

  private long waiting() throws InterruptedException {
    for (Instant end = Instant.now().plusSeconds(60); compiler.waiting().isEmpty(); Thread.sleep(20)) {
      assertTrue(Instant.now().isBefore(end), "no process waits");
    }
    return compiler.waiting().orElseThrow();
  }

  private void compiles() throws InterruptedException {
    assertTrue(compiler.compile(TestBackend.wasm("(module (func (export \"_start\")))"), Instant.now().plusSeconds(60)).length > 0);
  }

  private static void ended(long pid) throws Exception {
    var process = ProcessHandle.of(pid);
    if (process.isPresent()) {
      process.get().onExit().get(60, TimeUnit.SECONDS);
    }
  }

  @Test
  void theProcessThatWaitsGetsTheModuleAndAnotherComes() throws Exception {
    compiles();
    long first = waiting();
    compiles();
    ended(first);
    long second = waiting();
    assertNotEquals(first, second);
    compiler.close();
    ended(second);
    assertTrue(compiler.waiting().isEmpty());
  }

  @Test
  void oneThatDiedOrHasAnotherBoundIsReplaced() throws Exception {
    compiles();
    long died = waiting();
    ProcessHandle.of(died).orElseThrow().destroyForcibly();
    ended(died);
    compiles();
    long bound = waiting();
    assertNotEquals(died, bound);
    compiler.apply(new Compiler.Settings(1, Duration.ofSeconds(60), 300));
    ended(bound);
    compiles();
  }
}
