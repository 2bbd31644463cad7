package dev.instar.backend.wasm.wasi;

import com.dylibso.chicory.wasm.types.FunctionType;
import com.dylibso.chicory.wasm.types.ValType;
import java.util.Arrays;
import java.util.List;

/**
 * A function that a module may import.
 *
 * @param <H> what it works on, one object an instance
 * @param module the name of the module that it is imported from
 * @param name its own name
 * @param type its signature
 * @param body what it does
 */
public record HostCall<H>(String module, String name, FunctionType type, Body<H> body) {
  /** What a call does. */
  @FunctionalInterface
  public interface Body<H> {
    /** @return the results as Chicory passes them; an empty array for none */
    long[] call(H host, GuestMemory memory, long[] arguments);
  }

  /** Parses {@code "iIi>i"}: i32 and i64 (in capitals) before the arrow, the result after it. */
  public static FunctionType signature(String text) {
    String[] parts = text.split(">", -1);
    return FunctionType.of(types(parts[0]), types(parts[1]));
  }

  private static List<ValType> types(String letters) {
    return Arrays.stream(letters.split("")).filter(s -> !s.isEmpty()).map(s -> s.equals("I") ? ValType.I64 : ValType.I32).toList();
  }
}
