package dev.instar.images;

import dev.instar.api.function.Variant;
import java.util.Arrays;
import java.util.Optional;

/** What an artifact is, by its first bytes. */
enum Kind {
  WASM(Variant.WASM),
  /** gzip: a bundle, which holds a module. */
  BUNDLE(Variant.WASM),
  EXECUTABLE(Variant.EXECUTABLE),
  /** A tar that is not packed: an OCI layout or what {@code docker save} writes. */
  CONTAINER(Variant.CONTAINER);

  /** How many bytes {@link #of} wants to see. */
  static final int MAGIC_BYTES = 262;
  /** Where POSIX.1 has the magic of a tar header. */
  private static final int USTAR = 257;

  private final String variant;

  Kind(String variant) {
    this.variant = variant;
  }

  /** The kind as variants name it. */
  String variant() {
    return variant;
  }

  /** Whether functions see something else of it than the artifact itself. */
  boolean unpacked() {
    return this == BUNDLE || this == CONTAINER;
  }

  static Optional<Kind> of(byte[] magic) {
    if (starts(magic, 0, 'a', 's', 'm')) {
      return Optional.of(WASM);
    }
    if (starts(magic, 0x1f, 0x8b)) {
      return Optional.of(BUNDLE);
    }
    if (starts(magic, 0x7f, 'E', 'L', 'F') || starts(magic, '#', '!')) {
      return Optional.of(EXECUTABLE);
    }
    if (magic.length > USTAR && starts(Arrays.copyOfRange(magic, USTAR, magic.length), 'u', 's', 't', 'a', 'r')) {
      return Optional.of(CONTAINER);
    }
    return Optional.empty();
  }

  private static boolean starts(byte[] bytes, int... with) {
    if (bytes.length < with.length) {
      return false;
    }
    for (int i = 0; i < with.length; i++) {
      if ((bytes[i] & 0xff) != with[i]) {
        return false;
      }
    }
    return true;
  }
}
