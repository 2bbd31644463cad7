package dev.instar.api.function;

import dev.instar.api.Digest;
import java.nio.file.Path;
import java.util.Optional;

/**
 * What a variant runs, on this node's disk, read-only and verified.
 *
 * @param digest of the artifact as it was uploaded
 * @param kind {@link Variant#WASM} or {@link Variant#EXECUTABLE}
 * @param size of the artifact as it was uploaded, in bytes
 * @param program the module or program file
 * @param rootfs the files that the function sees, where it was uploaded as a bundle
 */
public record Image(Digest digest, String kind, long size, Path program, Optional<Path> rootfs) {}
