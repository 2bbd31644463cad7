package dev.instar.gateway;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.http.HttpExchange;
import dev.instar.api.http.Route;
import dev.instar.api.operations.ConfigurationComparison;
import dev.instar.api.operations.ConfigurationInfo;
import dev.instar.api.operations.ConfigurationProblem;
import dev.instar.api.operations.ConfigurationSetting;
import dev.instar.api.operations.Configurations;
import dev.instar.gateway.Json.JsonObject;
import java.io.IOException;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.function.Supplier;

/** The part of Instar's own API by which operators see and change the node's configuration. */
final class ConfigApi {
  private static final String ALL = "/v1/config";
  private static final String ONE = ALL + "/{pid}";

  private final Services services;
  private final Supplier<Duration> serviceWait;

  ConfigApi(Services services, Supplier<Duration> serviceWait) {
    this.services = services;
    this.serviceWait = serviceWait;
  }

  List<Route> routes() {
    return List.of(
        new Route("GET", ALL, x -> Json.respond(x, "configurations", configurations().list().stream().map(ConfigApi::json))),
        new Route("GET", ALL + "/diff", this::differences),
        new Route("POST", ALL + "/diff", this::compare),
        new Route("GET", ONE, x -> Json.respond(x, 200, json(configurations().get(x.variable("pid"))))),
        new Route("PUT", ONE, this::replace),
        new Route("PATCH", ONE, this::change),
        new Route("DELETE", ONE, this::remove));
  }

  private void replace(HttpExchange x) throws IOException, InterruptedException {
    Map<String, Object> values = new LinkedHashMap<>();
    for (Map.Entry<String, JsonNode> field : Json.body(x).node().properties()) {
      values.put(field.getKey(), value(field.getKey(), field.getValue()));
    }
    Json.respond(x, 200, json(configurations().replace(x.variable("pid"), values)));
  }

  /** As a merge patch (RFC 7396): null takes a key out of the file. */
  private void change(HttpExchange x) throws IOException, InterruptedException {
    Map<String, Object> values = new LinkedHashMap<>();
    Set<String> reset = new HashSet<>();
    for (Map.Entry<String, JsonNode> field : Json.body(x).node().properties()) {
      if (field.getValue().isNull()) {
        reset.add(field.getKey());
      } else {
        values.put(field.getKey(), value(field.getKey(), field.getValue()));
      }
    }
    Json.respond(x, 200, json(configurations().change(x.variable("pid"), values, reset)));
  }

  private void remove(HttpExchange x) throws IOException, InterruptedException {
    configurations().remove(x.variable("pid"));
    x.respond(204, Map.of(), new byte[0]);
  }

  private void differences(HttpExchange x) throws IOException, InterruptedException {
    List<ObjectNode> found = new ArrayList<>();
    for (ConfigurationInfo info : configurations().list()) {
      for (ConfigurationSetting setting : info.settings()) {
        if (setting.source() != ConfigurationSetting.Source.DEFAULT && (setting.secret() || !Objects.equals(setting.value(), setting.standard()))) {
          found.add(json(setting).put("pid", info.pid()));
        }
      }
    }
    Json.respond(x, "differences", found.stream());
  }

  private void compare(HttpExchange x) throws IOException, InterruptedException {
    JsonObject body = Json.body(x).onlyFields("file", "content");
    ConfigurationComparison comparison = configurations().compare(body.string("file"), body.string("content").getBytes(StandardCharsets.UTF_8));
    ObjectNode node = Json.object().put("pid", comparison.pid());
    ArrayNode changes = node.putArray("changes");
    for (ConfigurationComparison.Change change : comparison.changes()) {
      ObjectNode one = changes.addObject().put("key", change.key());
      put(one, "from", change.from());
      put(one, "to", change.to());
      one.put("secret", change.secret());
    }
    Json.respond(x, 200, node);
  }

  private static Object value(String key, JsonNode node) {
    if (node.isTextual()) {
      return node.textValue();
    }
    if (node.isBoolean()) {
      return node.booleanValue();
    }
    if (node.isNumber() && (node.isIntegralNumber() || Double.isFinite(node.doubleValue()))) {
      return node.decimalValue();
    }
    if (node.isArray()) {
      List<Object> elements = new ArrayList<>();
      node.forEach(element -> elements.add(value(key, element)));
      return elements;
    }
    throw new InstarException(ErrorCode.BAD_BODY, "The field '" + Json.shown(key) + "' must be a text, a number, true, false or a list of these.");
  }

  private static ObjectNode json(ConfigurationInfo info) {
    ObjectNode node = Json.object().put("pid", info.pid()).put("description", info.description()).put("factory", info.factory()).put("state", info.state().name().toLowerCase(Locale.ROOT));
    ArrayNode files = node.putArray("files");
    info.files().forEach(files::add);
    ArrayNode problems = node.putArray("problems");
    info.problems().stream().map(ConfigurationProblem::detail).forEach(problems::add);
    ArrayNode settings = node.putArray("settings");
    info.settings().forEach(setting -> settings.add(json(setting)));
    return node;
  }

  private static ObjectNode json(ConfigurationSetting setting) {
    ObjectNode node = Json.object().put("key", setting.key()).put("type", setting.type()).put("list", setting.list());
    put(node, "value", setting.value());
    put(node, "default", setting.standard());
    setting.min().ifPresent(min -> node.set("min", json(min)));
    setting.max().ifPresent(max -> node.set("max", json(max)));
    if (!setting.options().isEmpty()) {
      node.set("options", json(setting.options()));
    }
    node.put("source", setting.source().name().toLowerCase(Locale.ROOT)).put("secret", setting.secret());
    setting.written().ifPresent(written -> node.put("written", written));
    return node.put("description", setting.description());
  }

  private static void put(ObjectNode node, String name, Optional<Object> value) {
    node.set(name, value.map(ConfigApi::json).orElseGet(JsonNodeFactory.instance::nullNode));
  }

  private static JsonNode json(Object value) {
    JsonNodeFactory nodes = JsonNodeFactory.instance;
    return switch (value) {
      case Boolean flag -> nodes.booleanNode(flag);
      case Double number -> nodes.numberNode(number);
      case Float number -> nodes.numberNode(number);
      case BigDecimal number -> number.scale() <= 0 && number.precision() - number.scale() <= 18 ? nodes.numberNode(number.longValueExact()) : nodes.numberNode(number);
      case Number number -> nodes.numberNode(number.longValue());
      case List<?> list -> {
        ArrayNode array = nodes.arrayNode();
        list.forEach(element -> array.add(json(element)));
        yield array;
      }
      default -> nodes.textNode(value.toString());
    };
  }

  private Configurations configurations() throws InterruptedException {
    return services.configurations().await(serviceWait.get());
  }
}
