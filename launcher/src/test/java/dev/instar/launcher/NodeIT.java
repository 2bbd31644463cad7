package dev.instar.launcher;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

class NodeIT {
  @RegisterExtension
  static final PaxNode NODE = new PaxNode();

  @Test
  void x() throws Exception {
    Thread.sleep(5000);
    assertEquals("", NODE.url().toString());
  }
}
