package dev.instar.gateway;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.instar.api.ErrorCode;
import dev.instar.api.http.Route;
import dev.instar.gateway.access.Access;
import java.io.InputStream;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Holds the description against what is served. */
class OpenApiTest {
  private static final Set<String> METHODS = Set.of("get", "put", "post", "delete", "patch", "head", "options");
  private static ObjectNode document;

  @BeforeAll
  static void read() throws Exception {
    try (InputStream in = NodeApi.class.getResourceAsStream("openapi.json")) {
      document = Json.read(in.readAllBytes());
    }
  }

  @Test
  void describesEveryRouteAndNoOther() {
    Set<String> routes = new TreeSet<>();
    for (Route route : new NodeApi(new Services(), Settings.DEFAULT, new Access(), "0").routes()) {
      routes.add(route.method() + " " + route.template());
    }
    Set<String> described = new TreeSet<>();
    for (Map.Entry<String, JsonNode> path : document.get("paths").properties()) {
      if (!path.getValue().has("x-instar-bundle")) {
        for (Map.Entry<String, JsonNode> operation : path.getValue().properties()) {
          assertTrue(METHODS.contains(operation.getKey()), operation.getKey());
          described.add(operation.getKey().toUpperCase() + " " + path.getKey());
        }
      }
    }
    assertEquals(routes, described);
  }

  @Test
  void everyVariableIsAParameterOfItsPath() {
    forEachOperation((path, operation) -> {
      Set<String> variables = new TreeSet<>();
      Matcher matcher = Pattern.compile("\\{([a-z]+)}").matcher(path);
      while (matcher.find()) {
        variables.add(matcher.group(1));
      }
      Set<String> parameters = new TreeSet<>();
      for (JsonNode parameter : operation.path("parameters")) {
        JsonNode resolved = parameter.has("$ref") ? resolve(parameter.get("$ref").textValue()) : parameter;
        if ("path".equals(resolved.get("in").textValue())) {
          assertTrue(resolved.get("required").booleanValue());
          parameters.add(resolved.get("name").textValue());
        }
      }
      assertEquals(variables, parameters, path);
    });
  }

  @Test
  void everyOperationHasItsOwnIdAndSaysHowItEnds() {
    Set<String> ids = new HashSet<>();
    forEachOperation((path, operation) -> {
      assertTrue(ids.add(operation.get("operationId").textValue()), path);
      assertFalse(operation.get("summary").textValue().isEmpty());
      JsonNode responses = operation.get("responses");
      assertTrue(responses.properties().stream().anyMatch(response -> response.getKey().startsWith("2")), path);
      assertTrue(responses.has("500") && responses.has("503"), path);
    });
  }

  @Test
  void everyReferenceLeadsSomewhere() {
    references(document);
  }

  @Test
  void describesEveryErrorCodeUnderItsStatus() {
    Set<String> codes = new TreeSet<>();
    document.at("/components/schemas/Problem/properties/code/enum").forEach(code -> codes.add(code.textValue()));
    assertEquals(new TreeSet<>(Arrays.stream(ErrorCode.values()).map(ErrorCode::code).toList()), codes);
    for (ErrorCode code : ErrorCode.values()) {
      JsonNode response = document.at("/components/responses/Problem" + code.status());
      if (!response.isMissingNode()) {
        String description = response.get("description").textValue();
        boolean elsewhere = code == ErrorCode.ROUTE_NOT_FOUND;
        assertTrue(elsewhere || description.contains(code.code()), () -> code.code() + " in " + description);
      }
    }
  }

  private interface Visitor {
    void visit(String path, JsonNode operation);
  }

  private static void forEachOperation(Visitor visitor) {
    for (Map.Entry<String, JsonNode> path : document.get("paths").properties()) {
      for (Map.Entry<String, JsonNode> operation : path.getValue().properties()) {
        if (METHODS.contains(operation.getKey())) {
          visitor.visit(path.getKey(), operation.getValue());
        }
      }
    }
  }

  private static JsonNode resolve(String reference) {
    JsonNode target = document.at(reference.substring(1));
    assertFalse(target.isMissingNode(), reference);
    return target;
  }

  private static void references(JsonNode node) {
    if (node.has("$ref")) {
      resolve(node.get("$ref").textValue());
    }
    node.forEach(OpenApiTest::references);
  }
}
