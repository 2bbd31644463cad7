package dev.instar.backend.wasm;

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
import java.util.OptionalInt;
import org.junit.jupiter.api.io.TempDir;

/** The suite with WASI commands. */
@RequiresCapability("wabt")
class CommandConformanceTest extends SandboxBackendSuite {
  @TempDir
  static Path directory;

  private TestNode node;
  private TestStore store;

  @Override
  protected SandboxBackend openBackend() {
    node = new TestNode(directory);
    store = new TestStore(directory);
    node.backend.snapshots = store.store();
    return node.backend;
  }

  @Override
  protected void closeBackend(SandboxBackend backend) {
    node.close();
    assertEquals(0, node.backend.guestMemory(), "bytes of guests that nobody gave back");
    assertTrue(store.store().list().stream().allMatch(layer -> layer.leases() == 0), "a layer is open that nobody uses");
    store.close();
  }

  @Override
  protected OptionalInt storedStates() {
    return OptionalInt.of(store.store().list().size());
  }

  @Override
  protected Fixtures fixtures() {
    return fixture -> image(node, "command/", fixture);
  }

  static Image image(TestNode node, String form, Fixture fixture) throws IOException {
    byte[] module = Wat.file(form + fixture.name().toLowerCase(Locale.ROOT).replace('_', '-'));
    return switch (fixture) {
      // Only who brings files has a directory to make more in.
      case OPEN_FILES, FILL_FILE, MAKE_FILES -> node.image(module, Optional.of(Files.createDirectories(node.directory.resolve("rootfs"))));
      default -> node.image(module);
    };
  }

  @Override
  protected boolean mayStay(Thread thread) {
    return thread.getName().startsWith("wasm-compile-");
  }

  @Override
  protected boolean mayStay(ProcessHandle process) {
    return TestNode.isCompiler(process);
  }
}
