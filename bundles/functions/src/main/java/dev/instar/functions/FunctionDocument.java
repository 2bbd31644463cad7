package dev.instar.functions;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.instar.api.Digest;
import dev.instar.api.InstarException;
import dev.instar.api.function.Function;
import dev.instar.api.function.FunctionName;
import dev.instar.api.function.FunctionSpec;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.function.HostLimits;
import dev.instar.api.function.Limits;
import dev.instar.api.function.SnapshotPolicy;
import dev.instar.api.function.Variant;
import java.io.IOException;
import java.time.DateTimeException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.TreeMap;

/**
 * A function as JSON, field by field: the form on disk is a contract of its own and must not move when a record is renamed.
 * What is read is checked as if it came from a stranger, because a checksum says that it is what we wrote, not that it makes sense.
 */
final class FunctionDocument {
  /** Counts up with each change that older code cannot read. */
  static final int FORMAT = 1;
  private static final JsonMapper JSON = JsonMapper.builder(JsonFactory.builder().enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION).build())
      .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS).disable(JsonParser.Feature.AUTO_CLOSE_SOURCE).build();

  private FunctionDocument() {}

  /** It was written by a later release: not damaged, only not for us. */
  static final class NewerFormatException extends IOException {
    private static final long serialVersionUID = 1;

    NewerFormatException(int format) {
      super("it has format " + format + " and this release reads up to " + FORMAT);
    }
  }

  /** It is no function. */
  static final class InvalidException extends IOException {
    private static final long serialVersionUID = 1;

    InvalidException(String message, Throwable cause) {
      super(message, cause);
    }
  }

  static byte[] write(Entry entry) throws IOException {
    Function function = entry.function();
    ObjectNode root = JsonNodeFactory.instance.objectNode();
    root.put("format", FORMAT);
    root.put("user", function.name().user());
    root.put("function", function.name().function());
    root.put("active", function.active());
    function.previous().ifPresent(p -> root.put("previous", p));
    root.put("next", entry.next());
    ArrayNode versions = root.putArray("versions");
    for (FunctionVersion v : function.versions()) {
      ObjectNode version = versions.addObject();
      version.put("number", v.number());
      version.put("uid", v.uid());
      version.put("created", v.created().toString());
      ArrayNode variants = version.putArray("variants");
      for (Variant x : v.spec().variants()) {
        ObjectNode variant = variants.addObject().put("digest", x.digest().value()).put("kind", x.kind());
        x.backend().ifPresent(b -> variant.put("backend", b));
      }
      Limits l = v.spec().limits();
      ObjectNode limits = version.putObject("limits").put("memory", l.memoryBytes()).put("tables", l.tableElements()).put("stack", l.stackBytes())
          .put("timeout", l.timeout().toNanos()).put("runTime", l.runTime().toNanos()).put("input", l.inputBytes()).put("output", l.outputBytes())
          .put("log", l.logBytes()).put("openFiles", l.openFiles()).put("fileBytes", l.fileBytes()).put("madeFiles", l.madeFiles())
          .put("concurrency", l.concurrency());
      l.host().cpuMillis().ifPresent(value -> limits.put("cpu", value));
      l.host().cpuWeight().ifPresent(value -> limits.put("cpuWeight", value));
      l.host().cpuset().ifPresent(value -> limits.put("cpuset", value));
      l.host().processes().ifPresent(value -> limits.put("processes", value));
      l.host().ioWeight().ifPresent(value -> limits.put("ioWeight", value));
      map(version.putObject("environment"), v.spec().environment());
      map(version.putObject("labels"), v.spec().labels());
      version.put("snapshot", v.spec().snapshot().toString());
      if (!v.spec().secrets().isEmpty()) {
        ArrayNode secrets = version.putArray("secrets");
        v.spec().secrets().forEach(secrets::add);
      }
    }
    return JSON.writeValueAsBytes(root);
  }

  private static void map(ObjectNode node, Map<String, String> values) {
    new TreeMap<>(values).forEach(node::put);
  }

  /** @throws IOException {@link NewerFormatException}, {@link InvalidException} */
  static Entry read(byte[] json) throws IOException {
    try {
      return read(JSON.readTree(json));
    } catch (NewerFormatException e) {
      throw e;
    } catch (IOException | InstarException | DateTimeException | ArithmeticException | NullPointerException | IllegalArgumentException e) {
      throw new InvalidException("it is not a function's document: " + e.getMessage(), e);
    }
  }

  private static Entry read(JsonNode root) throws IOException {
    int format = Math.toIntExact(number(root, "format"));
    if (format > FORMAT) {
      throw new NewerFormatException(format);
    }
    FunctionName name = new FunctionName(text(root, "user"), text(root, "function"));
    List<FunctionVersion> versions = new ArrayList<>();
    int last = 0;
    for (JsonNode v : root.required("versions")) {
      int number = Math.toIntExact(number(v, "number"));
      require(number > last, "version " + number + " comes after version " + last);
      last = number;
      versions.add(new FunctionVersion(name, number, text(v, "uid"), Instant.parse(text(v, "created")), spec(v)));
    }
    int active = Math.toIntExact(number(root, "active"));
    Optional<Integer> previous = root.has("previous") ? Optional.of(Math.toIntExact(number(root, "previous"))) : Optional.empty();
    int next = Math.toIntExact(number(root, "next"));
    Function function = new Function(name, versions, active, previous);
    require(function.version(active).isPresent(), "the active version " + active + " is missing");
    require(previous.isEmpty() || function.version(previous.get()).isPresent(), "the previous version is missing");
    require(next > last, "the next version is " + next + " and there is a version " + last);
    return new Entry(function, next);
  }

  private static FunctionSpec spec(JsonNode v) throws IOException {
    List<Variant> variants = new ArrayList<>();
    for (JsonNode x : v.required("variants")) {
      variants.add(new Variant(new Digest(text(x, "digest")), text(x, "kind"), x.has("backend") ? Optional.of(text(x, "backend"))
          : Optional.empty()));
    }
    return new FunctionSpec(variants, limits(v.required("limits")), map(v.required("environment")), map(v.required("labels")),
        // The first documents say nothing of it.
        v.has("snapshot") ? SnapshotPolicy.parse(text(v, "snapshot")) : SnapshotPolicy.DEFAULT, secrets(v.path("secrets")));
  }

  private static List<String> secrets(JsonNode names) throws IOException {
    List<String> secrets = new ArrayList<>();
    for (JsonNode name : names) {
      require(name.isTextual(), "the name of a secret is no text");
      secrets.add(name.textValue());
    }
    return secrets;
  }

  /** The first documents had six limits. */
  private static Limits limits(JsonNode l) throws IOException {
    Limits d = Limits.DEFAULT;
    long timeout = number(l, "timeout");
    return new Limits(number(l, "memory"), Math.toIntExact(number(l, "tables", d.tableElements())), number(l, "stack", d.stackBytes()),
        Duration.ofNanos(timeout), Duration.ofNanos(number(l, "runTime", timeout)), number(l, "input"), number(l, "output"), number(l, "log"),
        Math.toIntExact(number(l, "openFiles", d.openFiles())), number(l, "fileBytes", d.fileBytes()),
        Math.toIntExact(number(l, "madeFiles", d.madeFiles())), Math.toIntExact(number(l, "concurrency")),
        new HostLimits(some(l, "cpu"), some(l, "cpuWeight"), l.has("cpuset") ? Optional.of(text(l, "cpuset")) : Optional.empty(), some(l, "processes"), some(l, "ioWeight")));
  }

  private static OptionalInt some(JsonNode node, String key) throws IOException {
    return node.has(key) ? OptionalInt.of(Math.toIntExact(number(node, key))) : OptionalInt.empty();
  }

  private static long number(JsonNode node, String key, long otherwise) throws IOException {
    return node.has(key) ? number(node, key) : otherwise;
  }

  private static Map<String, String> map(JsonNode node) throws IOException {
    Map<String, String> map = new LinkedHashMap<>();
    for (var e : node.properties()) {
      require(e.getValue().isTextual(), "'" + e.getKey() + "' is no text");
      map.put(e.getKey(), e.getValue().textValue());
    }
    return map;
  }

  private static String text(JsonNode node, String key) throws IOException {
    JsonNode value = node.required(key);
    require(value.isTextual(), "'" + key + "' is no text");
    return value.textValue();
  }

  private static long number(JsonNode node, String key) throws IOException {
    JsonNode value = node.required(key);
    require(value.isIntegralNumber() && value.canConvertToLong(), "'" + key + "' is no whole number");
    return value.longValue();
  }

  private static void require(boolean holds, String otherwise) throws IOException {
    if (!holds) {
      throw new IOException(otherwise);
    }
  }
}
