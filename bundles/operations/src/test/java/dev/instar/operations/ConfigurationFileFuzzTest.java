package dev.instar.operations;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import com.code_intelligence.jazzer.junit.FuzzTest;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.IntNode;
import dev.instar.api.operations.ConfigurationProblem;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Whatever a file of either form holds: it is refused in words that fit a terminal, or every value has the type that its key declares and lies in its
 * range; and a change of one key changes no other.
 */
class ConfigurationFileFuzzTest {
  private static final String XML = SchemaTest.XML.replace("<AD id=\"mode\"", """
      <AD id="ratio" type="Double" name="Ratio" min="0" max="1"/>
      <AD id="long" type="Long" name="Long" min="-5"/>
      <AD id="whole" type="Integer" cardinality="100" name="Whole"/>
      <AD id="on" type="Boolean" name="On"/>
      <AD id="float" type="Float" name="Float"/>
      <AD id="text" type="String" name="Text" min="2" max="3"/>
      <AD id="mode\"""");
  private static final Interpolation INTERPOLATION = new Interpolation(Optional::of, name -> Optional.empty(), Optional.empty());

  @FuzzTest
  void whatIsTakenIsInItsRange(byte[] input) throws Exception {
    check(ConfigurationFile.JSON, input);
    check(ConfigurationFile.CFG, input);
  }

  private static void check(String form, byte[] input) throws IOException, Refused {
    ConfigurationFile file = ConfigurationFile.of("dev.instar.some" + form, input);
    try {
      check(file.read(SchemaTest.read(XML).getFirst(), INTERPOLATION).values());
    } catch (Refused e) {
      shown(e.problems());
    }
    try {
      file.read(INTERPOLATION).values().forEach((key, value) ->
          assertTrue(value instanceof String || value instanceof Boolean || value instanceof Long || value instanceof String[]
              || value instanceof Double d && Double.isFinite(d), () -> key + " is " + value));
    } catch (Refused e) {
      shown(e.problems());
    }
    ConfigurationText text;
    try {
      text = file.text();
    } catch (Refused e) {
      return;
    }
    Map<String, JsonNode> before = entries(text);
    if (text instanceof CfgText cfg && !cfg.typed() && before.values().stream().anyMatch(value -> value.asText().indexOf('"') >= 0)) {
      // One value less may make a typed file of it, which the component notices when it changes one.
      return;
    }
    if (before.size() < text.entries().size()) {
      // A key with its type and without: refused when it is read.
      return;
    }
    ConfigurationText added = again(form, text.with(Map.of("size", IntNode.valueOf(7)), Set.of()));
    Map<String, JsonNode> after = entries(added);
    assertEquals("7", after.remove("size").asText());
    before.remove("size");
    assertEquals(before, after);
    assertEquals(before, entries(again(form, added.with(Map.of(), Set.of("size")))));
    assertEquals(Map.of(), entries(again(form, text.with(Map.of(), entries(text).keySet()))));
  }

  private static ConfigurationText again(String form, String text) throws Refused {
    return ConfigurationText.read("again" + form, text.getBytes(StandardCharsets.UTF_8));
  }

  private static Map<String, JsonNode> entries(ConfigurationText text) {
    Map<String, JsonNode> entries = new LinkedHashMap<>();
    text.entries().forEach(e -> entries.put(e.id(), e.value()));
    return entries;
  }

  private static void shown(List<ConfigurationProblem> problems) {
    assertFalse(problems.isEmpty());
    for (ConfigurationProblem problem : problems) {
      assertFalse(problem.detail().startsWith("The file dev.instar.some.cfg.json is not used"), problem::detail);
      assertTrue(problem.detail().codePoints().noneMatch(Character::isISOControl), () -> "fit for a terminal: " + problem);
    }
  }

  private static void check(Map<String, Object> values) {
    values.forEach((key, value) -> {
      boolean fits = switch (key) {
        case "size" -> value instanceof Integer n && n >= 1 && n <= 10;
        case "mode" -> value.equals("on") || value.equals("off");
        case "names" -> value instanceof String[];
        case "word" -> value instanceof String;
        case "ratio" -> value instanceof Double d && d >= 0 && d <= 1;
        case "long" -> value instanceof Long n && n >= -5;
        case "whole" -> value instanceof Integer[] list && Arrays.stream(list).noneMatch(n -> n == null);
        case "on" -> value instanceof Boolean;
        case "float" -> value instanceof Float f && Float.isFinite(f);
        case "text" -> value instanceof String text && text.length() >= 2 && text.length() <= 3;
        default -> fail("the key " + key);
      };
      assertTrue(fits, () -> key + " is " + value);
    });
  }
}
