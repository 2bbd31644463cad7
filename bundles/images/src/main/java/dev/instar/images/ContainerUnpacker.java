package dev.instar.images;

import dev.instar.api.InstarException;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Path;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * Lays the layers of a container image over each other and makes the view that its containers share: {@code config.json}, the image configuration, and
 * {@code rootfs/}. The bytes of files go to numbered files first, one pass over the archive; {@link LayerTree} says at last which of them are seen, and
 * where.
 */
final class ContainerUnpacker {
  static final String CONFIGURATION = "config.json";
  static final String ROOTFS = "rootfs";

  private ContainerUnpacker() {}

  /**
   * @param archive the image
   * @param view which must not exist and of which nothing remains after a failure
   * @param firstId added to the ids of owners; empty when the node may not change owners
   * @throws InstarException ARCHIVE_REFUSED, DIGEST_MISMATCH, UNSUPPORTED_ARTIFACT, NO_SPACE
   */
  static void unpack(Path archive, Path view, ArchiveLimits limits, OptionalInt firstId, Unpacking.FileOpener opener) throws IOException {
    Path contents = view.resolveSibling(view.getFileName() + ".contents");
    Unpacking.make(view, contents, () -> {
      ContainerImage image = ContainerImage.open(archive, limits);
      LayerTree tree = new LayerTree(limits);
      int[] number = {0};
      image.layers(limits, tar -> {
        tree.nextLayer();
        for (Optional<TarReader.Entry> next = tar.next(); next.isPresent(); next = tar.next()) {
          Optional<Path> content = Optional.empty();
          if (next.get().type() == TarReader.Type.FILE) {
            content = Optional.of(contents.resolve(Integer.toString(number[0]++)));
            receive(tar, content.get(), opener);
          }
          tree.put(next.get(), content);
        }
      });
      tree.make(view.resolve(ROOTFS), firstId);
      try (OutputStream out = opener.open(view.resolve(CONFIGURATION))) {
        out.write(image.configuration());
      }
    });
  }

  private static void receive(TarReader tar, Path file, Unpacking.FileOpener opener) throws IOException {
    byte[] buffer = new byte[64 << 10];
    try (OutputStream out = opener.open(file)) {
      for (int n; (n = tar.read(buffer)) >= 0;) {
        out.write(buffer, 0, n);
      }
    }
  }
}
