package dev.instar.snapshots;

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
import dev.instar.api.snapshot.Blob;
import dev.instar.api.snapshot.Extent;
import dev.instar.api.snapshot.SnapshotKey;
import dev.instar.api.snapshot.SnapshotLayer;
import java.io.IOException;
import java.time.DateTimeException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.regex.Pattern;

/**
 * A layer's manifest as JSON. Its SHA-256 is the layer's id, so there is exactly one form of it: what is read must be, byte by byte, what
 * would be written.
 */
final class Manifest {
  /** Counts up with each change that older code cannot read. */
  static final int FORMAT = 1;
  /** As a tree, hostile JSON takes some twenty-five times its bytes of heap. */
  static final int MAX_BYTES = 4 << 20;
  static final int MAX_EXTENTS = 1 << 16;
  static final int MAX_BLOBS = 64;
  /** 1 TiB: its sums fit into an array. */
  static final long MAX_MEMORY = 1L << 40;
  private static final Pattern BLOB_NAME = Pattern.compile("[a-z][a-z0-9-]{0,63}");
  private static final int MAX_CREATOR = 200;
  private static final JsonMapper JSON = JsonMapper.builder(JsonFactory.builder().enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION).build())
      .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS).disable(JsonParser.Feature.AUTO_CLOSE_SOURCE).build();

  private Manifest() {}

  /** It is no manifest that this release reads. */
  static final class InvalidException extends Exception {
    private static final long serialVersionUID = 1;

    InvalidException(String message) {
      super(message);
    }
  }

  static boolean isBlobName(String name) {
    return BLOB_NAME.matcher(name).matches();
  }

  static boolean isCreator(String creator) {
    return creator.length() <= MAX_CREATOR && creator.chars().allMatch(c -> c >= ' ' && c <= '~');
  }

  /** The layer's id is not looked at. */
  static byte[] write(SnapshotLayer layer) {
    ObjectNode root = JsonNodeFactory.instance.objectNode();
    root.put("format", FORMAT);
    layer.parent().ifPresent(p -> root.put("parent", p.value()));
    ObjectNode key = root.putObject("key");
    key.put("backend", layer.key().backend()).put("backendVersion", layer.key().backendVersion());
    ObjectNode machine = key.putObject("machine");
    layer.key().machine().forEach(machine::put);
    ArrayNode images = key.putArray("images");
    layer.key().images().forEach(i -> images.add(i.value()));
    root.put("created", layer.created().toString());
    root.put("creator", layer.creator());
    root.put("memory", layer.memory().value());
    root.put("memoryBytes", layer.memoryBytes());
    ArrayNode extents = root.putArray("extents");
    layer.extents().forEach(e -> extents.addArray().add(e.offset()).add(e.length()).add(e.guestAddress()));
    ObjectNode blobs = root.putObject("blobs");
    layer.blobs().forEach((name, blob) -> blobs.putObject(name).put("digest", blob.digest().value()).put("bytes", blob.bytes()));
    try {
      return JSON.writeValueAsBytes(root);
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }

  static SnapshotLayer read(byte[] json) throws InvalidException {
    try {
      require(json.length <= MAX_BYTES, "it has over " + MAX_BYTES + " bytes");
      JsonNode root = JSON.readTree(json);
      long format = number(root, "format");
      require(format == FORMAT, "it has format " + format + " and this release reads " + FORMAT);
      SnapshotLayer layer = read(root, Digest.of(json));
      require(Arrays.equals(json, write(layer)), "it is not in the form that this release writes");
      return layer;
    } catch (IOException | InstarException | DateTimeException | ArithmeticException | NullPointerException | IllegalArgumentException e) {
      throw new InvalidException(String.valueOf(e.getMessage()).lines().findFirst().orElse("it is no manifest"));
    }
  }

  private static SnapshotLayer read(JsonNode root, Digest id) throws InvalidException {
    Optional<Digest> parent = root.has("parent") ? Optional.of(new Digest(text(root, "parent"))) : Optional.empty();
    JsonNode k = root.required("key");
    SortedMap<String, String> machine = new TreeMap<>();
    for (var e : k.required("machine").properties()) {
      require(e.getValue().isTextual(), "a machine argument is no text");
      machine.put(e.getKey(), e.getValue().textValue());
    }
    List<Digest> images = new ArrayList<>();
    for (JsonNode image : k.required("images")) {
      require(image.isTextual(), "an image is no text");
      images.add(new Digest(image.textValue()));
    }
    SnapshotKey key = new SnapshotKey(text(k, "backend"), text(k, "backendVersion"), machine, images);
    String creator = text(root, "creator");
    require(isCreator(creator), "its creator is not printable ASCII");
    long memoryBytes = number(root, "memoryBytes");
    require(memoryBytes >= 0 && memoryBytes <= MAX_MEMORY, "its memory has " + memoryBytes + " bytes");
    SortedMap<String, Blob> blobs = new TreeMap<>();
    for (var e : root.required("blobs").properties()) {
      require(isBlobName(e.getKey()), "a blob's name is not valid");
      long bytes = number(e.getValue(), "bytes");
      require(bytes >= 0 && bytes <= MAX_MEMORY, "a blob has " + bytes + " bytes");
      blobs.put(e.getKey(), new Blob(new Digest(text(e.getValue(), "digest")), bytes));
    }
    require(blobs.size() <= MAX_BLOBS, "it has over " + MAX_BLOBS + " blobs");
    return new SnapshotLayer(id, parent, key, Instant.parse(text(root, "created")), creator, new Digest(text(root, "memory")), memoryBytes,
        extents(root.required("extents"), memoryBytes), blobs);
  }

  private static List<Extent> extents(JsonNode node, long memoryBytes) throws InvalidException {
    require(node.isArray() && node.size() <= MAX_EXTENTS, "it has over " + MAX_EXTENTS + " extents");
    List<Extent> extents = new ArrayList<>(node.size());
    long end = 0;
    for (JsonNode e : node) {
      require(e.isArray() && e.size() == 3, "an extent is not made of three numbers");
      Extent extent = new Extent(number(e.get(0)), number(e.get(1)), number(e.get(2)));
      require(extent.offset() >= end, "its extents overlap in the file");
      end = extent.offset() + extent.length();
      extents.add(extent);
    }
    require(end == memoryBytes, "its extents end at " + end + " and its memory at " + memoryBytes);
    require(!overlaps(extents), "its extents overlap in the guest");
    return extents;
  }

  static boolean overlaps(List<Extent> extents) {
    List<Extent> sorted = extents.stream().sorted(Comparator.comparingLong(Extent::guestAddress)).toList();
    for (int i = 1; i < sorted.size(); i++) {
      if (sorted.get(i - 1).guestAddress() + sorted.get(i - 1).length() > sorted.get(i).guestAddress()) {
        return true;
      }
    }
    return false;
  }

  private static String text(JsonNode node, String key) throws InvalidException {
    JsonNode value = node.required(key);
    require(value.isTextual(), "'" + key + "' is no text");
    return value.textValue();
  }

  private static long number(JsonNode node, String key) throws InvalidException {
    return number(node.required(key));
  }

  private static long number(JsonNode value) throws InvalidException {
    require(value.isIntegralNumber() && value.canConvertToLong(), "a number is not whole");
    return value.longValue();
  }

  private static void require(boolean holds, String otherwise) throws InvalidException {
    if (!holds) {
      throw new InvalidException(otherwise);
    }
  }
}
