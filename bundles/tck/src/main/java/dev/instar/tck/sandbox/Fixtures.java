package dev.instar.tck.sandbox;

import dev.instar.api.Digest;
import dev.instar.api.function.Image;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/** A backend's own forms of the functions that the suite calls. */
public interface Fixtures {
  /** The image of a fixture, on disk. Called once a test; may hand out the same file each time. Not called for one that {@link #inexpressible}. */
  Image image(Fixture fixture) throws IOException;

  /**
   * Why this backend has no form of a fixture, in a sentence; empty when it has one. The tests that need it then pass with a report entry for this
   * reason: a gap in what is promised, so keep these few.
   */
  default Optional<String> inexpressible(Fixture fixture) {
    return Optional.empty();
  }

  /** An image of one file, as the content store would hand it out. */
  static Image ofFile(Path program, String kind) throws IOException {
    byte[] content = Files.readAllBytes(program);
    return new Image(Digest.of(content), kind, content.length, program.toAbsolutePath(), Optional.empty());
  }
}
