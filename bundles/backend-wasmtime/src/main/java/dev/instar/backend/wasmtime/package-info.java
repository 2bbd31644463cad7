/**
 * WebAssembly on the native wasmtime library.
 *
 * <pre>
 * WasmtimeBackend      prepares: Outline → Compiler, over CodeCache → WasmtimeEngine.load
 *   WasmtimeFunction   a module; lives until its last call has ended
 *     WasmtimeSandbox  makes an instance for each call, which is its reset; holds nothing between calls
 *       Guest          what an instance's imports act on: WASI, the call's input and answer, what it is charged
 * </pre>
 *
 * The node itself parses only a module's outline. It is validated and compiled in a process of its own, and what the node maps is what that process made: never
 * machine code that somebody uploaded.
 */
package dev.instar.backend.wasmtime;
