package dev.instar.launcher.node;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DataPlaceTest {
  @TempDir
  Path home;

  /** What a start leaves there. */
  private static Path started(Path data) throws Exception {
    Files.writeString(data.resolve("node.log"), "said");
    Files.writeString(Files.createDirectories(data.resolve("felix-cache/bundle1")).resolve("bundle.info"), "1");
    Files.createDirectories(data.resolve("images/blobs"));
    return data;
  }

  @Test
  void whatWasMadeIsTakenBackWithTheDirectoriesAboveIt() throws Exception {
    Path data = home.resolve("a/b/data");
    Path made = DataPlace.check(data).orElseThrow();
    assertEquals(home.resolve("a"), made);
    DataPlace.remove(started(data), made);
    assertFalse(Files.exists(made));
    assertTrue(Files.exists(home));
  }

  @Test
  void aDirectoryThatWasThereIsNobodys() throws Exception {
    assertEquals(Optional.empty(), DataPlace.check(home));
  }

  @Test
  void anythingElseInItKeepsAllOfIt() throws Exception {
    for (String foreign : new String[] {"note", "images/blobs/blob", "node.log.old"}) {
      Path data = home.resolve(foreign.replace('/', '-'));
      Path made = DataPlace.check(data).orElseThrow();
      Files.writeString(started(data).resolve(foreign), "kept");
      DataPlace.remove(data, made);
      assertEquals("kept", Files.readString(data.resolve(foreign)));
      assertEquals("said", Files.readString(data.resolve("node.log")));
    }
  }

  @Test
  void whatLiesBesideItKeepsTheDirectoryAboveIt() throws Exception {
    Path data = home.resolve("above/data");
    Path made = DataPlace.check(data).orElseThrow();
    Files.writeString(made.resolve("note"), "kept");
    DataPlace.remove(started(data), made);
    try (Stream<Path> left = Files.list(made)) {
      assertEquals(made.resolve("note"), left.findFirst().orElseThrow());
    }
    assertFalse(Files.exists(data));
  }
}
