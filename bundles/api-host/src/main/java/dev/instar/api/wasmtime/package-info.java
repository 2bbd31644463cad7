/**
 * The native wasmtime library, for whoever runs WebAssembly with it.
 *
 * <pre>
 * Wasmtime            the library, loaded once for the life of the process; or what is missing
 *   WasmtimeEngine    a pool of places for instances, and a clock that lets guests be interrupted
 *     WasmtimeModule  machine code, linked to the functions that it imports
 *       WasmtimeInstance   one memory, one set of tables and globals; for one thread at a time
 * </pre>
 *
 * What is open when its parent closes is closed first by its owner: nothing here counts references, and what is used after its end ends the process.
 */
@org.osgi.annotation.bundle.Export
@org.osgi.annotation.versioning.Version("0.1.0")
package dev.instar.api.wasmtime;
