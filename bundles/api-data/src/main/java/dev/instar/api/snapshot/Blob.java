package dev.instar.api.snapshot;

import dev.instar.api.Digest;

/**
 * A file that belongs to a layer beside its memory.
 *
 * @param digest of its content
 * @param bytes its size
 */
public record Blob(Digest digest, long bytes) {}
