/**
 * A module after its initialisation, as a WebAssembly module: what the instance has in memory, globals, tables and segments becomes what the
 * module begins with, and nothing of the initialisation is left in it. (The idea of Wizer.) Any engine starts it, and a node that starts again
 * need not initialise anything.
 *
 * <p>{@link dev.instar.wasi.writeback.ModuleState} is taken of an instance, {@link dev.instar.wasi.writeback.Writeback} writes all of the
 * module but what its memory holds, which is kept once and flat, or says by an {@link dev.instar.wasi.writeback.Outcome.Inexpressible} why there can be
 * none; {@link dev.instar.wasi.writeback.WholeModule} puts the two together. Where an engine does not let one look into its
 * instances, {@link dev.instar.wasi.writeback.Exposed} makes of the module one that shows them.
 */
package dev.instar.wasi.writeback;
