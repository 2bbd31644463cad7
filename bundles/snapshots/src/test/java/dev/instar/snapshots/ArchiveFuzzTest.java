package dev.instar.snapshots;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.code_intelligence.jazzer.junit.FuzzTest;
import dev.instar.api.Digest;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.data.DurableFiles;
import dev.instar.api.snapshot.GcPolicy;
import dev.instar.api.snapshot.SnapshotLayer;
import dev.instar.data.LockedDataDirectory;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;

/** An archive is refused and leaves nothing, or what it makes is whole. Its own sum is put right first: without, nothing else would be reached. */
class ArchiveFuzzTest {
  private static final long LIMIT = 1 << 20;
  private static Path directory;
  private static LockedDataDirectory data;
  private static SnapshotStoreComponent store;

  @BeforeAll
  static void open() throws Exception {
    directory = Files.createTempDirectory("snapshots-fuzz");
    data = LockedDataDirectory.open(directory.resolve("data"));
    store = new SnapshotStoreComponent(data, new SnapshotStoreComponent.Limits(new GcPolicy(Duration.ofDays(1), LIMIT), LIMIT));
  }

  @AfterAll
  static void close() throws IOException {
    store.stop();
    data.close();
    DurableFiles.deleteTree(directory);
  }

  @FuzzTest
  void anArchiveIsRefusedOrWhole(byte[] input) throws IOException {
    byte[] archive = Arrays.copyOf(input, input.length + 32);
    System.arraycopy(HexFormat.of().parseHex(Digest.of(input).hex()), 0, archive, input.length, 32);
    try {
      SnapshotLayer layer = store.importFrom(new ByteArrayInputStream(archive));
      store.verify(layer.id());
    } catch (InstarException e) {
      assertEquals(ErrorCode.ARCHIVE_REFUSED, e.code(), e::getMessage);
      assertTrue(e.getMessage().chars().allMatch(c -> c >= ' ' && c <= '~'), e::getMessage);
    }
    store.collect(new GcPolicy(Duration.ZERO, 0));
    assertEquals(List.of(), store.list());
    try (Stream<Path> left = Files.list(data.area("snapshots").resolve("building"))) {
      assertEquals(0, left.count());
    }
  }
}
