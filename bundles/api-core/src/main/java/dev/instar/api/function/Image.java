package dev.instar.api.function;

import dev.instar.api.Digest;
import java.nio.file.Path;
import java.util.Optional;

/**
 * What a variant runs, on this node's disk, read-only and verified.
 *
 * @param digest of the artifact as it was uploaded
 * @param kind {@link Variant#WASM}, {@link Variant#EXECUTABLE} or {@link Variant#CONTAINER}
 * @param size of the artifact as it was uploaded, in bytes
 * @param program the module or program file; of a container image its configuration (the JSON of the OCI image specification)
 * @param rootfs the files that the function sees, where it was uploaded as a bundle; of a container image its layers laid over each other, owned by
 *     the ids of the image, shifted by the owner of this directory where the node may change owners
 */
public record Image(Digest digest, String kind, long size, Path program, Optional<Path> rootfs) {}
