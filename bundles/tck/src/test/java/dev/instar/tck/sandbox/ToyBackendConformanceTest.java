package dev.instar.tck.sandbox;

import dev.instar.api.function.Image;
import dev.instar.api.sandbox.SandboxBackend;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.OptionalInt;
import org.junit.jupiter.api.io.TempDir;

/** The suite passes a backend that is right. */
class ToyBackendConformanceTest extends SandboxBackendSuite {
  @TempDir
  static Path directory;

  private ToyBackend backend;

  Flaw flaw() {
    return Flaw.NONE;
  }

  @Override
  protected SandboxBackend openBackend() {
    backend = new ToyBackend(flaw());
    return backend;
  }

  @Override
  protected OptionalInt storedStates() {
    return OptionalInt.of(backend.stored());
  }

  @Override
  protected Fixtures fixtures() {
    return this::image;
  }

  private Image image(Fixture fixture) throws IOException {
    Path file = directory.resolve(fixture.name());
    Files.writeString(file, fixture.name());
    return Fixtures.ofFile(file, "toy");
  }
}
