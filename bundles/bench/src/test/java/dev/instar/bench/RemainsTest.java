package dev.instar.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

@EnabledOnOs(OS.LINUX)
class RemainsTest {
  @TempDir
  Path data;

  @Test
  void whatBearsTheRunOfANodeIsFoundUntilItGoes() throws Exception {
    ProcessHandle node = ProcessHandle.current();
    ProcessBuilder child = new ProcessBuilder("sleep", "60");
    child.environment().put("SOME_MARK", "x " + node.pid() + "." + node.info().startInstant().orElseThrow().toEpochMilli());
    Process left = child.start();
    try {
      Remains remains = new Remains(node, data);
      remains.look();
      assertEquals(List.of("the process " + left.pid()), remains.left());
      left.destroy();
      left.waitFor();
      assertEquals(List.of(), remains.left());
    } finally {
      left.destroy();
    }
  }
}
