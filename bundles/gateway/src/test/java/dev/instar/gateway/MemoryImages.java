package dev.instar.gateway;

import dev.instar.api.Digest;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.function.Image;
import dev.instar.api.function.Variant;
import dev.instar.api.image.ImageDetails;
import dev.instar.api.image.ImageInfo;
import dev.instar.api.image.ImageStore;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Path;
import java.time.Instant;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/** A content store in memory, which takes what begins as a WebAssembly module does. Stands for the bundle images. */
public final class MemoryImages implements ImageStore {
  private final Map<Digest, byte[]> images = new ConcurrentHashMap<>();
  private final Map<Digest, String> users = new ConcurrentHashMap<>();

  /** Bytes that it takes for a module. */
  public static byte[] module(int length) {
    byte[] module = new byte[length];
    module[1] = 'a';
    module[2] = 's';
    module[3] = 'm';
    for (int i = 4; i < length; i++) {
      module[i] = (byte) (i * 31);
    }
    return module;
  }

  /** How many it has. */
  public int size() {
    return images.size();
  }

  @Override
  public Image add(InputStream content, long limit, Optional<String> user) throws IOException {
    byte[] bytes = content.readAllBytes();
    if (bytes.length > limit) {
      throw new InstarException(ErrorCode.TOO_LARGE, "Too large.");
    }
    if (bytes.length < 4 || bytes[1] != 'a' || bytes[2] != 's' || bytes[3] != 'm') {
      throw new InstarException(ErrorCode.UNSUPPORTED_ARTIFACT, "This is neither a module, nor a bundle, nor an executable.");
    }
    Digest digest = Digest.of(bytes);
    images.put(digest, bytes);
    user.ifPresent(one -> users.putIfAbsent(digest, one));
    return image(digest, bytes);
  }

  private static Image image(Digest digest, byte[] bytes) {
    return new Image(digest, Variant.WASM, bytes.length, Path.of("function.wasm"), Optional.empty());
  }

  @Override
  public Optional<Image> find(Digest digest) {
    return Optional.ofNullable(images.get(digest)).map(bytes -> image(digest, bytes));
  }

  @Override
  public InputStream open(Digest digest) {
    return new ByteArrayInputStream(Optional.ofNullable(images.get(digest))
        .orElseThrow(() -> new InstarException(ErrorCode.IMAGE_NOT_FOUND, "There is no image " + digest + ".")));
  }

  @Override
  public List<ImageInfo> list() {
    return images.keySet().stream().map(this::info).sorted(Comparator.comparing(info -> info.digest().value())).toList();
  }

  private ImageInfo info(Digest digest) {
    return new ImageInfo(digest, Variant.WASM, images.get(digest).length, Instant.EPOCH, Optional.ofNullable(users.get(digest)), 0, 0, false);
  }

  @Override
  public Optional<ImageDetails> inspect(Digest digest) {
    return images.containsKey(digest) ? Optional.of(new ImageDetails(info(digest), Optional.of("{\"config\":{\"Cmd\":[\"run\"]}}"), List.of(new ImageDetails.Layer("sha256:1", 7)))) : Optional.empty();
  }

  @Override
  public boolean remove(Digest digest) {
    return images.remove(digest) != null;
  }

  @Override
  public int collect(Set<Digest> keep, long graceSeconds) {
    int before = images.size();
    images.keySet().retainAll(keep);
    return before - images.size();
  }
}
