package dev.instar.images;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.instar.api.Digest;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.data.ChecksummedDocument;
import dev.instar.api.data.DurableFiles;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.regex.Pattern;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * How much room images take, packed and unpacked, and for whom they came: a small document beside each blob, so that the bounds hold over restarts without an archive being unpacked. One that
 * is missing or damaged means that the image counts by its blob, for nobody, until it is unpacked again.
 */
final class Ledger {
  private static final Logger LOG = LoggerFactory.getLogger(Ledger.class);
  private static final JsonMapper JSON = new JsonMapper();
  private static final Pattern NAME = Pattern.compile("[0-9a-f]{64}");
  static final String SUFFIX = ".json";

  private final Path blobs;
  private final Path uploads;
  /** What is charged; read with the first question. */
  private Map<Digest, Charge> charges;

  /**
   * What one image takes.
   *
   * @param user for whom it came first; empty where nobody said
   * @param packed bytes of the blob
   * @param bytes of the unpacked files
   * @param files unpacked files, directories and links
   */
  record Charge(Optional<String> user, long packed, long bytes, long files) {}

  /**
   * How much all may take together, or one user's.
   *
   * @param bytes packed and unpacked
   * @param files unpacked files, directories and links
   */
  record Bounds(long bytes, long files) {}

  /**
   * Of one store.
   *
   * @param blobs where they are, each in a directory of its first two digits
   * @param uploads where documents are written before they are put into their places; emptied at each start
   */
  Ledger(Path blobs, Path uploads) {
    this.blobs = blobs;
    this.uploads = uploads;
  }

  private Path document(Digest digest) {
    return blobs.resolve(digest.hex().substring(0, 2)).resolve(digest.hex() + SUFFIX);
  }

  private Map<Digest, Charge> charges() throws IOException {
    if (charges == null) {
      Map<Digest, Charge> found = new HashMap<>();
      try (DirectoryStream<Path> directories = Files.newDirectoryStream(blobs, "[0-9a-f][0-9a-f]")) {
        for (Path directory : directories) {
          try (DirectoryStream<Path> files = Files.newDirectoryStream(directory, file -> NAME.matcher(file.getFileName().toString()).matches())) {
            for (Path file : files) {
              Digest digest = new Digest("sha256:" + file.getFileName());
              found.put(digest, read(digest, Files.readAttributes(file, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS).size()));
            }
          }
        }
      }
      charges = found;
    }
    return charges;
  }

  private Charge read(Digest digest, long packed) {
    try {
      if (Files.isRegularFile(document(digest), LinkOption.NOFOLLOW_LINKS)) {
        JsonNode json = JSON.readTree(ChecksummedDocument.read(document(digest)));
        return new Charge(Optional.ofNullable(json.path("user").textValue()), packed, Math.max(0, json.path("bytes").asLong()), Math.max(0, json.path("files").asLong()));
      }
    } catch (IOException e) {
      LOG.warn("What the image {} takes is not known: {}. It is counted again when it is unpacked.", digest, e.getMessage());
    }
    return new Charge(Optional.empty(), packed, 0, 0);
  }

  synchronized Charge of(Digest digest) throws IOException {
    Charge known = charges().get(digest);
    Path blob = blobs.resolve(digest.hex().substring(0, 2)).resolve(digest.hex());
    if (known == null && Files.isRegularFile(blob, LinkOption.NOFOLLOW_LINKS)) {
      // In a swap the other component has put it there.
      known = read(digest, Files.size(blob));
      charges.put(digest, known);
    }
    return known == null ? new Charge(Optional.empty(), 0, 0, 0) : known;
  }

  /** @throws InstarException IMAGES_FULL when this is more than all, or the user's, may take; what is charged already is no more */
  synchronized void check(Digest digest, Charge wanted, Bounds all, Bounds each) throws IOException {
    if (charges().containsKey(digest)) {
      return;
    }
    within("", wanted, all, charges().values().stream().toList());
    if (wanted.user().isPresent()) {
      within(wanted.user().get(), wanted, each, charges().values().stream().filter(charge -> charge.user().equals(wanted.user())).toList());
    }
  }

  private static void within(String user, Charge wanted, Bounds bounds, Iterable<Charge> charged) {
    long bytes = wanted.packed() + wanted.bytes();
    long files = wanted.files();
    for (Charge charge : charged) {
      bytes += charge.packed() + charge.bytes();
      files += charge.files();
    }
    if (bytes > bounds.bytes() || files > bounds.files()) {
      boolean size = bytes > bounds.bytes();
      String limit = (user.isEmpty() ? "max-total-" : "max-user-") + (size ? "bytes" : "files");
      long most = size ? bounds.bytes() : bounds.files();
      throw new InstarException(ErrorCode.IMAGES_FULL, "With this one the images of " + (user.isEmpty() ? "this node" : "the user " + user) + " would take " + (size ? bytes + " bytes" : files + " files")
          + ", packed and unpacked; " + most + " are allowed (" + limit + " of " + ContentStore.PID + "). Remove some that no function has: instar image rm.",
          Map.of("limit", limit, "value", most));
    }
  }

  /** From here on it is counted. Who is charged for it already stays charged. @throws InstarException as {@link #check} */
  synchronized void charge(Digest digest, Charge wanted, Bounds all, Bounds each) throws IOException {
    check(digest, wanted, all, each);
    Charge before = charges().get(digest);
    Charge now = before == null || before.user().isEmpty() ? wanted : new Charge(before.user(), wanted.packed(), wanted.bytes(), wanted.files());
    if (!now.equals(before)) {
      ObjectNode json = JSON.createObjectNode();
      now.user().ifPresent(user -> json.put("user", user));
      Path written = uploads.resolve(UUID.randomUUID() + SUFFIX);
      try {
        ChecksummedDocument.write(written, JSON.writeValueAsBytes(json.put("bytes", now.bytes()).put("files", now.files())));
        DurableFiles.move(written, document(digest));
      } finally {
        Files.deleteIfExists(written);
      }
      charges.put(digest, now);
    }
  }

  /** It has no blob. */
  synchronized void forget(Digest digest) throws IOException {
    charges().remove(digest);
    if (Files.exists(document(digest), LinkOption.NOFOLLOW_LINKS)) {
      DurableFiles.delete(document(digest));
    }
  }
}
