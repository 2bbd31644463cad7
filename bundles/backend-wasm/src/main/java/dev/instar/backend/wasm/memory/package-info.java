/**
 * Linear memories that start from an image and go back to it.
 *
 * <p>A {@link dev.instar.backend.wasm.memory.MemoryImage} is what a guest's memory holds after its initialisation, kept once in a memfd.
 * A {@link dev.instar.backend.wasm.memory.CowMemory} is one guest's view of it: a private mapping, so that a page costs memory only when the
 * guest writes it, and a reset only gives the written pages back. A {@link dev.instar.backend.wasm.memory.MemoryPool} keeps such mappings for
 * the next guest of the same image. Where the host has no mmap, the same classes copy.
 *
 * <p>Life cycle: image → open (or a pool's take) → enter, guest code, leave → reset, or close. What is closed throws when it is used.
 */
package dev.instar.backend.wasm.memory;
