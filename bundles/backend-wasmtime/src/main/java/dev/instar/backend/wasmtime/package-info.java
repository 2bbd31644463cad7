/**
 * WebAssembly on the native wasmtime library.
 *
 * <pre>
 * WasmtimeBackend      prepares: Outline → Compiler, over CodeCache → WasmtimeEngine.load
 *   WasmtimeFunction   what calls are made to, and what can be stored of it
 *     Program          machine code, and instances that wait; lives until its last call has ended
 *       Rewinder       brings an instance that has served a call back to how it began
 *     WasmtimeSandbox  takes an instance for each call and leaves it to the program; holds nothing between calls
 *       Guest          what an instance's imports act on: WASI, the call's input and answer, what it is charged
 * </pre>
 *
 * <p>An instance is brought back where only memory and globals can change: the pages that were written, which the kernel tells, are copied back, or given up where
 * they are many, and an exported function that was written into the module sets its globals. It is closed, and the next call gets a new one, after a trap, when
 * its memory has grown, where the module can change a table or drop a segment, or has a start function, and where the kernel does not tell.
 *
 * <p>A module that has something to initialise is first compiled in a form that shows its state (Exposed), and run once; what it has come to (Initialised) is
 * written into the module, which is compiled again. Its instances map their memory from what was compiled, and begin there.
 *
 * <p>The node itself reads a module's outline, where its parts begin, and which instructions there are. It is validated and compiled in a process of its own,
 * and what the node maps is what that process made: never machine code that somebody uploaded.
 */
package dev.instar.backend.wasmtime;
