/**
 * WASI preview 1 over a private view of files that lives in memory: nothing here opens a file of the host for writing, and nothing that a
 * guest gives as a path ever reaches the host's file system.
 */
package dev.instar.backend.wasm.wasi;
