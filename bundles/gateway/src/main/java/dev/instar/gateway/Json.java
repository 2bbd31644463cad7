package dev.instar.gateway;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonLocation;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.http.HttpExchange;
import dev.instar.api.http.InvocationExchange;
import java.io.BufferedOutputStream;
import java.io.CharConversionException;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;

/**
 * JSON in and out, by trees: no class is ever named by what a caller sends. What is read is bounded in size, depth, number of tokens and number length, and has no name
 * twice.
 */
final class Json {
  /** Bytes of a body that holds JSON: the largest environment and labels, escaped, with room to spare. */
  static final int BODY_BYTES = 1 << 20;
  // The largest environment and labels have 90 000; each empty object of a tree takes some 70 bytes of heap for 3 of the body.
  private static final long TOKENS = 100_000;
  private static final ObjectMapper MAPPER = JsonMapper.builder(JsonFactory.builder()
      .streamReadConstraints(StreamReadConstraints.builder().maxNestingDepth(16).maxStringLength(128 << 10).maxNameLength(64 << 10).maxNumberLength(32)
          .maxDocumentLength(BODY_BYTES).maxTokenCount(TOKENS).build())
      .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION).build())
      .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS).enable(DeserializationFeature.FAIL_ON_READING_DUP_TREE_KEY).build();

  private Json() {}

  static ObjectNode object() {
    return MAPPER.createObjectNode();
  }

  static byte[] bytes(JsonNode node) {
    try {
      return MAPPER.writeValueAsBytes(node);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e); // a tree of strings and numbers can be written
    }
  }

  /** Sends a document. */
  static void respond(HttpExchange exchange, int status, JsonNode node) throws IOException {
    respond(exchange, status, Map.of(), node);
  }

  static void respond(HttpExchange exchange, int status, Map<String, String> headers, JsonNode node) throws IOException {
    Map<String, String> all = new LinkedHashMap<>(headers);
    all.put("Content-Type", "application/json");
    exchange.respond(status, all, bytes(node));
  }

  /**
   * Sends an object with one list in it, element by element: documents of ten thousand functions are 4 MB, and a caller may take long to read them.
   *
   * @param name of the list
   */
  static void respond(HttpExchange exchange, String name, Stream<? extends JsonNode> elements) throws IOException {
    HttpExchange.Streamed answer = exchange.stream(200, Map.of("Content-Type", "application/json"), InvocationExchange.HOLD);
    OutputStream out = new BufferedOutputStream(answer, InvocationExchange.HOLD / 2);
    out.write(("{\"" + name + "\":[").getBytes(StandardCharsets.US_ASCII));
    boolean first = true;
    for (Iterator<? extends JsonNode> each = elements.iterator(); each.hasNext(); first = false) {
      if (!first) {
        out.write(',');
      }
      out.write(bytes(each.next()));
    }
    out.write("]}".getBytes(StandardCharsets.US_ASCII));
    out.flush();
    answer.finish();
  }

  /** The body, as {@link #body(HttpExchange)} takes it; an object without fields when there is none. */
  static JsonObject bodyIfAny(HttpExchange exchange) throws IOException {
    byte[] body = exchange.bodyBytes(BODY_BYTES);
    return body.length == 0 ? new JsonObject("", object()) : body(body);
  }

  /** The body, which must be one JSON object. @throws InstarException BAD_BODY with the place of the mistake */
  static JsonObject body(HttpExchange exchange) throws IOException {
    byte[] body = exchange.bodyBytes(BODY_BYTES);
    if (body.length == 0) {
      throw new InstarException(ErrorCode.BAD_BODY, "The body is empty; a JSON object is needed.");
    }
    return body(body);
  }

  private static JsonObject body(byte[] body) throws IOException {
    try {
      JsonNode tree = MAPPER.readTree(body);
      if (!(tree instanceof ObjectNode object)) {
        throw new InstarException(ErrorCode.BAD_BODY, "The body is not a JSON object.");
      }
      return new JsonObject("", object);
    } catch (CharConversionException e) {
      // Jackson tells UTF-16 and UTF-32 by their zeroes, and takes what begins like one of these for it.
      throw new InstarException(ErrorCode.BAD_BODY, "The body is not the JSON that is needed: it is not in UTF-8.");
    } catch (JsonProcessingException e) {
      JsonLocation at = e.getLocation();
      String where = at == null ? "" : " at line " + at.getLineNr() + ", column " + at.getColumnNr();
      throw new InstarException(ErrorCode.BAD_BODY, "The body is not the JSON that is needed: " + shown(e.getOriginalMessage()) + where + ".");
    }
  }

  /** A message that quotes what was sent: printable and short. */
  static String shown(String text) {
    StringBuilder shown = new StringBuilder();
    for (int i = 0; i < Math.min(text.length(), 200); i++) {
      char c = text.charAt(i);
      shown.append(c >= ' ' && c <= '~' ? c : '?');
    }
    return shown.append(text.length() > 200 ? "..." : "").toString();
  }

  static ObjectNode read(byte[] json) throws IOException {
    return (ObjectNode) MAPPER.readTree(json);
  }

  /**
   * An object that a caller sent, read by field. Each complaint names the field by its path.
   *
   * @param path of the object, e.g. {@code variants[0].}
   */
  record JsonObject(String path, ObjectNode node) {
    /** @throws InstarException BAD_BODY when there is a field of another name */
    JsonObject onlyFields(String... names) {
      Set<String> known = Set.of(names);
      for (Map.Entry<String, JsonNode> field : node.properties()) {
        if (!known.contains(field.getKey())) {
          throw new InstarException(ErrorCode.BAD_BODY, "The field '" + shown(path + field.getKey()) + "' is not known; known here are " + String.join(", ", names) + ".");
        }
      }
      return this;
    }

    boolean has(String name) {
      return node.hasNonNull(name);
    }

    JsonNode get(String name) {
      JsonNode value = node.get(name);
      if (value == null || value.isNull()) {
        throw new InstarException(ErrorCode.BAD_BODY, "The field '" + path + name + "' is missing.");
      }
      return value;
    }

    String string(String name) {
      JsonNode value = get(name);
      if (!value.isTextual()) {
        throw wrong(name, "a string");
      }
      return value.textValue();
    }

    boolean bool(String name, boolean otherwise) {
      if (!has(name)) {
        return otherwise;
      }
      if (!get(name).isBoolean()) {
        throw wrong(name, "true or false");
      }
      return get(name).booleanValue();
    }

    int integer(String name) {
      JsonNode value = get(name);
      if (!value.isIntegralNumber() || !value.canConvertToInt()) {
        throw wrong(name, "a whole number");
      }
      return value.intValue();
    }

    JsonObject object(String name) {
      if (!(get(name) instanceof ObjectNode object)) {
        throw wrong(name, "an object");
      }
      return new JsonObject(path + name + ".", object);
    }

    List<JsonObject> objects(String name) {
      JsonNode value = get(name);
      if (!value.isArray()) {
        throw wrong(name, "a list of objects");
      }
      List<JsonObject> objects = new ArrayList<>();
      for (JsonNode element : value) {
        if (!(element instanceof ObjectNode object)) {
          throw wrong(name, "a list of objects");
        }
        objects.add(new JsonObject(path + name + "[" + objects.size() + "].", object));
      }
      return objects;
    }

    /** A list of strings. @param needed what it should be, for people */
    List<String> strings(String name, String needed) {
      List<String> strings = new ArrayList<>();
      if (!get(name).isArray()) {
        throw wrong(name, needed);
      }
      for (JsonNode element : get(name)) {
        if (!element.isTextual()) {
          throw wrong(name, needed);
        }
        strings.add(element.textValue());
      }
      return strings;
    }

    /** The object's fields, which must all be strings. */
    Map<String, String> strings() {
      Map<String, String> strings = new LinkedHashMap<>();
      for (Map.Entry<String, JsonNode> field : node.properties()) {
        if (!field.getValue().isTextual()) {
          throw wrong(shown(field.getKey()), "a string");
        }
        strings.put(field.getKey(), field.getValue().textValue());
      }
      return strings;
    }

    InstarException wrong(String name, String needed) {
      return new InstarException(ErrorCode.BAD_BODY, "The field '" + path + name + "' must be " + needed + ".");
    }
  }
}
