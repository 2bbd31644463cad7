package dev.instar.images;

import dev.instar.api.Digest;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;

/** Makes container images in a tar, and lets a test get any part of them wrong. */
final class Containers {
  private static final String ARCHITECTURE = System.getProperty("os.arch").equals("aarch64") ? "arm64" : "amd64";
  /** As they stand in the archive. */
  private final List<byte[]> layers = new ArrayList<>();
  private final List<String> unpacked = new ArrayList<>();
  private String platform = ARCHITECTURE;

  /** A layer that is not packed. */
  Containers layer(Tars tar) {
    byte[] plain = tar.raw(new byte[1024]).plain();
    return layer(plain, plain);
  }

  Containers packedLayer(Tars tar) {
    byte[] plain = tar.raw(new byte[1024]).plain();
    return layer(Tars.gzip(plain), plain);
  }

  /** @param stored what stands in the archive @param plain what it is said to unpack to */
  Containers layer(byte[] stored, byte[] plain) {
    layers.add(stored);
    unpacked.add(Digest.of(plain).value());
    return this;
  }

  Containers platform(String architecture) {
    platform = architecture;
    return this;
  }

  byte[] configuration() {
    return ("{\"os\":\"linux\",\"architecture\":\"" + platform + "\",\"config\":{\"Cmd\":[\"/bin/sh\"]},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":["
        + unpacked.stream().map(d -> '"' + d + '"').collect(Collectors.joining(",")) + "]}}").getBytes(StandardCharsets.UTF_8);
  }

  private static String descriptor(byte[] bytes) {
    return "{\"mediaType\":\"x\",\"digest\":\"" + Digest.of(bytes) + "\",\"size\":" + bytes.length + "}";
  }

  private static String blob(byte[] bytes) {
    return "blobs/sha256/" + Digest.of(bytes).hex();
  }

  byte[] manifest() {
    return ("{\"schemaVersion\":2,\"config\":" + descriptor(configuration()) + ",\"layers\":["
        + layers.stream().map(Containers::descriptor).collect(Collectors.joining(",")) + "]}").getBytes(StandardCharsets.UTF_8);
  }

  String index() {
    return "{\"schemaVersion\":2,\"manifests\":[" + descriptor(manifest()) + "]}";
  }

  /** An OCI image layout. */
  byte[] oci() {
    return oci(index());
  }

  byte[] oci(String index) {
    Tars tar = new Tars().file("oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}".getBytes(StandardCharsets.UTF_8))
        .file("index.json", index.getBytes(StandardCharsets.UTF_8)).directory("blobs").directory("blobs/sha256")
        .file(blob(manifest()), manifest()).file(blob(configuration()), configuration());
    for (byte[] layer : layers) {
      tar.file(blob(layer), layer);
    }
    return tar.raw(new byte[1024]).plain();
  }

  /** What docker save wrote before it wrote OCI layouts, with a link between equal layers. */
  byte[] dockerSave() {
    Tars tar = new Tars();
    List<String> names = new ArrayList<>();
    for (int i = 0; i < layers.size(); i++) {
      names.add("\"" + i + "/layer.tar\"");
      if (i > 0 && Arrays.equals(layers.get(i), layers.get(i - 1))) {
        tar.link(i + "/layer.tar", "../" + (i - 1) + "/layer.tar");
      } else {
        tar.file(i + "/layer.tar", layers.get(i));
      }
    }
    String config = Digest.of(configuration()).hex() + ".json";
    return tar.file(config, configuration())
        .file("manifest.json", ("[{\"Config\":\"" + config + "\",\"RepoTags\":[],\"Layers\":[" + String.join(",", names) + "]}]").getBytes(StandardCharsets.UTF_8))
        .raw(new byte[1024]).plain();
  }
}
