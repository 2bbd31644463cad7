package dev.instar.snapshots;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.snapshot.GcPolicy;
import dev.instar.api.snapshot.SnapshotBuilder;
import dev.instar.api.snapshot.SnapshotKey;
import dev.instar.data.LockedDataDirectory;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** At a byte a second, so that a rest that should not be lasts for hours. */
@Timeout(60)
class PaceTest {
  @TempDir
  Path directory;

  @Test
  void whoIsInterruptedDoesNotRest() throws Exception {
    var limits = new SnapshotStoreComponent.Limits(new GcPolicy(Duration.ofDays(1), 1 << 30), 1 << 30, 1);
    byte[] memory = new byte[3 * Chunks.SIZE];
    Arrays.fill(memory, (byte) 1);
    try (LockedDataDirectory data = LockedDataDirectory.open(directory)) {
      var store = new SnapshotStoreComponent(data, limits);
      var key = new SnapshotKey("toy", "1", new TreeMap<>(), List.of());
      Thread resting = Thread.ofPlatform().start(() -> {
        try (SnapshotBuilder builder = store.base(key, "pace")) {
          builder.memory(0, ByteBuffer.wrap(memory));
          builder.publish();
        }
      });
      while (resting.getState() != Thread.State.TIMED_WAITING) {
        assertTrue(resting.isAlive(), "it rests after the first step");
        Thread.sleep(5);
      }
      assertEquals(List.of(), store.list());
      resting.interrupt();
      resting.join();
      store.verify(store.list().getFirst().layer().id());
      store.stop();
    }
  }
}
