package dev.instar.operations.deploy;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class StoreTest {
  @TempDir
  Path data;

  @ParameterizedTest
  @ValueSource(strings = {"deployed", "deployed/jars", "deployed/incoming"})
  void aFileInPlaceOfADirectoryGoesOutOfTheWay(String place) throws Exception {
    Path file = data.resolve(place);
    Files.createDirectories(file.getParent());
    Files.writeString(file, "somebody's");
    Store store = new Store(data.resolve("deployed"));
    assertTrue(Files.isRegularFile(store.receive(new ByteArrayInputStream(new byte[10]), 10).file()));
    try (Stream<Path> aside = Files.list(file.getParent())) {
      Path kept = aside.filter(one -> one.getFileName().toString().startsWith(file.getFileName() + ".damaged-")).findFirst().orElseThrow();
      assertEquals("somebody's", Files.readString(kept));
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"deployed", "deployed/jars"})
  void soDoesALinkThatLeadsNowhere(String place) throws Exception {
    Path link = data.resolve(place);
    Files.createDirectories(link.getParent());
    Files.createSymbolicLink(link, data.resolve("gone"));
    new Store(data.resolve("deployed"));
    assertTrue(Files.isDirectory(link) && !Files.isSymbolicLink(link));
  }
}
