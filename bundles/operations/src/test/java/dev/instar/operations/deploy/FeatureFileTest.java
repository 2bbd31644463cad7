package dev.instar.operations.deploy;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class FeatureFileTest {
  private static FeatureFile read(String json) throws IOException {
    return FeatureFile.read(json.getBytes(StandardCharsets.UTF_8));
  }

  @Test
  void takesBundlesAsObjectsAndAsIds() throws IOException {
    FeatureFile feature = read("{\"feature-resource-version\": \"1.0\", /* a comment */ \"id\": \"org:some:1.0\", \"description\": \"x\", \"bundles\": [{\"id\": \"a:b:1\", \"hash\": \"1\"}, \"a:c:2\"]}");
    assertEquals(new FeatureFile("some", "org:some:1.0", "x", List.of("a:b:1", "a:c:2")), feature);
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', quoteCharacter = '~', value = {
      "{ | no JSON", "[] | no JSON object", "{} | id is missing", "{\"id\":\"a:b:1\"} | lists no bundles", "{\"id\":\"a:b:1\",\"id\":\"a:b:1\"} | no JSON", "{\"id\":\"../x\",\"bundles\":[]} | write group:artifact:version",
      "{\"id\":\"a:b:1\",\"bundles\":[{\"id\":\"a/../b:c:1\"}]} | The id of bundle 1", "{\"id\":\"a:b:1\",\"bundles\":[7]} | The id of bundle 1", "{\"id\":\"a:b:1\",\"configurations\":{},\"bundles\":[\"a:b:1\"]} | 'configurations'",
      "{\"id\":\"a:b:1\",\"bundles\":[\"a:b:1\"]} x | no JSON"})
  void refusesWhatItWouldNotApply(String json, String part) {
    InstarException e = assertThrows(InstarException.class, () -> read(json));
    assertEquals(ErrorCode.BUNDLE_REFUSED, e.code());
    assertTrue(e.getMessage().contains(part), e::getMessage);
  }
}
