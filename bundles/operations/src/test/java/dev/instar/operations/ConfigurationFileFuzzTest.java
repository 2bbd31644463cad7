package dev.instar.operations;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import com.code_intelligence.jazzer.junit.FuzzTest;
import dev.instar.api.data.DurableFiles;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.Dictionary;
import java.util.List;

/** A file is refused in words that fit a terminal, or every value has the type that its key declares and lies in its range. */
class ConfigurationFileFuzzTest {
  private static final String XML = SchemaTest.XML.replace("<AD id=\"mode\"", """
      <AD id="ratio" type="Double" name="Ratio" min="0" max="1"/>
      <AD id="long" type="Long" name="Long" min="-5"/>
      <AD id="whole" type="Integer" cardinality="100" name="Whole"/>
      <AD id="on" type="Boolean" name="On"/>
      <AD id="float" type="Float" name="Float"/>
      <AD id="text" type="String" name="Text" min="2" max="3"/>
      <AD id="mode\"""");

  @FuzzTest
  void whatIsTakenIsInItsRange(byte[] input) throws IOException {
    Schema schema = SchemaTest.read(XML).getFirst();
    // A directory of its own: one that everybody may change is refused.
    Path directory = Files.createTempDirectory("fuzz-configuration");
    try {
      Path file = Files.write(directory.resolve("dev.instar.some" + ConfigurationFile.SUFFIX), input);
      ConfigurationFile read = ConfigurationFile.of(file);
      try {
        check(read.read(schema));
      } catch (ConfigurationFile.Refused e) {
        shown(e.problems());
      }
      try {
        Dictionary<String, Object> any = read.read();
        for (String key : Collections.list(any.keys())) {
          Object value = any.get(key);
          assertTrue(value instanceof String || value instanceof Boolean || value instanceof Long || value instanceof String[]
              || value instanceof Double d && Double.isFinite(d), () -> key + " is " + value);
        }
      } catch (ConfigurationFile.Refused e) {
        shown(e.problems());
      }
    } finally {
      DurableFiles.deleteTree(directory);
    }
  }

  private static void shown(List<String> problems) {
    assertFalse(problems.isEmpty());
    for (String problem : problems) {
      assertFalse(problem.startsWith("The file dev.instar.some.cfg.json is not used"), problem);
      assertTrue(problem.codePoints().noneMatch(Character::isISOControl), () -> "fit for a terminal: " + problem);
    }
  }

  private static void check(Dictionary<String, Object> values) {
    for (String key : Collections.list(values.keys())) {
      Object value = values.get(key);
      boolean fits = switch (key) {
        case "size" -> value instanceof Integer n && n >= 1 && n <= 10;
        case "mode" -> value.equals("on") || value.equals("off");
        case "names" -> value instanceof String[];
        case "ratio" -> value instanceof Double d && d >= 0 && d <= 1;
        case "long" -> value instanceof Long n && n >= -5;
        case "whole" -> value instanceof Integer[] list && Arrays.stream(list).noneMatch(n -> n == null);
        case "on" -> value instanceof Boolean;
        case "float" -> value instanceof Float f && Float.isFinite(f);
        case "text" -> value instanceof String text && text.length() >= 2 && text.length() <= 3;
        default -> fail("the key " + key);
      };
      assertTrue(fits, () -> key + " is " + value);
    }
  }
}
