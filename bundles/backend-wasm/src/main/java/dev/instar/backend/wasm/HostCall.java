package dev.instar.backend.wasm;

import com.dylibso.chicory.runtime.HostFunction;
import com.dylibso.chicory.wasm.types.FunctionType;
import com.dylibso.chicory.wasm.types.ValType;
import dev.instar.wasi.Preview1;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;

/**
 * A function that a module may import.
 *
 * @param module the name of the module that it is imported from
 * @param name its own name
 * @param type its signature
 * @param bind makes it for one guest
 */
record HostCall(String module, String name, FunctionType type, Function<Guest, HostFunction> bind) {
  /** What a call of ours does. */
  @FunctionalInterface
  interface Body {
    /** @return the results as Chicory passes them; an empty array for none */
    long[] call(Guest guest, long[] arguments);
  }

  /** A function of WASI. */
  static HostCall of(ChicoryImports.Typed function) {
    return new HostCall(Preview1.MODULE, function.name(), function.type(), guest -> function.bind(guest.wasi()));
  }

  static HostCall of(String module, String name, FunctionType type, Body body) {
    return new HostCall(module, name, type, guest -> new HostFunction(module, name, type, (instance, arguments) -> body.call(guest, arguments)));
  }

  /** Parses {@code "iIi>i"}: i32 and i64 (in capitals) before the arrow, the result after it. */
  static FunctionType signature(String text) {
    String[] parts = text.split(">", -1);
    return FunctionType.of(types(parts[0]), types(parts[1]));
  }

  private static List<ValType> types(String letters) {
    return Arrays.stream(letters.split("")).filter(s -> !s.isEmpty()).map(s -> s.equals("I") ? ValType.I64 : ValType.I32).toList();
  }
}
