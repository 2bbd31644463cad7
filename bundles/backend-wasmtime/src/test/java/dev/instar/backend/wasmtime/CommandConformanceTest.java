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
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Optional;
import org.junit.jupiter.api.io.TempDir;

/** The suite with WASI commands. */
@RequiresCapability({"wasmtime", "wabt"})
class CommandConformanceTest extends SandboxBackendSuite {
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
    return fixture -> image(node, "command/", fixture);
  }

  static Image image(TestBackend node, String form, Fixture fixture) throws IOException {
    byte[] module = TestBackend.file(form + fixture.name().toLowerCase(Locale.ROOT).replace('_', '-'));
    return switch (fixture) {
      case OPEN_FILES, FILL_FILE, MAKE_FILES -> node.image(module, Optional.of(Files.createDirectories(node.directory.resolve("rootfs"))));
      default -> node.image(module, Optional.empty());
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
