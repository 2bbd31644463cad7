package dev.instar.snapshots;

import dev.instar.api.Digest;
import dev.instar.api.snapshot.GcPolicy;
import dev.instar.api.snapshot.SnapshotStore;
import dev.instar.data.LockedDataDirectory;
import dev.instar.tck.snapshot.SnapshotStoreSuite;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.io.TempDir;

class SnapshotStoreConformanceTest extends SnapshotStoreSuite {
  static final SnapshotStoreComponent.Limits LIMITS = new SnapshotStoreComponent.Limits(new GcPolicy(Duration.ofDays(1), 1L << 30), 1L << 30);

  @TempDir Path dir;
  private final List<LockedDataDirectory> opened = new ArrayList<>();
  private LockedDataDirectory data;
  private SnapshotStoreComponent store;

  @Override
  protected SnapshotStore emptyStore() throws Exception {
    data = LockedDataDirectory.open(dir.resolve("data" + opened.size()));
    opened.add(data);
    store = new SnapshotStoreComponent(data, LIMITS);
    return store;
  }

  @Override
  protected SnapshotStore reopened() throws Exception {
    store.stop();
    store = new SnapshotStoreComponent(data, LIMITS);
    return store;
  }

  /** Where the store of now has its layers. */
  Path layers() {
    return data.area("snapshots").resolve("layers");
  }

  @Override
  protected List<Path> files(Digest id) throws Exception {
    try (Stream<Path> files = Files.list(layers().resolve(id.hex()))) {
      return files.sorted().toList();
    }
  }

  @Override
  protected long filesKept() throws Exception {
    try (Stream<Path> files = Files.walk(data.root())) {
      return files.filter(Files::isRegularFile).count();
    }
  }

  @AfterEach
  void close() {
    opened.forEach(LockedDataDirectory::close);
  }
}
