/**
 * WebAssembly on the JVM: modules are compiled to bytecode by Chicory, initialised once, and every sandbox is an instance of what was left
 * after the initialisation.
 *
 * <pre>
 *   WasmBackend.prepare ─▶ ModuleScan ─▶ ModuleCompiler ⇄ CodeCache ─▶ Snapshot ─▶ WasmFunction
 *   WasmFunction.start  ─▶ WasmSandbox ─▶ Guest (Instance, CowMemory, Wasi), a new one for each call
 * </pre>
 */
package dev.instar.backend.wasm;
