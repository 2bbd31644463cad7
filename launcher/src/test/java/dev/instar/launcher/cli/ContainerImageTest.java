package dev.instar.launcher.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ContainerImageTest {
  @TempDir
  Path directory;

  @Test
  void whatIsLeftOutOfADirectoryIsTold() throws Exception {
    Path root = Files.createDirectories(directory.resolve("root/dev")).getParent();
    Files.writeString(root.resolve("file"), "x");
    ContainerImage whole = ContainerImage.parse("dir:" + root);
    Files.delete(whole.pack());
    assertEquals(Optional.empty(), whole.note());
    for (String name : new String[] {"dev/a", "dev/b", "dev/c", "dev/d", "dev/e", "dev/f"}) {
      assertEquals(0, new ProcessBuilder("mkfifo", root.resolve(name).toString()).start().waitFor());
    }
    ContainerImage image = ContainerImage.parse("dir:" + root);
    Path packed = image.pack();
    try {
      assertEquals("note: left out, since 6 are devices, pipes or sockets: dev/a, dev/b, dev/c, dev/d, dev/e, ...", image.note().orElseThrow());
      String tar = Files.readString(packed, StandardCharsets.ISO_8859_1);
      assertTrue(tar.contains("file") && tar.contains("dev/") && !tar.contains("dev/a"), "the rest is there");
    } finally {
      Files.delete(packed);
    }
  }
}
