package dev.instar.images;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ContainerIdsTest {
  private static final int FIRST = ImagesConfig.FIRST_ID;
  @TempDir
  Path directory;

  @Test
  void twoNodesOfAHostNeverHaveTheSame() throws Exception {
    Process other = new ProcessBuilder("sleep", "60").start();
    Process third = new ProcessBuilder("sleep", "60").start();
    try {
      ContainerIds own = new ContainerIds(directory.resolve("ids"), ContainerIds.name(ProcessHandle.current()));
      ContainerIds others = new ContainerIds(directory.resolve("ids"), ContainerIds.name(other.toHandle()));
      assertEquals(FIRST, own.take(FIRST));
      assertEquals(FIRST, own.take(FIRST), "a successor in the same process has the same");
      int next = others.take(FIRST);
      // The first range lies across two blocks, and of neither may another have a part.
      assertEquals(0, (next - FIRST) % ContainerIds.BLOCK);
      assertEquals(2 * ContainerIds.BLOCK, next - FIRST);
      assertEquals(next, others.take(FIRST));
      assertEquals(FIRST + 10 * ContainerIds.BLOCK, own.take(FIRST + 10 * ContainerIds.BLOCK), "configured anew");
      assertEquals(FIRST + 4 * ContainerIds.BLOCK, new ContainerIds(directory.resolve("ids"), ContainerIds.name(third.toHandle())).take(FIRST));
      assertEquals(4 * ContainerIds.BLOCK, own.take(4 * ContainerIds.BLOCK));
      assertEquals(5 * ContainerIds.BLOCK, others.take(4 * ContainerIds.BLOCK));
      assertEquals(ContainerIds.LAST, others.take(ContainerIds.LAST));
    } finally {
      other.destroyForcibly();
      third.destroyForcibly();
    }
  }

  @Test
  void whatAKilledNodeHadIsFree() throws Exception {
    Process killed = new ProcessBuilder("sleep", "60").start();
    String name = ContainerIds.name(killed.toHandle());
    assertEquals(FIRST, new ContainerIds(directory, name).take(FIRST));
    killed.destroyForcibly().waitFor();
    ContainerIds own = new ContainerIds(directory, ContainerIds.name(ProcessHandle.current()));
    assertEquals(FIRST, own.take(FIRST));
    // Its number has come again, for another process.
    assertEquals(FIRST, new ContainerIds(directory, ProcessHandle.current().pid() + " 1").take(FIRST) - 2 * ContainerIds.BLOCK);
    assertEquals(FIRST + 2 * ContainerIds.BLOCK, own.take(FIRST + 2 * ContainerIds.BLOCK));
    own.giveBack();
    try (Stream<Path> all = Files.list(directory)) {
      for (Path file : all.toList()) {
        assertNotEquals(ContainerIds.name(ProcessHandle.current()), Files.readString(file));
      }
    }
  }

  @Test
  void whereNothingCanBeWrittenItIsAsConfigured() throws Exception {
    Path file = Files.writeString(directory.resolve("file"), "");
    ContainerIds ids = new ContainerIds(file, "1 1");
    assertEquals(FIRST, ids.take(FIRST));
    ids.giveBack();
  }
}
