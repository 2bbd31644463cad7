package dev.instar.launcher.node;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class StartLevelsTest {
  @TempDir
  Path directory;

  @Test
  void theFirstRuleThatFitsCounts() throws IOException {
    StartLevels levels = read("# comment\n\na.first 7\na.* 2\n*.last   9\n");
    assertEquals(7, levels.of("a.first"));
    assertEquals(2, levels.of("a.second"));
    assertEquals(2, levels.of("a.last"));
    assertEquals(9, levels.of("b.last"));
    assertEquals(StartLevels.USUAL, levels.of("b"));
    assertEquals(StartLevels.USUAL, levels.of("aXfirst"), "a dot is a dot");
    assertEquals(9, levels.last());
  }

  @Test
  void aRuleThatIsNoneIsNamed() {
    IOException e = assertThrows(IOException.class, () -> read("a.b two\n"));
    assertEquals(directory.resolve("rules") + ": 'a.b two' is not a symbolic name and a start level", e.getMessage());
    assertThrows(IOException.class, () -> read("a.b\n"));
    assertThrows(IOException.class, () -> read("a.b 0\n"));
  }

  @Test
  void theShippedRulesStartThePortLastAndConfigurationEarly() throws IOException {
    StartLevels levels = StartLevels.read(Path.of("../features/start-levels.rules"));
    assertEquals(levels.last(), levels.of("dev.instar.listener"));
    assertEquals(1, levels.of("org.apache.aries.spifly.dynamic.bundle"));
    assertEquals(2, levels.of("ch.qos.logback.classic"));
    assertEquals(3, levels.of("org.apache.felix.scr"));
    assertEquals(3, levels.of("dev.instar.operations"));
    assertEquals(4, levels.of("dev.instar.scheduler"));
    assertEquals(4, levels.of("somebody.elses.backend"));
  }

  private StartLevels read(String text) throws IOException {
    return StartLevels.read(Files.writeString(directory.resolve("rules"), text));
  }
}
