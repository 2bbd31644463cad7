package dev.instar.images;

import dev.instar.api.image.ImageStore;
import dev.instar.data.LockedDataDirectory;
import dev.instar.tck.image.ImageStoreSuite;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.io.TempDir;

class ContentStoreConformanceTest extends ImageStoreSuite {
  @TempDir Path dir;
  private LockedDataDirectory data;

  @Override
  protected ImageStore emptyStore() throws Exception {
    data = LockedDataDirectory.open(dir.resolve("data"));
    return new ContentStore(data, ArchiveLimits.DEFAULT);
  }

  @Override
  protected long filesKept() throws Exception {
    try (Stream<Path> files = Files.walk(data.root())) {
      return files.filter(Files::isRegularFile).count();
    }
  }

  @AfterEach
  void close() {
    data.close();
  }
}
