package dev.instar.images;

import dev.instar.api.function.Variant;
import java.util.Optional;

/** What an artifact is, by its first bytes. */
enum Kind {
  WASM(Variant.WASM),
  /** gzip: a bundle, which holds a module. */
  BUNDLE(Variant.WASM),
  EXECUTABLE(Variant.EXECUTABLE);

  /** How many bytes {@link #of} wants to see. */
  static final int MAGIC_BYTES = 4;

  private final String variant;

  Kind(String variant) {
    this.variant = variant;
  }

  /** The kind as variants name it. */
  String variant() {
    return variant;
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
