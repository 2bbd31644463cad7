package dev.instar.functions;

import dev.instar.api.Digest;
import dev.instar.api.function.FunctionRegistry;
import dev.instar.data.LockedDataDirectory;
import dev.instar.tck.function.FunctionRegistrySuite;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.io.TempDir;

class DurableRegistryConformanceTest extends FunctionRegistrySuite {
  @TempDir Path dir;
  private final Fixture.Images images = new Fixture.Images();
  private LockedDataDirectory data;
  private DurableRegistry registry;

  @Override
  protected FunctionRegistry emptyRegistry() throws Exception {
    data = LockedDataDirectory.open(dir.resolve("data"));
    registry = new DurableRegistry(data, Settings.DEFAULT);
    registry.setImages(images);
    registry.setPreparer(new Fixture.Prepares());
    return registry;
  }

  @Override
  protected FunctionRegistry afterRestart() throws Exception {
    close();
    return emptyRegistry();
  }

  @Override
  protected Digest knownImage() {
    return images.image("module");
  }

  @AfterEach
  void close() {
    registry.stop();
    data.close();
  }
}
