package dev.instar.api.data;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class NodeMarkTest {
  @TempDir
  Path directory;

  @Test
  void standsForTheDirectoryByWhateverPath() throws Exception {
    NodeMark mark = NodeMark.of(directory);
    assertTrue(mark.directory().matches("[0-9a-f]{32}"), mark.directory());
    assertTrue(mark.run().startsWith(ProcessHandle.current().pid() + "."), mark.run());
    Path link = Files.createSymbolicLink(directory.resolve("link"), directory);
    assertEquals(mark, NodeMark.of(link));
    assertNotEquals(mark.directory(), NodeMark.of(Files.createDirectory(directory.resolve("other"))).directory());
    assertThrows(NoSuchFileException.class, () -> NodeMark.of(directory.resolve("none")));
  }
}
