package dev.instar.api.snapshot;

import dev.instar.api.Digest;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.regex.Pattern;

/**
 * Everything that must match before a layer may be restored. A backend puts in whatever changes the meaning of the memory or of the blobs: a
 * layer that is found under an equal key is one that the backend could have made just now.
 *
 * @param backend the backend's name, such as {@code wasm}
 * @param backendVersion of the backend, and of the form of its blobs
 * @param machine arguments of the machine by name: sizes, features of the CPU, limits that are built in
 * @param images digests of what was loaded, in the order of loading
 */
public record SnapshotKey(String backend, String backendVersion, SortedMap<String, String> machine, List<Digest> images) {
  private static final Pattern NAME = Pattern.compile("[ -~]{1,200}");
  private static final int MOST = 256;
  private static final int LONGEST_VALUE = 4096;

  /** @throws InstarException {@link ErrorCode#BAD_REQUEST} when a name is empty or not of printable ASCII, or there is too much of something */
  public SnapshotKey {
    machine = Collections.unmodifiableSortedMap(new TreeMap<>(machine));
    images = List.copyOf(images);
    name("backend", backend);
    name("version", backendVersion);
    machine.forEach((key, value) -> {
      name("machine argument", key);
      if (value.length() > LONGEST_VALUE || !StandardCharsets.UTF_8.newEncoder().canEncode(value)) {
        throw new InstarException(ErrorCode.BAD_REQUEST, "The machine argument '" + key + "' of a snapshot is over " + LONGEST_VALUE
            + " characters, or no text.");
      }
    });
    if (machine.size() > MOST || images.size() > MOST) {
      throw new InstarException(ErrorCode.BAD_REQUEST, "A snapshot's key has up to " + MOST + " machine arguments and images.");
    }
  }

  private static void name(String what, String value) {
    if (!NAME.matcher(value).matches()) {
      throw new InstarException(ErrorCode.BAD_REQUEST, "The " + what + " of a snapshot must be 1 to 200 printable ASCII characters.");
    }
  }

  /** One value for all of it. Each part goes in with its length, so that no two keys have the same bytes. */
  public Digest digest() {
    MessageDigest sha256 = Digest.sha256();
    feed(sha256, backend);
    feed(sha256, backendVersion);
    count(sha256, machine.size());
    machine.forEach((key, value) -> {
      feed(sha256, key);
      feed(sha256, value);
    });
    count(sha256, images.size());
    images.forEach(image -> feed(sha256, image.value()));
    return Digest.of(sha256);
  }

  /** Whether a layer of this key can lie on one of {@code base}: the same machine, with all that the base had loaded. */
  public boolean extendsKey(SnapshotKey base) {
    return backend.equals(base.backend) && backendVersion.equals(base.backendVersion) && Map.copyOf(machine).equals(Map.copyOf(base.machine))
        && new HashSet<>(images).containsAll(base.images);
  }

  private static void feed(MessageDigest sha256, String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    count(sha256, bytes.length);
    sha256.update(bytes);
  }

  private static void count(MessageDigest sha256, int count) {
    sha256.update(ByteBuffer.allocate(Integer.BYTES).putInt(0, count));
  }
}
