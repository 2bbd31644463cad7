package dev.instar.operations.deploy;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.instar.api.Digest;
import dev.instar.api.InstarException;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Consumer;
import org.osgi.framework.Version;

/**
 * How the node differs from what its distribution starts with: what a start of the node brings back. The launcher reads it before the framework runs.
 *
 * @param bundles that were deployed, by symbolic name
 * @param absent bundles of the distribution that were taken away
 * @param stopped bundles that do not start
 * @param features that were applied, by name
 */
record Deployed(Map<String, Entry> bundles, Set<String> absent, Set<String> stopped, Map<String, Applied> features) {
  static final Deployed NOTHING = new Deployed(Map.of(), Set.of(), Set.of(), Map.of());
  private static final int FORMAT = 1;
  private static final JsonMapper JSON = JsonMapper.builder(JsonFactory.builder().enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION).build())
      .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS).build();

  /**
   * A deployed bundle.
   *
   * @param digest of its jar, by which it is kept
   * @param origin who deployed it
   * @param replaced the jar of the distribution that it stands in for
   */
  record Entry(String name, Version version, Digest digest, String origin, Optional<String> replaced) {}

  /**
   * An applied feature.
   *
   * @param bundles ids, as it lists them
   * @param names the bundles' symbolic names
   * @param added those of them that came with it
   * @param origin who applied it
   */
  record Applied(String name, String id, String description, List<String> bundles, Set<String> names, Set<String> added, String origin) {
    Applied {
      bundles = List.copyOf(bundles);
      names = Set.copyOf(names);
      added = Set.copyOf(added);
    }
  }

  Deployed {
    bundles = Map.copyOf(bundles);
    absent = Set.copyOf(absent);
    stopped = Set.copyOf(stopped);
    features = Map.copyOf(features);
  }

  /** A copy that may be changed. */
  static final class Draft {
    final Map<String, Entry> bundles;
    final Set<String> absent;
    final Set<String> stopped;
    final Map<String, Applied> features;

    private Draft(Deployed of) {
      bundles = new TreeMap<>(of.bundles());
      absent = new TreeSet<>(of.absent());
      stopped = new TreeSet<>(of.stopped());
      features = new TreeMap<>(of.features());
    }
  }

  Deployed with(Consumer<Draft> edit) {
    Draft draft = new Draft(this);
    edit.accept(draft);
    return new Deployed(draft.bundles, draft.absent, draft.stopped, draft.features);
  }

  byte[] json() throws IOException {
    ObjectNode root = JsonNodeFactory.instance.objectNode().put("format", FORMAT);
    ArrayNode list = root.putArray("bundles");
    for (Entry entry : new TreeMap<>(bundles).values()) {
      ObjectNode node = list.addObject().put("name", entry.name()).put("version", entry.version().toString()).put("digest", entry.digest().value()).put("origin", entry.origin());
      entry.replaced().ifPresent(file -> node.put("replaced", file));
    }
    strings(root, "absent", absent);
    strings(root, "stopped", stopped);
    ArrayNode applied = root.putArray("features");
    for (Applied feature : new TreeMap<>(features).values()) {
      ObjectNode node = applied.addObject().put("name", feature.name()).put("id", feature.id()).put("description", feature.description()).put("origin", feature.origin());
      feature.bundles().forEach(node.putArray("bundles")::add);
      strings(node, "names", feature.names());
      strings(node, "added", feature.added());
    }
    return JSON.writeValueAsBytes(root);
  }

  private static void strings(ObjectNode node, String name, Set<String> values) {
    new TreeSet<>(values).forEach(node.putArray(name)::add);
  }

  /** @throws IOException when it is none, or of a later release */
  static Deployed read(byte[] json) throws IOException {
    try {
      JsonNode root = JSON.readTree(json);
      if (root.required("format").intValue() != FORMAT) {
        throw new IOException("it has format " + root.get("format") + " and this release reads " + FORMAT);
      }
      Map<String, Entry> bundles = new TreeMap<>();
      for (JsonNode b : root.required("bundles")) {
        Entry entry = new Entry(text(b, "name"), Version.parseVersion(text(b, "version")), new Digest(text(b, "digest")), text(b, "origin"),
            b.has("replaced") ? Optional.of(text(b, "replaced")) : Optional.empty());
        bundles.put(entry.name(), entry);
      }
      Map<String, Applied> features = new TreeMap<>();
      for (JsonNode f : root.required("features")) {
        Applied feature = new Applied(text(f, "name"), text(f, "id"), text(f, "description"), strings(f, "bundles"), Set.copyOf(strings(f, "names")), Set.copyOf(strings(f, "added")),
            text(f, "origin"));
        features.put(feature.name(), feature);
      }
      return new Deployed(bundles, Set.copyOf(strings(root, "absent")), Set.copyOf(strings(root, "stopped")), features);
    } catch (IllegalArgumentException | InstarException e) {
      throw new IOException("it is not what a node writes: " + e.getMessage(), e);
    }
  }

  private static String text(JsonNode node, String name) {
    JsonNode value = node.required(name);
    if (!value.isTextual()) {
      throw new IllegalArgumentException(name + " is no text");
    }
    return value.textValue();
  }

  private static List<String> strings(JsonNode node, String name) {
    List<String> values = new ArrayList<>();
    for (JsonNode value : node.required(name)) {
      values.add(value.asText());
    }
    return values;
  }
}
