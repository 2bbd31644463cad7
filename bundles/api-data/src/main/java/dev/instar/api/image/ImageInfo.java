package dev.instar.api.image;

import dev.instar.api.Digest;
import java.time.Instant;
import java.util.Objects;
import java.util.Optional;

/**
 * What the content store tells of one image.
 *
 * @param digest of the artifact as it was uploaded
 * @param kind as a variant's, see {@link dev.instar.api.function.Variant}
 * @param size of the artifact as it was uploaded, in bytes
 * @param added when it was uploaded last
 * @param user for whom it was uploaded first, where that was said
 * @param unpackedBytes of the files that functions see of it; 0 of one that is not unpacked to be used
 * @param unpackedFiles files, directories and links that functions see of it
 * @param unpacked whether these are on the disk now: they come with the first use in each run of the node
 */
public record ImageInfo(Digest digest, String kind, long size, Instant added, Optional<String> user, long unpackedBytes, long unpackedFiles, boolean unpacked) {
  public ImageInfo {
    Objects.requireNonNull(digest);
    Objects.requireNonNull(kind);
    Objects.requireNonNull(added);
    Objects.requireNonNull(user);
  }
}
