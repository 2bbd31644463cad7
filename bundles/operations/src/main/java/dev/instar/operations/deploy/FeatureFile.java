package dev.instar.operations.deploy;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.core.json.JsonReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * A feature in the JSON of the OSGi Feature Service specification (compendium 159), of which bundles are taken; what else a feature may hold
 * (configurations, extensions, variables) is refused rather than left out.
 *
 * @param name the artifact's part of the id
 * @param bundles ids, {@code group:artifact:version}
 */
record FeatureFile(String name, String id, String description, List<String> bundles) {
  /** Of a feature's file. */
  static final int MAX_BYTES = 1 << 20;
  private static final Pattern ID = Pattern.compile("[A-Za-z0-9._-]{1,200}:[A-Za-z0-9._-]{1,200}:[A-Za-z0-9._-]{1,100}");
  private static final Set<String> KNOWN = Set.of("feature-resource-version", "id", "name", "description", "bundles", "vendor", "license", "docURL", "scm", "categories", "complete");
  private static final JsonMapper JSON = JsonMapper.builder(JsonFactory.builder()
      .streamReadConstraints(StreamReadConstraints.builder().maxNestingDepth(16).maxDocumentLength(MAX_BYTES).maxTokenCount(100_000).build())
      .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION).enable(JsonReadFeature.ALLOW_JAVA_COMMENTS).build())
      .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS).build();

  FeatureFile {
    bundles = List.copyOf(bundles);
  }

  /** @throws dev.instar.api.InstarException BUNDLE_REFUSED */
  static FeatureFile read(byte[] json) throws IOException {
    JsonNode root;
    try {
      root = JSON.readTree(json);
    } catch (JsonProcessingException e) {
      String where = e.getLocation() == null ? "" : " at line " + e.getLocation().getLineNr() + ", column " + e.getLocation().getColumnNr();
      throw BundleJar.refused("The feature is no JSON: " + shown(e.getOriginalMessage()) + where + ".");
    } catch (java.io.CharConversionException e) {
      throw BundleJar.refused("The feature is no JSON: it is not in UTF-8.");
    }
    if (!root.isObject()) {
      throw BundleJar.refused("The feature is no JSON object.");
    }
    root.fieldNames().forEachRemaining(field -> {
      if (!KNOWN.contains(field)) {
        throw BundleJar.refused("The feature has '" + shown(field) + "', which this node does not apply; it takes bundles only. Configurations go into the configuration directory.");
      }
    });
    String id = id(root.path("id"), "The feature's id");
    List<String> bundles = new ArrayList<>();
    for (JsonNode bundle : root.path("bundles")) {
      bundles.add(id(bundle.isTextual() ? bundle : bundle.path("id"), "The id of bundle " + (bundles.size() + 1)));
    }
    if (bundles.isEmpty()) {
      throw BundleJar.refused("The feature " + id + " lists no bundles.");
    }
    return new FeatureFile(id.split(":")[1], id, root.path("description").asText(), bundles);
  }

  private static String id(JsonNode node, String what) {
    if (!node.isTextual() || !ID.matcher(node.textValue()).matches()) {
      throw BundleJar.refused(what + " is " + shown(node.isMissingNode() ? "missing" : node.toString()) + "; write group:artifact:version.");
    }
    return node.textValue();
  }

  private static String shown(String text) {
    String safe = text.replaceAll("[^ -~]", "?");
    return safe.length() > 200 ? safe.substring(0, 200) + "..." : safe;
  }
}
