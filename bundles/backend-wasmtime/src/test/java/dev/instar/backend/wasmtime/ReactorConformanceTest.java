package dev.instar.backend.wasmtime;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.function.Image;
import dev.instar.api.sandbox.SandboxBackend;
import dev.instar.tck.capability.RequiresCapability;
import dev.instar.tck.sandbox.Fixture;
import dev.instar.tck.sandbox.Fixtures;
import dev.instar.tck.sandbox.SandboxBackendSuite;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;
import org.junit.jupiter.api.io.TempDir;

/** The suite with Faasm reactors. */
@RequiresCapability({"wasmtime", "wabt"})
class ReactorConformanceTest extends SandboxBackendSuite {
  @TempDir
  static Path directory;

  private TestBackend node;

  @Override
  protected SandboxBackend openBackend() {
    node = new TestBackend(directory);
    return node.backend;
  }

  @Override
  protected void closeBackend(SandboxBackend backend) {
    node.close();
    assertEquals(0, node.backend.guestMemory(), "bytes of guests that nobody gave back");
    assertTrue(node.store().list().stream().allMatch(layer -> layer.leases() == 0), "a layer is open that nobody uses");
  }

  @Override
  protected Fixtures fixtures() {
    return new Fixtures() {
      @Override
      public Image image(Fixture fixture) throws IOException {
        String form = switch (fixture) {
          // What they show is the same in both.
          case ENV, GROW_TABLE, OPEN_FILES, FILL_FILE, MAKE_FILES -> "command/";
          default -> "reactor/";
        };
        return CommandConformanceTest.image(node, form, fixture);
      }

      @Override
      public Optional<String> inexpressible(Fixture fixture) {
        return switch (fixture) {
          case SLOW_READER, IGNORE_INPUT -> Optional.of("A reactor is called when its whole input is in its memory.");
          default -> Optional.empty();
        };
      }
    };
  }

  @Override
  protected boolean mayStay(Thread thread) {
    return thread.getName().equals("wasmtime-ticker") || thread.getName().startsWith("wasmtime-compile-");
  }

  @Override
  protected boolean mayStay(ProcessHandle process) {
    return TestBackend.isCompiler(process);
  }
}
