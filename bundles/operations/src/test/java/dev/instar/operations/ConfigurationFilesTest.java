package dev.instar.operations;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.databind.JsonNode;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;

class ConfigurationFilesTest {
  private static String with(String file, String text, Object value) throws Refused {
    Map<String, JsonNode> nodes = ConfigurationFiles.nodes(Map.of("a", value));
    return ConfigurationText.read(file, text.getBytes(StandardCharsets.UTF_8)).with(nodes, Set.of());
  }

  @Test
  void aRoundNumberIsWrittenInDigits() throws Exception {
    BigDecimal hundred = new BigDecimal("100");
    assertEquals("{\"a\":100}", with("a.cfg.json", "{\"a\":1}", hundred));
    assertEquals("{\"a\":[100,20]}", with("a.cfg.json", "{\"a\":1}", List.of(hundred, new BigDecimal("2E+1"))));
    assertEquals("a = 100\n", with("a.cfg", "a = 1\n", hundred));
    assertEquals("a = 100, 20\n", with("a.cfg", "a = 1\n", List.of(hundred, new BigDecimal("20"))));
    assertEquals("a = I\"100\"\n", with("a.cfg", "a = I\"1\"\n", hundred));
    assertEquals("{\"a\":2.5}", with("a.cfg.json", "{\"a\":1}", new BigDecimal("2.5")));
  }
}
