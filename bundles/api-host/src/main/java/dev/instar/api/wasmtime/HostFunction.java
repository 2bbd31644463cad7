package dev.instar.api.wasmtime;

import org.osgi.annotation.versioning.ConsumerType;

/**
 * A function that modules may import.
 *
 * @param module the first of its names
 * @param name the second
 * @param parameters a letter each: {@code i} for i32, {@code I} for i64
 * @param result one letter, or nothing
 * @param body what it does
 */
public record HostFunction(String module, String name, String parameters, String result, Body body) {
  /** What a function does, on the thread of the call. */
  @ConsumerType
  @FunctionalInterface
  public interface Body {
    /**
     * What it throws ends the call: the guest cannot catch it, and {@link WasmtimeTrap#getCause} is it.
     *
     * @param instance the caller; while its start function runs, with its memory only
     * @param host what the instance was made with
     * @param arguments an i32 is there with its sign
     * @return the result; of no interest where there is none
     */
    long call(WasmtimeInstance instance, WasmtimeModule.Host host, long[] arguments) throws Exception;
  }
}
