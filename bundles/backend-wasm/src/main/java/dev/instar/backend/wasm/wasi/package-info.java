/**
 * WASI preview 1 ({@code wasi_snapshot_preview1}): the system interface of a guest, over streams of the call and a private, writable view of the
 * function's files.
 *
 * <pre>
 * ChicoryImports      binds the table to the engine
 *   Preview1          the table: names, signatures
 *     FdCalls, PathCalls, ProcessCalls, PollOneoff   what each call checks and does
 *       FdTable       descriptors with their rights
 *       FileView      resolves paths inside the view; inodes over
 *         LowerTree   the image's files, read-only, shared by all sandboxes of a version
 *         BlockStore  what the guest wrote: heap up to a limit, then one unlinked file
 *       Freezer       makes a WasiState of all this, which other sandboxes start from
 * </pre>
 *
 * Names and values are those of the specification (WASI repository, legacy/preview1/witx). Guests are hostile: each pointer, length, descriptor
 * and path may have any value. A call ends in one of three ways: an {@link dev.instar.backend.wasm.wasi.Errno}, a
 * {@link dev.instar.backend.wasm.wasi.GuestEnd} that the guest cannot catch, or success.
 */
package dev.instar.backend.wasm.wasi;
