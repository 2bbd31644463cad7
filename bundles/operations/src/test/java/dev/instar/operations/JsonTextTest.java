package dev.instar.operations;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.IntNode;
import com.fasterxml.jackson.databind.node.TextNode;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class JsonTextTest {
  private static String with(String text, Map<String, JsonNode> values, String... removed) throws Refused {
    return JsonText.parse("a.cfg.json", text).with(values, Set.of(removed));
  }

  @Test
  void aChangeLeavesTheRest() throws Exception {
    String text = "{\n  // one, of several\n  \"a\": 1, // stays\n  /* two */ \"b:Integer\": [1, 2]\n}\n";
    assertEquals("{\n  // one, of several\n  \"a\": 1, // stays\n  /* two */ \"b:Integer\": 7\n}\n", with(text, Map.of("b", IntNode.valueOf(7))));
    assertEquals("{\n  // one, of several\n  \"a\": 1, // stays\n  /* two */ \"b:Integer\": [1, 2],\n  \"c\": \"x\\\"\"\n}\n", with(text, Map.of("c", new TextNode("x\""))));
    assertEquals("{\n  // one, of several\n   // stays\n  /* two */ \"b:Integer\": [1, 2]\n}\n", with(text, Map.of(), "a"));
    assertEquals("{\n  // one, of several\n  \"a\": 1 // stays\n  /* two */ \n}\n", with(text, Map.of(), "b"));
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', quoteCharacter = '~', value = {
      "{} | {~#  \"n\": 1#}~",
      "{\"a\":1} | {~\"a\":1,#  \"n\": 1#}~",
      "{\"a\":1,\"b\":2}|{\"a\":1,\"b\":2,#  \"n\": 1#}",
      "{\"n\":{}}|{\"n\":1}",
  })
  void addsToAnyShape(String text, String expected) throws Exception {
    assertEquals(expected.replace("~", "").replace('#', '\n'), with(text, Map.of("n", IntNode.valueOf(1))));
  }

  @Test
  void takesAwayFromAnyShape() throws Exception {
    assertEquals("{}", with("{\"a\":1}", Map.of(), "a"));
    assertEquals("{\"b\":2}", with("{\"a\":1,\"b\":2}", Map.of(), "a"));
    assertEquals("{\"a\":1}", with("{\"a\":1,\"b\":2}", Map.of(), "b"));
    assertEquals("{}", with("{\"a\":1,\"b\":2}", Map.of(), "a", "b"));
    assertEquals("{\n  \"b\": 2\n}", with("{\n  \"a\": 1,\n  \"b\": 2\n}", Map.of(), "a"));
    assertEquals("{\n  \"a\": 1\n}", with("{\n  \"a\": 1,\n  \"b\": 2\n}", Map.of(), "b"));
    assertEquals("{\n  \"a\": 1,\n  \"c\": 3\n}", with("{\n  \"a\": 1,\n  \"b\": 2\n}", Map.of("c", IntNode.valueOf(3)), "b"));
  }
}
