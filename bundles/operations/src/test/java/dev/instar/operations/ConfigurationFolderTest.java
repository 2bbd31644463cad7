package dev.instar.operations;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ConfigurationFolderTest {
  @TempDir
  Path directory;
  private Path file;
  private ConfigurationFolder folder;

  @BeforeEach
  void prepare() throws Exception {
    file = directory.resolve("a.cfg");
    Files.writeString(file, "a = 1");
    folder = new ConfigurationFolder(directory, Optional.of(directory));
    assertEquals(List.of("a = 1"), contents(folder.readAll()));
    assertEquals(List.of(), changes());
  }

  private static List<String> contents(List<ConfigurationFile> files) {
    return files.stream().map(f -> new String(f.content().orElseThrow(), StandardCharsets.UTF_8)).toList();
  }

  private List<String> changes() {
    return contents(folder.look(Set.of()).files());
  }

  @Test
  void aFileIsNotTakenWhileItIsWritten() throws Exception {
    Files.writeString(file, "a = 12");
    assertEquals(List.of(), changes());
    Files.writeString(file, "a = 12\nb");
    assertEquals(List.of(), changes());
    Files.writeString(file, "a = 12\nb = 3");
    assertEquals(List.of(), changes());
    assertEquals(List.of("a = 12\nb = 3"), changes());
    assertEquals(List.of(), changes());
  }

  @Test
  void aFileThatIsAwayForAMomentIsNotGone() throws Exception {
    Files.delete(file);
    assertEquals(List.of(), folder.look(Set.of()).gone());
    Files.writeString(file, "a = 100");
    assertEquals(List.of(), folder.look(Set.of()).gone());
    assertEquals(List.of("a = 100"), changes());
    Files.delete(file);
    assertEquals(List.of(), folder.look(Set.of()).gone());
    assertEquals(List.of("a.cfg"), folder.look(Set.of()).gone());
    assertEquals(List.of(), folder.look(Set.of()).gone());
  }

  @Test
  void whatTheNodeHasWrittenItselfIsNoChange() throws Exception {
    Files.writeString(file, "a = 12");
    assertEquals(List.of("a = 12"), contents(List.of(folder.take("a.cfg"))));
    assertEquals(List.of(), changes());
    assertEquals(List.of(), changes());
    Files.delete(file);
    folder.drop("a.cfg");
    assertEquals(List.of(), folder.look(Set.of()).gone());
    assertEquals(List.of(), folder.look(Set.of()).gone());
  }

  @Test
  void aSecretThatChangesIsTold() throws Exception {
    Set<String> wanted = Set.of("word", "../a.cfg");
    assertEquals(Set.of(), folder.look(wanted).secrets());
    Files.writeString(directory.resolve("word"), "x");
    assertEquals(Set.of(), folder.look(wanted).secrets());
    assertEquals(Set.of("word"), folder.look(wanted).secrets());
    assertEquals(Set.of(), folder.look(wanted).secrets());
    Files.delete(directory.resolve("word"));
    assertEquals(Set.of(), folder.look(wanted).secrets());
    assertEquals(Set.of("word"), folder.look(wanted).secrets());
  }

  @Test
  void aDirectoryThatIsAwayLosesNothing() throws Exception {
    Path away = directory.resolveSibling(directory.getFileName() + "-away");
    Files.move(directory, away);
    try {
      assertEquals(List.of(), folder.look(Set.of()).gone());
      assertEquals(List.of(), folder.look(Set.of()).gone());
    } finally {
      Files.move(away, directory);
    }
    assertTrue(folder.look(Set.of()).gone().isEmpty());
  }
}
