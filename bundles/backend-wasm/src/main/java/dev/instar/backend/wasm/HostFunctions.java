package dev.instar.backend.wasm;

import com.dylibso.chicory.runtime.HostFunction;
import com.dylibso.chicory.runtime.ImportFunction;
import com.dylibso.chicory.runtime.ImportValues;
import com.dylibso.chicory.wasm.WasmModule;
import com.dylibso.chicory.wasm.types.FunctionImport;
import com.dylibso.chicory.wasm.types.FunctionType;
import dev.instar.backend.wasm.wasi.HostCall;
import dev.instar.backend.wasm.wasi.WasiCalls;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * The functions that a module imports, found among those that are offered.
 *
 * @param calls in the order of the module's imports, each once
 */
record HostFunctions(List<HostCall<Guest>> calls) {
  private static final Map<String, HostCall<Guest>> OFFERED = offered();

  private static Map<String, HostCall<Guest>> offered() {
    Map<String, HostCall<Guest>> all = new HashMap<>();
    for (HostCall<dev.instar.backend.wasm.wasi.Wasi> call : WasiCalls.ALL) {
      add(all, new HostCall<>(call.module(), call.name(), call.type(), (guest, memory, a) -> call.body().call(guest.wasi(), memory, a)));
    }
    add(all, new HostCall<>("env", "__faasm_read_input", HostCall.signature("ii>i"),
        (guest, memory, a) -> new long[] {guest.input().read(memory, (int) a[0], (int) a[1])}));
    add(all, new HostCall<>("env", "__faasm_write_output", HostCall.signature("ii>"), (guest, memory, a) -> {
      guest.writeOutput((int) a[0], (int) a[1]);
      return new long[0];
    }));
    return Map.copyOf(all);
  }

  private static void add(Map<String, HostCall<Guest>> all, HostCall<Guest> call) {
    all.put(call.module() + '\0' + call.name(), call);
  }

  /** @throws dev.instar.api.InstarException MODULE_REFUSED naming the import that is not offered */
  static HostFunctions of(WasmModule module) {
    Map<String, HostCall<Guest>> found = new java.util.LinkedHashMap<>();
    for (int i = 0; i < module.importSection().importCount(); i++) {
      // The scan has let nothing but functions pass.
      FunctionImport wanted = (FunctionImport) module.importSection().getImport(i);
      String name = Refusal.shown(wanted.module()) + "." + Refusal.shown(wanted.name());
      HostCall<Guest> call = OFFERED.get(wanted.module() + '\0' + wanted.name());
      if (call == null) {
        throw Refusal.of("import", "the function " + name + " is not offered; those of " + WasiCalls.MODULE
            + " (WASI preview 1) and env.__faasm_read_input and env.__faasm_write_output are.");
      }
      FunctionType type = module.typeSection().getType(wanted.typeIndex());
      if (!type.equals(call.type())) {
        throw Refusal.of("import", "the function " + name + " is imported with the type " + shown(type) + "; it has " + shown(call.type()) + ".");
      }
      found.put(call.module() + '\0' + call.name(), call);
    }
    if (!found.isEmpty() && module.memorySection().isEmpty()) {
      throw Refusal.of("memory", "the module has none, but the functions that it imports need one.");
    }
    return new HostFunctions(List.copyOf(found.values()));
  }

  /** The imports of one instance. */
  ImportValues bind(Guest guest) {
    List<ImportFunction> functions = new ArrayList<>(calls.size());
    for (HostCall<Guest> call : calls) {
      functions.add(new HostFunction(call.module(), call.name(), call.type(), (instance, arguments) -> call.body().call(guest, guest.memory(), arguments)));
    }
    return ImportValues.builder().withFunctions(functions).build();
  }

  /** The names, for people. */
  String names() {
    return calls.isEmpty() ? "none" : calls.stream().map(c -> c.module().equals("env") ? "env." + c.name() : c.name()).sorted()
        .collect(Collectors.joining(", "));
  }

  /** A type as the text format writes it. */
  static String shown(FunctionType type) {
    return "(" + type.params().stream().map(HostFunctions::letter).collect(Collectors.joining(", ")) + ") -> ("
        + type.returns().stream().map(HostFunctions::letter).collect(Collectors.joining(", ")) + ")";
  }

  private static String letter(com.dylibso.chicory.wasm.types.ValType type) {
    return type.toString().toLowerCase(java.util.Locale.ROOT);
  }
}
