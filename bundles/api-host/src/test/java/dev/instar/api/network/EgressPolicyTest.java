package dev.instar.api.network;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.function.FunctionName;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class EgressPolicyTest {
  private static final FunctionName F = new FunctionName("ann", "f");

  @ParameterizedTest
  @ValueSource(strings = {"none", "internet", "192.0.2.7", "192.0.2.7:443", "198.51.100.0/24", "0.0.0.0/0:53,203.0.113.9"})
  void whatIsWrittenIsReadBack(String text) {
    assertEquals(text, EgressPolicy.parse(text).toString());
  }

  @Test
  void aDestinationIsCutToItsNetwork() {
    assertEquals("198.51.100.0/24:80", EgressPolicy.parse(" 198.51.100.77/24:80 ").toString());
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "None", "192.0.2.7,", "192.0.2", "192.0.2.256", "192.0.2.07", "example.com:443", "192.0.2.7:0", "192.0.2.7:65536", "192.0.2.7:",
      "192.0.2.7/33", "192.0.2.7/-1", "192.0.2.7:443;drop", "::1", "192.0.2.7:4 4", "192.0.2.7/2\n4"})
  void whatIsNoneIsRefusedAndNamed(String text) {
    InstarException e = assertThrows(InstarException.class, () -> EgressPolicy.parse(text));
    assertEquals(ErrorCode.BAD_REQUEST, e.code());
  }

  @Test
  void aListIsBounded() {
    String many = String.join(",", IntStream.range(0, 65).mapToObj(i -> "192.0.2." + i).toList());
    assertThrows(InstarException.class, () -> EgressPolicy.parse(many));
    assertEquals(64, ((EgressPolicy.Only) EgressPolicy.parse(many.substring(0, many.lastIndexOf(',')))).destinations().size());
  }

  @Test
  void labelsSayWhatAFunctionWants() {
    assertEquals(new NetworkRequest(F, EgressPolicy.INTERNET, 0), NetworkRequest.of(F, Map.of("other", "x")));
    assertEquals(new NetworkRequest(F, EgressPolicy.NONE, 1_000_000), NetworkRequest.of(F, Map.of("instar.egress", "none", "instar.bandwidth", "1000000")));
    for (Map<String, String> wrong : List.of(Map.of("instar.bandwidth", "fast"), Map.of("instar.bandwidth", "7999"), Map.of("instar.egress", "all"))) {
      InstarException e = assertThrows(InstarException.class, () -> NetworkRequest.of(F, wrong));
      assertEquals(ErrorCode.BAD_REQUEST, e.code());
      assertTrue(e.getMessage().contains("give"), e.getMessage());
    }
  }
}
