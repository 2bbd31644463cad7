/**
 * Holds the native wasmtime library. All that is unsafe is in here: {@link dev.instar.wasmtime.CApi} has the functions and layouts of exactly one version, and
 * no other is loaded.
 */
package dev.instar.wasmtime;
