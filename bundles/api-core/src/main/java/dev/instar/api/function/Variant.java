package dev.instar.api.function;

import dev.instar.api.Digest;
import java.util.Optional;

/**
 * One form in which a function exists. One is the usual case; several make a hybrid.
 *
 * @param digest its image in the content store
 * @param kind what the image holds: {@link #WASM}, {@link #EXECUTABLE}, {@link #CONTAINER}, or what a third-party backend names
 * @param backend the name of the backend that must run it; empty: any that takes the kind
 */
public record Variant(Digest digest, String kind, Optional<String> backend) {
  /** A WebAssembly module, alone or in a bundle with files. */
  public static final String WASM = "wasm";
  /** A program of the host's operating system: an ELF file or a script with an interpreter line. */
  public static final String EXECUTABLE = "executable";
  /** A container image: a tar of an OCI image layout, or what {@code docker save} writes. */
  public static final String CONTAINER = "container";
}
