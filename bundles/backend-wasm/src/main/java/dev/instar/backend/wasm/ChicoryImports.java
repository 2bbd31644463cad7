package dev.instar.backend.wasm;

import com.dylibso.chicory.runtime.HostFunction;
import com.dylibso.chicory.runtime.Instance;
import com.dylibso.chicory.runtime.Memory;
import com.dylibso.chicory.wasm.types.FunctionType;
import com.dylibso.chicory.wasm.types.ValType;
import dev.instar.backend.wasm.memory.ChicoryMemory;
import dev.instar.wasi.GuestMemory;
import dev.instar.wasi.GuestTrap;
import dev.instar.wasi.Preview1;
import dev.instar.wasi.Wasi;
import java.util.List;

/** Binds {@link Preview1} to Chicory. */
public final class ChicoryImports {
  private static final List<Typed> FUNCTIONS = Preview1.functions().stream().map(Typed::of).toList();

  private ChicoryImports() {}

  /**
   * A function with its signature.
   *
   * @param function what it does
   * @param type as Chicory knows it
   */
  public record Typed(Preview1.Function function, FunctionType type) {
    private static Typed of(Preview1.Function function) {
      List<ValType> parameters = function.parameters().chars().mapToObj(c -> c == 'i' ? ValType.I32 : ValType.I64).toList();
      return new Typed(function, FunctionType.of(parameters, function.returnsErrno() ? List.of(ValType.I32) : List.of()));
    }

    public String name() {
      return function.name();
    }

    /** The host function for the instances of one {@link Wasi}, which may be made one after the other. */
    public HostFunction bind(Wasi wasi) {
      if (!function.returnsErrno()) {
        return new HostFunction(Preview1.MODULE, name(), type, (instance, args) -> {
          function.call(wasi, memory(wasi, instance), args);
          return NOTHING;
        });
      }
      return new HostFunction(Preview1.MODULE, name(), type, (instance, args) -> wasi.result(function.call(wasi, memory(wasi, instance), args)));
    }
  }

  private static final long[] NOTHING = {};

  /** All of them, in the order of the table. */
  public static List<Typed> functions() {
    return FUNCTIONS;
  }

  /** All of them for one {@link Wasi}. */
  public static List<HostFunction> of(Wasi wasi) {
    return FUNCTIONS.stream().map(function -> function.bind(wasi)).toList();
  }

  private static GuestMemory memory(Wasi wasi, Instance instance) {
    Memory present = instance.memory();
    if (present == null) {
      throw new GuestTrap("a module without memory calls WASI");
    }
    if (wasi.memory().orElse(null) instanceof ChicoryMemory memory && memory.isOf(present)) {
      return memory;
    }
    ChicoryMemory memory = new ChicoryMemory(present);
    wasi.memory(memory);
    return memory;
  }
}
