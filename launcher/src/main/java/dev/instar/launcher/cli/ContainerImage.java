package dev.instar.launcher.cli;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.instar.launcher.ExitCode;
import dev.instar.launcher.Failure;
import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Optional;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.zip.GZIPInputStream;

/** A container image on this machine's disk, as {@code instar deploy --image} names it; becomes one tar to upload. */
final class ContainerImage {
  private static final int LARGEST_ID = 65_535;
  private static final int SHOWN = 5;
  private final String form;
  private final Path place;
  private final List<String> left = new ArrayList<>();

  private ContainerImage(String form, Path place) {
    this.form = form;
    this.place = place;
  }

  /** @throws IllegalArgumentException with what is wrong */
  static ContainerImage parse(String text) {
    int colon = text.indexOf(':');
    String form = colon < 0 ? "" : text.substring(0, colon);
    if (!List.of("oci", "archive", "dir").contains(form) || colon == text.length() - 1) {
      throw new IllegalArgumentException("'" + text + "' names no image; give oci:DIR (an OCI image layout), archive:FILE (of docker save, or a tar of a layout) or dir:DIR (a root file system)");
    }
    return new ContainerImage(form, Path.of(text.substring(colon + 1)));
  }

  @Override
  public String toString() {
    return form + ":" + place;
  }

  /** Writes the tar to a file that the caller deletes. */
  Path pack() throws Failure, IOException {
    if (form.equals("archive") ? !Files.isRegularFile(place) : !Files.isDirectory(place)) {
      throw new Failure(ExitCode.FAILED, "There is no " + (form.equals("archive") ? "file " : "directory ") + place + ".");
    }
    Path file = Files.createTempFile("instar-image-", ".tar");
    boolean done = false;
    try {
      switch (form) {
        case "archive" -> unpacked(file);
        case "oci" -> layout(file);
        default -> root(file);
      }
      done = true;
    } catch (UncheckedIOException e) {
      throw e.getCause();
    } finally {
      if (!done) {
        Files.deleteIfExists(file);
      }
    }
    return file;
  }

  /** {@code docker save | gzip} is what many write; a node takes such archives unpacked, since it reads them in any order. */
  private void unpacked(Path file) throws IOException {
    try (InputStream in = new BufferedInputStream(Files.newInputStream(place)); OutputStream out = Files.newOutputStream(file)) {
      in.mark(2);
      boolean packed = in.read() == 0x1f && in.read() == 0x8b;
      in.reset();
      try (InputStream plain = packed ? new GZIPInputStream(in) : in) {
        plain.transferTo(out);
      }
    }
  }

  private void layout(Path file) throws Failure, IOException {
    Path index = place.resolve("index.json");
    Path blobs = place.resolve("blobs/sha256");
    if (!Files.isRegularFile(index) || !Files.isDirectory(blobs)) {
      throw new Failure(ExitCode.FAILED, place + " is no OCI image layout: it has no index.json, or no blobs/sha256.");
    }
    try (TarFile tar = new TarFile(new BufferedOutputStream(Files.newOutputStream(file))); Stream<Path> all = Files.list(blobs)) {
      tar.file("index.json", Files.readAllBytes(index));
      for (Path blob : all.filter(Files::isRegularFile).sorted().toList()) {
        try (InputStream in = Files.newInputStream(blob)) {
          tar.file("blobs/sha256/" + blob.getFileName(), Files.size(blob), TarFile.Attributes.PLAIN, in);
        }
      }
    }
  }

  /** A layout of one layer. What it runs is for a label to say. */
  private void root(Path file) throws IOException {
    Path layer = Files.createTempFile("instar-layer-", ".tar");
    try {
      String digest = tree(layer);
      ObjectNode config = Output.JSON.createObjectNode();
      config.put("os", "linux").put("architecture", System.getProperty("os.arch").equals("aarch64") ? "arm64" : System.getProperty("os.arch"));
      config.putObject("config");
      config.putObject("rootfs").put("type", "layers").putArray("diff_ids").add("sha256:" + digest);
      byte[] configuration = bytes(config);
      ObjectNode manifest = Output.JSON.createObjectNode().put("schemaVersion", 2).put("mediaType", "application/vnd.oci.image.manifest.v1+json");
      describe(manifest.putObject("config"), "application/vnd.oci.image.config.v1+json", sha256(configuration), configuration.length);
      describe(manifest.putArray("layers").addObject(), "application/vnd.oci.image.layer.v1.tar", digest, Files.size(layer));
      byte[] manifested = bytes(manifest);
      ObjectNode index = Output.JSON.createObjectNode().put("schemaVersion", 2);
      describe(index.putArray("manifests").addObject(), "application/vnd.oci.image.manifest.v1+json", sha256(manifested), manifested.length);
      try (TarFile tar = new TarFile(new BufferedOutputStream(Files.newOutputStream(file))); InputStream in = Files.newInputStream(layer)) {
        tar.file("index.json", bytes(index));
        tar.file("blobs/sha256/" + sha256(manifested), manifested);
        tar.file("blobs/sha256/" + sha256(configuration), configuration);
        tar.file("blobs/sha256/" + digest, Files.size(layer), TarFile.Attributes.PLAIN, in);
      }
    } finally {
      Files.deleteIfExists(layer);
    }
  }

  private static byte[] bytes(ObjectNode json) {
    return json.toString().getBytes(StandardCharsets.UTF_8);
  }

  private static void describe(ObjectNode descriptor, String type, String digest, long size) {
    descriptor.put("mediaType", type).put("digest", "sha256:" + digest).put("size", size);
  }

  /** Writes all below the place. @return the SHA-256 of what was written, in hexadecimal */
  private String tree(Path file) throws IOException {
    MessageDigest sha256 = digest();
    Map<Object, String> names = new HashMap<>();
    OutputStream hashed = new FilterOutputStream(new BufferedOutputStream(Files.newOutputStream(file))) {
      @Override
      public void write(int b) throws IOException {
        sha256.update((byte) b);
        out.write(b);
      }

      @Override
      public void write(byte[] bytes, int offset, int length) throws IOException {
        sha256.update(bytes, offset, length);
        out.write(bytes, offset, length);
      }
    };
    try (TarFile tar = new TarFile(hashed); Stream<Path> all = Files.walk(place)) {
      for (Path path : all.sorted().toList()) {
        if (!path.equals(place)) {
          add(tar, path, names);
        }
      }
    }
    return HexFormat.of().formatHex(sha256.digest());
  }

  private void add(TarFile tar, Path path, Map<Object, String> names) throws IOException {
    String name = place.relativize(path).toString();
    Map<String, Object> had = Files.readAttributes(path, "unix:mode,uid,gid,nlink,ino,dev,lastModifiedTime,size", LinkOption.NOFOLLOW_LINKS);
    TarFile.Attributes attributes = new TarFile.Attributes((int) had.get("mode") & 07777, id(had.get("uid")), id(had.get("gid")),
        Files.getLastModifiedTime(path, LinkOption.NOFOLLOW_LINKS).toMillis() / 1000);
    if (Files.isSymbolicLink(path)) {
      tar.link(name, Files.readSymbolicLink(path).toString(), attributes);
    } else if (Files.isDirectory(path)) {
      tar.directory(name, attributes);
    } else if (Files.isRegularFile(path)) {
      String before = (int) had.get("nlink") > 1 ? names.putIfAbsent(List.of(had.get("dev"), had.get("ino")), name) : null;
      if (before != null) {
        tar.sameFile(name, before, attributes);
      } else {
        try (InputStream in = Files.newInputStream(path)) {
          tar.file(name, (long) had.get("size"), attributes, in);
        }
      }
    } else {
      // Sockets, pipes and devices are nothing to ship.
      left.add(name);
    }
  }

  /** What was left out, for people. */
  Optional<String> note() {
    return left.isEmpty() ? Optional.empty() : Optional.of("note: left out, since " + (left.size() == 1 ? "it is a device, a pipe or a socket: " : left.size() + " are devices, pipes or sockets: ")
        + Output.printable(left.stream().limit(SHOWN).collect(Collectors.joining(", "))) + (left.size() > SHOWN ? ", ..." : ""));
  }

  /** Beyond what exists in a container: the files of a rootless engine, whose owner is root in them. */
  private static int id(Object of) {
    int id = (int) of;
    return id < 0 || id > LARGEST_ID ? 0 : id;
  }

  private static String sha256(byte[] bytes) {
    return HexFormat.of().formatHex(digest().digest(bytes));
  }

  private static MessageDigest digest() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("Every Java platform has SHA-256.", e);
    }
  }
}
