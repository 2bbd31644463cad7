package dev.instar.operations;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.BooleanNode;
import com.fasterxml.jackson.databind.node.IntNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.TextNode;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class CfgTextTest {
  private static ConfigurationText read(String text) throws Refused {
    return ConfigurationText.read("a.cfg", text.getBytes(StandardCharsets.UTF_8));
  }

  private static Map<String, JsonNode> values(String text) throws Refused {
    Map<String, JsonNode> values = new LinkedHashMap<>();
    read(text).entries().forEach(e -> values.put(e.key(), e.value()));
    return values;
  }

  private static Map<String, Object> read(String text, Schema schema) throws Refused {
    return ConfigurationFile.of(schema.pid() + ".cfg", text.getBytes(StandardCharsets.UTF_8)).read(schema, Interpolation.NONE).values();
  }

  @Test
  void readsWhatPropertiesAre() throws Exception {
    String text = "# comment\n! another\n\n  a = 1\nb:two words \nc three\r\nd\ne=x\\\n    y\\n\\u00e9\\=\nf\\ g = \\ h\n\ufeff = 1";
    Map<String, JsonNode> values = values(text);
    assertEquals("{a=\"1\", b=\"two words \", c=\"three\", d=\"\", e=\"xy\\né=\", f g=\" h\", \ufeff=\"1\"}", values.toString());
    assertEquals(List.of(4, 5, 6, 7, 8, 10, 11), read(text).entries().stream().map(ConfigurationText.Entry::line).toList());
  }

  @Test
  void readsTypedValuesWhereAllAre() throws Exception {
    assertEquals("{a=5, b=true, c=\"x \\\"y\\\"\", d=[1,2], e=[\"p\",\"q,\"], f=1.5, g=0.5, h=\"z\"}",
        values("a = I\"5\"\nb=B\"true\"\nc=\"x \\\"y\\\"\"\nd=L[\"1\", \"2\"]\ne=( \\\n  \"p\", \\\n  \"q,\", \\\n)\nf=D\"1.5\"\ng=F\"1056964608\"\nh=T\"z\"\n").toString());
    assertEquals("{a=\"I\\\"5\\\"\", b=\"plain\"}", values("a = I\"5\"\nb = plain").toString(), "one that is not makes all of them texts, as for Felix");
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', quoteCharacter = '~', value = {
      "a=1#a=2 | The file a.cfg gives the key 'a' twice, the second time in line 2.",
      "#a=\\u12 | The file a.cfg has a \\u in line 2 that is not followed by four hexadecimal digits.",
      "a=I\"x\" | The value of a in a.cfg (line 1) is not written as Felix' typed values are: \"x\" is no number of type I.",
      "a=[\"x\" \"y\"] | The value of a in a.cfg (line 1) is not written as Felix' typed values are: a comma is missing in the list.",
      "a=\"x\" \"y\" | The value of a in a.cfg (line 1) is not written as Felix' typed values are: there is something after the value.",
  })
  void saysWhatIsWrong(String text, String expected) {
    assertEquals(expected, assertThrows(Refused.class, () -> values(text.replace('#', '\n'))).getMessage());
  }

  @Test
  void theKeySaysTheType() throws Exception {
    Schema some = SchemaTest.read(SchemaTest.XML).getFirst();
    Map<String, Object> values = read("size = 4\nmode = on\nnames = a, b\\\\,c\n", some);
    assertEquals(4, values.get("size"));
    assertArrayEquals(new String[] {"a", "b,c"}, (String[]) values.get("names"));
    assertEquals(4, read("size = I\"4\"\n", some).get("size"));
    assertEquals(4, read("size = \"4\"\n", some).get("size"));
    assertArrayEquals(new String[] {"a", "b"}, (String[]) read("names = [\"a\", \"b\"]\n", some).get("names"));
    assertEquals("size in dev.instar.some.cfg (line 2) is 11; give a whole number from 1 to 10. dev.instar.some.cfg (line 3) has the key 'mod', which dev.instar.some does not know; did you mean 'mode'?",
        assertThrows(Refused.class, () -> read("\nsize=11\nmod=on", some)).getMessage());
  }

  @Test
  void aChangeLeavesTheRest() throws Exception {
    String text = "# first\na = 1 \\\n  2\n\n# second\nb : 2";
    ConfigurationText read = read(text);
    assertEquals("# first\na = 9\n\n# second\nb : 2", read.with(Map.of("a", IntNode.valueOf(9)), Set.of()));
    assertEquals("# first\n\n# second\nb : 2\nc = true\n", read.with(Map.of("c", BooleanNode.TRUE), Set.of("a")));
    assertEquals("{a=\"1\", c=true}", values(read("a=1\\\n").with(Map.of("c", BooleanNode.TRUE), Set.of())).toString().replace("\"true\"", "true"));
    JsonNode list = JsonNodeFactory.instance.arrayNode().add("p,q").add("r");
    String changed = read.with(Map.of("a", new TextNode(" x\\y\n"), "b", list), Set.of());
    assertEquals("{a=\" x\\\\y\\n\", b=\"p\\\\,q, r\"}", values(changed).toString());
    String typed = read("a = I\"1\"\n").with(Map.of("a", IntNode.valueOf(2), "b", list), Set.of());
    assertEquals("a = I\"2\"\nb = [\"p,q\", \"r\"]\n", typed);
    assertTrue(read(typed).entries().getFirst().value().isNumber());
  }
}
