package dev.instar.api.image;

import dev.instar.api.Digest;
import dev.instar.api.function.Image;
import java.io.IOException;
import java.io.InputStream;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.osgi.annotation.versioning.ProviderType;

/**
 * The content store: artifacts by the SHA-256 of their bytes as uploaded.
 *
 * <p>An artifact is a WebAssembly module (magic {@code \0asm}), a bundle (gzip'd tar with {@code function.wasm} and, if there are files,
 * {@code rootfs/}, at its top or in one directory of any name), an executable (ELF, or {@code #!}), or a container image (a tar of an OCI image
 * layout, or what {@code docker save} writes). What has returned from {@link #add} is on disk under its checksum and survives power loss; an upload that was cut leaves nothing.
 *
 * <p>All methods may be called from any thread. {@link #find} is cheap: no byte is read, but the first use after a start verifies the checksum.
 */
@ProviderType
public interface ImageStore {
  /**
   * Stores what the stream holds, to its end.
   *
   * @param limit how many bytes are taken
   * @throws dev.instar.api.InstarException TOO_LARGE, UNSUPPORTED_ARTIFACT, ARCHIVE_REFUSED, DIGEST_MISMATCH, NO_SPACE
   * @throws IOException when the stream fails (an upload that was cut)
   */
  default Image add(InputStream content, long limit) throws IOException {
    return add(content, limit, Optional.empty());
  }

  /**
   * The same for a user, against whose share of the store it counts if nobody else's does yet. What is there in packed and unpacked form is bounded for all and for each user.
   *
   * @param user whose functions will have it, where that is known
   * @throws dev.instar.api.InstarException also IMAGES_FULL, with the members {@code limit} (the bound's name) and {@code value}
   */
  Image add(InputStream content, long limit, Optional<String> user) throws IOException;

  /** All images, by their digests. Reads none. */
  List<ImageInfo> list();

  /** More of one; of a container image its archive is read. @throws dev.instar.api.InstarException DAMAGED */
  Optional<ImageDetails> inspect(Digest digest);

  /**
   * Removes one, whoever uses it: ask {@code FunctionRegistry.removeImage}, which knows who does.
   *
   * @return whether it was there
   */
  boolean remove(Digest digest);

  /** The image, verified and unpacked. @throws dev.instar.api.InstarException DAMAGED when its bytes fail the checksum (it is then set aside) */
  Optional<Image> find(Digest digest);

  /** The artifact as it was uploaded; the caller closes it. @throws dev.instar.api.InstarException IMAGE_NOT_FOUND, DAMAGED */
  InputStream open(Digest digest) throws IOException;

  /** Removes images that are not in {@code keep} and were not added within the last {@code graceSeconds}. Returns how many went. */
  int collect(Set<Digest> keep, long graceSeconds);
}
