package dev.instar.backend.wasm;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.io.TempDir;

/** Tests with a node each, of whose memory for guests nothing is taken once they have closed what they opened, nor when the node is closed. */
abstract class NodeTest {
  @TempDir
  Path directory;
  TestNode node;

  @BeforeEach
  void open() {
    node = new TestNode(directory);
  }

  @AfterEach
  void nothingIsLeft() {
    long left = node.backend.guestMemory();
    node.close();
    assertEquals(0, node.backend.guestMemory());
    assertEquals(0, left, "before the node was closed");
  }

  /** The same node with these settings, as {@link TestNode#config} takes them. */
  void reopen(Object... settings) {
    node.close();
    node = new TestNode(directory, settings);
  }
}
