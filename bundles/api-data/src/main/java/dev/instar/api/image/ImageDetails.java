package dev.instar.api.image;

import java.util.List;
import java.util.Optional;

/**
 * All that the content store tells of one image.
 *
 * @param info as in the list
 * @param configuration of a container image, as it stands in the archive: JSON as the OCI image specification has it
 * @param layers of a container image, the lowest first
 */
public record ImageDetails(ImageInfo info, Optional<String> configuration, List<Layer> layers) {
  public ImageDetails {
    layers = List.copyOf(layers);
  }

  /**
   * One layer.
   *
   * @param digest of what it unpacks to
   * @param size in the archive, in bytes
   */
  public record Layer(String digest, long size) {}
}
