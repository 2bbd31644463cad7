/**
 * WASI preview 1 ({@code wasi_snapshot_preview1}): the system interface of a guest, over streams of the call and a private, writable view of the
 * function's files.
 *
 * <pre>
 * Preview1            the table: names, signatures; a backend binds it to its engine, with a GuestMemory
 *   FdCalls, PathCalls, ProcessCalls, PollOneoff   what each call checks and does
 *     FdTable         descriptors with their rights
 *     FileView        resolves paths inside the view; inodes over
 *       LowerTree     the image's files, read-only, shared by all sandboxes of a version
 *       BlockStore    what the guest wrote: heap up to a limit, then one unlinked file
 *     Freezer         makes a WasiState of all this, which other sandboxes start from
 * </pre>
 *
 * No bundle of its own: each backend carries these classes, so that none waits for another's.
 *
 * <p>Names and values are those of the specification (WASI repository, legacy/preview1/witx). Guests are hostile: each pointer, length, descriptor
 * and path may have any value. A call ends in one of three ways: an {@link dev.instar.wasi.Errno}, a
 * {@link dev.instar.wasi.GuestEnd} that the guest cannot catch, or success.
 */
package dev.instar.wasi;
