package dev.instar.gateway;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.instar.api.Digest;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.function.Function;
import dev.instar.api.function.FunctionSpec;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.function.HostLimits;
import dev.instar.api.function.Image;
import dev.instar.api.function.Limits;
import dev.instar.api.function.SnapshotPolicy;
import dev.instar.api.function.Variant;
import dev.instar.gateway.Json.JsonObject;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.TreeMap;

/** Functions and versions as JSON, and what a deployer sends as a specification. */
final class FunctionJson {
  private FunctionJson() {}

  static ObjectNode of(Function function) {
    ObjectNode node = Json.object();
    node.put("user", function.name().user()).put("function", function.name().function()).put("active", function.active());
    node.put("previous", function.previous().orElse(null));
    ArrayNode versions = node.putArray("versions");
    function.versions().forEach(version -> versions.add(of(version)));
    return node;
  }

  static ObjectNode of(FunctionVersion version) {
    ObjectNode node = Json.object();
    node.put("number", version.number()).put("created", version.created().toString());
    ArrayNode variants = node.putArray("variants");
    for (Variant variant : version.spec().variants()) {
      variants.addObject().put("digest", variant.digest().value()).put("kind", variant.kind()).put("backend", variant.backend().orElse(null));
    }
    Limits limits = version.spec().limits();
    ObjectNode shown = node.putObject("limits").put("memory", limits.memoryBytes()).put("tables", limits.tableElements()).put("stack", limits.stackBytes())
        .put("timeout", limits.timeout().toMillis()).put("runTime", limits.runTime().toMillis()).put("input", limits.inputBytes())
        .put("output", limits.outputBytes()).put("log", limits.logBytes()).put("openFiles", limits.openFiles()).put("fileBytes", limits.fileBytes())
        .put("madeFiles", limits.madeFiles()).put("concurrency", limits.concurrency());
    HostLimits host = limits.host();
    host.cpuMillis().ifPresent(value -> shown.put("cpu", value));
    host.cpuWeight().ifPresent(value -> shown.put("cpuWeight", value));
    host.cpuset().ifPresent(value -> shown.put("cpuset", value));
    host.processes().ifPresent(value -> shown.put("processes", value));
    host.ioWeight().ifPresent(value -> shown.put("ioWeight", value));
    ObjectNode environment = node.putObject("environment");
    new TreeMap<>(version.spec().environment()).forEach(environment::put);
    ObjectNode labels = node.putObject("labels");
    new TreeMap<>(version.spec().labels()).forEach(labels::put);
    node.put("snapshot", version.spec().snapshot().toString());
    ArrayNode secrets = node.putArray("secrets");
    version.spec().secrets().forEach(secrets::add);
    return node;
  }

  /** Finds the image of a digest, whose kind a variant has that names none. */
  @FunctionalInterface
  interface Images {
    Optional<Image> find(Digest digest) throws InterruptedException;
  }

  /** @throws InstarException BAD_BODY, BAD_REQUEST for a value out of range, IMAGE_NOT_FOUND */
  static FunctionSpec spec(JsonObject body, Images images) throws InterruptedException {
    body.onlyFields("variants", "limits", "environment", "labels", "snapshot", "secrets", "activate");
    List<Variant> variants = new ArrayList<>();
    for (JsonObject variant : body.objects("variants")) {
      variant.onlyFields("digest", "kind", "backend");
      Digest digest = new Digest(variant.string("digest"));
      Image image = images.find(digest).orElseThrow(() -> new InstarException(ErrorCode.IMAGE_NOT_FOUND, "There is no image " + digest + "; send it to /v1/images first."));
      String kind = variant.has("kind") ? variant.string("kind") : image.kind();
      variants.add(new Variant(digest, kind, variant.has("backend") ? Optional.of(variant.string("backend")) : Optional.empty()));
    }
    return new FunctionSpec(variants, body.has("limits") ? limits(body.object("limits")) : Limits.DEFAULT, body.has("environment") ? body.object("environment").strings() : Map.of(),
        body.has("labels") ? body.object("labels").strings() : Map.of(), body.has("snapshot") ? SnapshotPolicy.parse(body.string("snapshot")) : SnapshotPolicy.DEFAULT,
        body.has("secrets") ? body.strings("secrets", "a list of names of secrets") : List.of());
  }

  private static Limits limits(JsonObject limits) {
    limits.onlyFields("memory", "tables", "stack", "timeout", "runTime", "input", "output", "log", "openFiles", "fileBytes", "madeFiles", "concurrency", "cpu", "cpuWeight",
        "cpuset", "processes", "ioWeight");
    Limits d = Limits.DEFAULT;
    Duration timeout = duration(limits, "timeout", d.timeout());
    return new Limits(bytes(limits, "memory", d.memoryBytes()), count(limits, "tables", d.tableElements()), bytes(limits, "stack", d.stackBytes()),
        timeout, duration(limits, "runTime", timeout), bytes(limits, "input", d.inputBytes()), bytes(limits, "output", d.outputBytes()),
        bytes(limits, "log", d.logBytes()), count(limits, "openFiles", d.openFiles()), bytes(limits, "fileBytes", d.fileBytes()),
        count(limits, "madeFiles", d.madeFiles()), count(limits, "concurrency", d.concurrency()),
        new HostLimits(processors(limits), some(limits, "cpuWeight"), limits.has("cpuset") ? Optional.of(limits.string("cpuset")) : Optional.empty(), some(limits, "processes"),
            some(limits, "ioWeight")));
  }

  private static OptionalInt processors(JsonObject limits) {
    return !limits.has("cpu") ? OptionalInt.empty() : OptionalInt.of(Quantities.thousandths(limits.get("cpu"))
        .orElseThrow(() -> limits.wrong("cpu", "thousandths of a processor, or a string such as \"500m\", \"0.5\", \"2\"")));
  }

  private static OptionalInt some(JsonObject limits, String name) {
    return limits.has(name) ? OptionalInt.of(limits.integer(name)) : OptionalInt.empty();
  }

  private static int count(JsonObject limits, String name, int otherwise) {
    return limits.has(name) ? limits.integer(name) : otherwise;
  }

  private static Duration duration(JsonObject limits, String name, Duration otherwise) {
    return !limits.has(name) ? otherwise : Quantities.duration(limits.get(name))
        .orElseThrow(() -> limits.wrong(name, "milliseconds, or a string such as \"500ms\", \"30s\", \"2m\""));
  }

  private static long bytes(JsonObject limits, String name, long otherwise) {
    return !limits.has(name) ? otherwise : Quantities.bytes(limits.get(name)).orElseThrow(() -> limits.wrong(name, "bytes, or a string such as \"10Ki\", \"64Mi\", \"1Gi\""));
  }
}
