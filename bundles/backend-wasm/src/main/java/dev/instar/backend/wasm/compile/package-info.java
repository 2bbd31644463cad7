/**
 * Compilation outside of the node: a process that translates strangers' modules, and the node's side of it.
 *
 * <p>{@link dev.instar.backend.wasm.compile.CompilerProcess} and what it uses ({@link dev.instar.backend.wasm.compile.Translator}, {@link dev.instar.backend.wasm.compile.Code},
 * {@link dev.instar.backend.wasm.compile.Frames}) run without a framework: they import Chicory, ASM and the JDK only.
 */
package dev.instar.backend.wasm.compile;
