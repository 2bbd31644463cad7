package dev.instar.images;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.instar.api.Digest;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import dev.instar.api.image.ImageDetails;
import java.io.EOFException;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A container image in one tar: an OCI image layout (specification 1.1, "Image Layout"), or what {@code docker save} writes, with its
 * {@code manifest.json}. Every part is held against its digest: the manifest and the configuration by the one who refers to them, each layer by its own
 * and by the digest of what it unpacks to.
 */
final class ContainerImage {
  private static final int DOCUMENT_BYTES = 4 << 20;
  private static final int MOST_LAYERS = 127; // as the overlay drivers of container engines
  private static final String BLOBS = "blobs/sha256/";
  private static final JsonMapper JSON = JsonMapper.builder(JsonFactory.builder()
      .streamReadConstraints(StreamReadConstraints.builder().maxNestingDepth(50).build()).enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION).build())
      .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS).build();

  private final Path archive;
  private final Map<String, Part> parts;
  private final byte[] configuration;
  private final List<Layer> layers;

  /** A file in the archive. */
  private record Part(long offset, long length) {}

  /**
   * @param part the bytes as they stand in the archive
   * @param digest of these, where the archive gives it
   * @param unpacked the digest of the layer's tar
   */
  private record Layer(Part part, Optional<String> digest, String unpacked) {}

  private ContainerImage(Path archive, ArchiveLimits limits) throws IOException {
    this.archive = archive;
    parts = parts(archive, limits);
    List<Optional<String>> digests = new ArrayList<>();
    List<Part> found = new ArrayList<>();
    if (parts.containsKey("index.json")) {
      JsonNode manifest = manifest(json("index.json", bytes(parts.get("index.json"), "index.json")), 0);
      configuration = blob(manifest.path("config"), "the configuration");
      for (JsonNode layer : manifest.path("layers")) {
        found.add(part(layer, "a layer"));
        digests.add(Optional.of(layer.path("digest").asText()));
      }
    } else if (parts.containsKey("manifest.json")) {
      JsonNode images = json("manifest.json", bytes(parts.get("manifest.json"), "manifest.json"));
      if (images.size() != 1) {
        throw Refusal.archive("holds " + images.size() + " images; save one");
      }
      String name = images.path(0).path("Config").asText();
      configuration = bytes(part(name, "the configuration"), name);
      String hex = name.substring(name.lastIndexOf('/') + 1).replace(".json", "");
      if (hex.matches("[0-9a-f]{64}")) {
        hold("the configuration", "sha256:" + hex, Digest.of(configuration).value());
      }
      for (JsonNode layer : images.path(0).path("Layers")) {
        found.add(part(layer.asText(), "a layer"));
        digests.add(Optional.empty());
      }
    } else {
      throw new InstarException(ErrorCode.UNSUPPORTED_ARTIFACT, "The tar is no container image: it has neither an index.json (an OCI image layout) nor a "
          + "manifest.json (of docker save) at its top.");
    }
    JsonNode config = json("the configuration", configuration);
    checkPlatform(config.path("os").asText("linux"), config.path("architecture").asText(""));
    JsonNode unpacked = config.path("rootfs").path("diff_ids");
    if (found.isEmpty() || found.size() > MOST_LAYERS || unpacked.size() != found.size()) {
      throw Refusal.archive("has " + found.size() + " layers in its manifest and " + unpacked.size() + " in its configuration; 1 to " + MOST_LAYERS
          + " are taken, as many in both");
    }
    layers = new ArrayList<>();
    for (int i = 0; i < found.size(); i++) {
      layers.add(new Layer(found.get(i), digests.get(i), unpacked.path(i).asText()));
    }
  }

  /** @throws InstarException ARCHIVE_REFUSED, DIGEST_MISMATCH, UNSUPPORTED_ARTIFACT */
  static ContainerImage open(Path archive, ArchiveLimits limits) throws IOException {
    return new ContainerImage(archive, limits);
  }

  /** Its layers, for people. */
  List<ImageDetails.Layer> described() {
    return layers.stream().map(layer -> new ImageDetails.Layer(layer.unpacked(), layer.part().length())).toList();
  }

  /** The image configuration, as it stands in the archive. */
  byte[] configuration() {
    return configuration.clone();
  }

  /** Takes the tar of a layer. */
  @FunctionalInterface
  interface LayerReader {
    void read(TarReader tar) throws IOException;
  }

  /** Reads the layers from the lowest up, each to its end, and holds both of its digests. */
  void layers(ArchiveLimits limits, LayerReader reader) throws IOException {
    long left = limits.unpackedBytes();
    for (int i = 0; i < layers.size(); i++) {
      Layer layer = layers.get(i);
      String what = "layer " + (i + 1) + " of " + layers.size();
      MessageDigest packed = Digest.sha256();
      MessageDigest unpacked = Digest.sha256();
      try (InputStream in = new DigestInputStream(open(layer.part()), packed);
          Bounded bounded = new Bounded(unpack(in, layer.part(), limits, what), left, limits.unpackedBytes())) {
        reader.read(new TarReader(new DigestInputStream(bounded, unpacked)));
        left = bounded.left;
      } catch (InstarException | EOFException e) {
        if (e instanceof EOFException || e instanceof InstarException refused && refused.code() == ErrorCode.ARCHIVE_REFUSED) {
          // What was changed can rarely be read on; that it was changed says more than how that showed.
          holdPacked(what, layer);
        }
        throw e;
      }
      if (layer.digest().isPresent()) {
        hold(what, layer.digest().get(), Digest.of(packed).value());
      }
      hold("what " + what + " unpacks to", layer.unpacked(), Digest.of(unpacked).value());
    }
  }

  private void holdPacked(String what, Layer layer) throws IOException {
    if (layer.digest().isPresent()) {
      MessageDigest packed = Digest.sha256();
      try (InputStream in = new DigestInputStream(open(layer.part()), packed)) {
        in.transferTo(OutputStream.nullOutputStream());
      }
      hold(what, layer.digest().get(), Digest.of(packed).value());
    }
  }

  private InputStream unpack(InputStream in, Part part, ArchiveLimits limits, String what) throws IOException {
    byte[] magic;
    try (InputStream head = open(part)) {
      magic = head.readNBytes(4);
    }
    if (magic.length == 4 && magic[0] == 0x28 && (magic[1] & 0xff) == 0xb5 && magic[2] == 0x2f && (magic[3] & 0xff) == 0xfd) {
      throw Refusal.archive("has " + what + " compressed with zstd, which this node does not read; write the image again with gzip "
          + "(skopeo copy --dest-compress-format gzip)");
    }
    return magic.length > 1 && magic[0] == 0x1f && (magic[1] & 0xff) == 0x8b ? new GzipReader(in, limits, true) : in;
  }

  /** Of the top, what the names point to; links of the archive, which old versions of docker save make between equal layers, are followed once. */
  private static Map<String, Part> parts(Path archive, ArchiveLimits limits) throws IOException {
    Map<String, Part> parts = new HashMap<>();
    Map<String, String> links = new HashMap<>();
    try (Counted in = new Counted(Files.newInputStream(archive))) {
      TarReader tar = new TarReader(in);
      int entries = 0;
      for (Optional<TarReader.Entry> next = tar.next(); next.isPresent(); next = tar.next()) {
        TarReader.Entry entry = next.get();
        if (++entries > limits.entries()) {
          throw Refusal.entry(entry.name(), "is one too many: " + limits.entries() + " are allowed");
        }
        String name = entry.name().startsWith("./") ? entry.name().substring(2) : entry.name();
        switch (entry.type()) {
          case FILE -> {
            if (parts.put(name, new Part(in.position, entry.size())) != null) {
              throw Refusal.entry(entry.name(), "comes twice");
            }
          }
          case SYMLINK -> links.put(name, Path.of(name).resolveSibling(entry.target()).normalize().toString());
          case HARDLINK -> links.put(name, entry.target());
          case DIRECTORY -> { }
        }
      }
    }
    links.forEach((name, target) -> {
      if (parts.containsKey(target)) {
        parts.putIfAbsent(name, parts.get(target));
      }
    });
    return parts;
  }

  /** The one for this machine; an index may hold further indexes. */
  private JsonNode manifest(JsonNode index, int depth) throws IOException {
    List<JsonNode> fitting = new ArrayList<>();
    List<String> others = new ArrayList<>();
    for (JsonNode one : index.path("manifests")) {
      JsonNode platform = one.path("platform");
      String os = platform.path("os").asText("linux");
      String architecture = platform.path("architecture").asText(architecture());
      if (os.equals("linux") && architecture.equals(architecture())) {
        fitting.add(one);
      } else if (!os.equals("unknown")) {
        others.add(os + "/" + architecture);
      }
    }
    if (fitting.isEmpty() && !others.isEmpty()) {
      throw wrongPlatform(String.join(", ", others));
    }
    if (fitting.size() != 1 || depth > 3) {
      throw Refusal.archive("holds " + fitting.size() + " images for linux/" + architecture() + "; it must hold one");
    }
    JsonNode document = json("the manifest", blob(fitting.getFirst(), "the manifest"));
    return document.has("manifests") ? manifest(document, depth + 1) : document;
  }

  private static void checkPlatform(String os, String architecture) {
    if (!os.equals("linux") || !architecture.isEmpty() && !architecture.equals(architecture())) {
      throw wrongPlatform(os + "/" + architecture);
    }
  }

  private static InstarException wrongPlatform(String is) {
    return new InstarException(ErrorCode.UNSUPPORTED_ARTIFACT, "The image is for " + Refusal.shown(is) + "; this node runs linux/" + architecture() + ".");
  }

  /** As Go and so the specification names it. */
  private static String architecture() {
    String name = System.getProperty("os.arch");
    return switch (name) {
      case "x86_64" -> "amd64";
      case "aarch64" -> "arm64";
      default -> name;
    };
  }

  private byte[] blob(JsonNode descriptor, String what) throws IOException {
    byte[] bytes = bytes(part(descriptor, what), what);
    hold(what, descriptor.path("digest").asText(), Digest.of(bytes).value());
    return bytes;
  }

  private Part part(JsonNode descriptor, String what) {
    String digest = descriptor.path("digest").asText();
    if (!digest.matches("sha256:[0-9a-f]{64}")) {
      throw Refusal.archive("names " + what + " by the digest '" + Refusal.shown(digest) + "'; sha256 is what is taken");
    }
    Part part = part(BLOBS + digest.substring("sha256:".length()), what);
    long size = descriptor.path("size").asLong(-1);
    if (size != part.length()) {
      throw Refusal.archive("has " + part.length() + " bytes of " + what + ", where its descriptor says " + size + ": it is cut off or not what was meant");
    }
    return part;
  }

  private Part part(String name, String what) {
    Part part = parts.get(name);
    if (part == null) {
      throw Refusal.archive("has no '" + Refusal.shown(name) + "', which should be " + what);
    }
    return part;
  }

  private static void hold(String what, String expected, String found) {
    if (!expected.equals(found)) {
      throw new InstarException(Problem.of(ErrorCode.DIGEST_MISMATCH, "The digest of " + what + " is " + found + ", where the image says "
          + Refusal.shown(expected) + ". It was changed or damaged; fetch the image again.", Map.of("digest", Refusal.shown(expected), "found", found)));
    }
  }

  private byte[] bytes(Part part, String what) throws IOException {
    if (part.length() > DOCUMENT_BYTES) {
      throw Refusal.archive("has " + part.length() + " bytes of " + what + "; " + DOCUMENT_BYTES + " are allowed");
    }
    try (InputStream in = open(part)) {
      return in.readAllBytes();
    }
  }

  private static JsonNode json(String what, byte[] bytes) throws IOException {
    try {
      return JSON.readTree(bytes);
    } catch (JsonProcessingException e) {
      throw Refusal.archive("has " + what + ", which is no valid JSON");
    }
  }

  private InputStream open(Part part) throws IOException {
    InputStream in = Files.newInputStream(archive);
    in.skipNBytes(part.offset());
    return new Slice(in, part.length());
  }

  /** Knows where it is. */
  private static final class Counted extends FilterInputStream {
    private long position;

    Counted(InputStream in) {
      super(in);
    }

    @Override
    public int read() throws IOException {
      byte[] one = new byte[1];
      return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
    }

    @Override
    public int read(byte[] into, int offset, int length) throws IOException {
      int n = super.read(into, offset, length);
      position += Math.max(0, n);
      return n;
    }
  }

  /** Ends after so many bytes. */
  private static final class Slice extends FilterInputStream {
    private long left;

    Slice(InputStream in, long length) {
      super(in);
      left = length;
    }

    @Override
    public int read() throws IOException {
      byte[] one = new byte[1];
      return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
    }

    @Override
    public int read(byte[] into, int offset, int length) throws IOException {
      if (left == 0) {
        return -1;
      }
      int n = super.read(into, offset, (int) Math.min(length, left));
      left -= Math.max(0, n);
      return n;
    }
  }

  /** Refuses more than is left of what all layers may unpack to. */
  private static final class Bounded extends FilterInputStream {
    private final long limit;
    private long left;

    Bounded(InputStream in, long left, long limit) {
      super(in);
      this.left = left;
      this.limit = limit;
    }

    @Override
    public int read() throws IOException {
      byte[] one = new byte[1];
      return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
    }

    @Override
    public int read(byte[] into, int offset, int length) throws IOException {
      int n = super.read(into, offset, length);
      left -= Math.max(0, n);
      if (left < 0) {
        throw Refusal.archive("unpacks to more than " + limit + " bytes");
      }
      return n;
    }
  }
}
