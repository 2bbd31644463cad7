package dev.instar.launcher;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.launcher.ShippedMembers.Use;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/** What is renamed or synced by a shipped bundle is so by {@code dev.instar.api.data} alone: one place to be right, and to be tested. */
class OneWayToStoreTest {
  private static final Set<String> ITS_OWN = Set.of("java/nio/file/Files.move", "java/nio/channels/FileChannel.force", "java/io/FileDescriptor.sync",
      "java/io/File.renameTo");

  @Test
  void noOtherBundleRenamesOrSyncs() throws IOException {
    Map<Boolean, List<Use>> uses = ShippedMembers.uses(ITS_OWN).stream().collect(Collectors.partitioningBy(use -> use.inClass().startsWith("dev/instar/api/data/")));
    assertEquals(List.of(), uses.get(false));
    assertTrue(uses.get(true).size() >= 2, () -> "only " + uses.get(true) + " was seen: the search finds nothing");
  }
}
