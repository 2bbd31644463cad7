/**
 * WebAssembly on the native wasmtime library.
 *
 * <pre>
 * WasmtimeBackend      prepares: Outline → Compiler, over CodeCache → WasmtimeEngine.load
 *   WasmtimeFunction   what calls are made to, and what can be stored of it
 *     Program          machine code; lives until its last call has ended
 *     WasmtimeSandbox  makes an instance for each call, which is its reset; holds nothing between calls
 *       Guest          what an instance's imports act on: WASI, the call's input and answer, what it is charged
 * </pre>
 *
 * <p>A module that has something to initialise is first compiled in a form that shows its state (Exposed), and run once; what it has come to (Initialised) is
 * written into the module, which is compiled again. Its instances map their memory from what was compiled, and begin there.
 *
 * <p>The node itself parses only a module's outline, and where its parts begin. It is validated and compiled in a process of its own, and what the node maps is what that process made: never
 * machine code that somebody uploaded.
 */
package dev.instar.backend.wasmtime;
