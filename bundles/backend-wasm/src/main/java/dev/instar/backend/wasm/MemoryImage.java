package dev.instar.backend.wasm;

/**
 * The contents of a linear memory, immutable and shared by all memories that start from it.
 *
 * @param chunks the bytes in pieces of {@link LinearMemory#CHUNK}; a piece of zeros is {@link LinearMemory#ZEROS}
 * @param pages the size in WebAssembly pages
 * @param charged what its pieces were charged to the budget
 */
record MemoryImage(byte[][] chunks, int pages, long charged) {}
