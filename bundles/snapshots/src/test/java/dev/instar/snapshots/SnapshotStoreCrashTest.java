package dev.instar.snapshots;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.Digest;
import dev.instar.api.snapshot.GcPolicy;
import dev.instar.api.snapshot.OpenLayer;
import dev.instar.api.snapshot.SnapshotBuilder;
import dev.instar.api.snapshot.SnapshotInfo;
import dev.instar.api.snapshot.SnapshotKey;
import dev.instar.api.snapshot.SnapshotLayer;
import dev.instar.api.snapshot.SnapshotLease;
import dev.instar.data.LockedDataDirectory;
import dev.instar.tck.crash.CrashSuite;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.Stream;

class SnapshotStoreCrashTest extends CrashSuite {
  private static final String BASE = "base";
  private static final String DIFF = "diff";
  private static final String BRIEF = "brief";

  @Override
  protected int steps() {
    return 8;
  }

  /** An import keeps the layers below the one that it fails at. */
  @Override
  protected boolean isAtOnce(int step) {
    return step != 7;
  }

  @Override
  protected Set<String> swept() {
    return Set.of("scratch", "snapshots/building");
  }

  private static SnapshotKey key(String name) {
    return new SnapshotKey("toy", "1", new TreeMap<>(), name.equals(BRIEF) ? List.of(Digest.of(name.getBytes())) : List.of());
  }

  @Override
  protected Subject open(Path root) throws Exception {
    LockedDataDirectory data = LockedDataDirectory.open(root);
    SnapshotStoreComponent store;
    try {
      store = new SnapshotStoreComponent(data, new SnapshotStoreComponent.Limits(new GcPolicy(Duration.ofDays(1), 1 << 20), 1 << 20));
    } catch (RuntimeException e) {
      data.close();
      throw e;
    }
    return new Subject() {
      private byte[] exported = {};

      private Optional<SnapshotInfo> info(String name) {
        return store.list().stream().filter(i -> i.layer().creator().equals(name)).findFirst();
      }

      private Digest id(String name) {
        return info(name).orElseThrow().layer().id();
      }

      private void publish(String name) throws Exception {
        try (SnapshotBuilder builder = name.equals(DIFF) ? store.diff(id(BASE), key(DIFF), DIFF) : store.base(key(name), name)) {
          byte[] memory = new byte[name.equals(BASE) ? Chunks.SIZE + 6000 : 5000];
          new Random(name.hashCode()).nextBytes(memory);
          builder.memory(0, ByteBuffer.wrap(memory));
          builder.blob("state", new ByteArrayInputStream(name.repeat(2000).getBytes()));
          builder.publish();
        }
      }

      @Override
      public void step(int n) throws Exception {
        switch (n) {
          case 0 -> publish(BASE);
          case 1 -> publish(DIFF);
          case 2 -> store.hold(id(DIFF), "alice/hello@1");
          case 3 -> publish(BRIEF);
          case 4 -> store.remove(id(BRIEF));
          case 5 -> {
            if (exported.length == 0) {
              ByteArrayOutputStream archive = new ByteArrayOutputStream();
              store.exportTo(id(DIFF), archive);
              exported = archive.toByteArray();
            }
            store.remove(id(DIFF));
          }
          case 6 -> store.remove(id(BASE));
          case 7 -> store.importFrom(new ByteArrayInputStream(exported));
          default -> throw new IllegalArgumentException();
        }
      }

      @Override
      public SortedMap<String, String> facts() throws Exception {
        Map<String, Fact> facts = new LinkedHashMap<>();
        for (SnapshotInfo info : store.list()) {
          facts.put(info.layer().creator(), () -> tell(info.layer()));
          if (!info.users().isEmpty()) {
            facts.put(info.layer().creator() + "'s users", () -> info.users().toString());
          }
        }
        return told(facts);
      }

      private String tell(SnapshotLayer layer) throws Exception {
        try (SnapshotLease lease = store.open(layer.id(), layer.key())) {
          StringBuilder text = new StringBuilder();
          for (OpenLayer open : lease.layers()) {
            ByteBuffer memory = ByteBuffer.allocate((int) open.layer().memoryBytes());
            open.read(0, memory);
            if (open.layer().isBase()) {
              assertArrayEquals(Files.readAllBytes(open.memory()), memory.array());
            }
            text.append(open.layer().creator()).append(' ').append(Digest.of(memory.array())).append(' ')
                .append(Digest.of(Files.readAllBytes(open.blob("state")))).append(' ');
          }
          return text.toString();
        }
      }

      @Override
      public List<Path> setAside() throws IOException {
        try (Stream<Path> all = Files.list(data.area("snapshots").resolve("damaged"))) {
          return all.toList();
        }
      }

      @Override
      public void goOn() throws Exception {
        for (String name : List.of(BASE, DIFF, BRIEF)) {
          if (!facts().containsKey(name)) {
            info(name).ifPresent(i -> store.remove(i.layer().id()));
            publish(name);
          }
          assertTrue(facts().containsKey(name));
          store.hold(id(name), "somebody");
          assertTrue(info(name).orElseThrow().users().contains("somebody"));
        }
        assertEquals(3, store.list().stream().filter(i -> !i.users().isEmpty()).count());
      }

      @Override
      public void close() {
        store.stop();
        data.close();
      }
    };
  }
}
