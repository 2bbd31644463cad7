package dev.instar.backend.wasm;

import com.dylibso.chicory.runtime.HostFunction;
import com.dylibso.chicory.runtime.ImportFunction;
import com.dylibso.chicory.runtime.ImportValues;
import com.dylibso.chicory.wasm.WasmModule;
import com.dylibso.chicory.wasm.types.FunctionImport;
import com.dylibso.chicory.wasm.types.FunctionType;
import com.dylibso.chicory.wasm.types.ValType;
import dev.instar.backend.wasm.wasi.FileImage;
import dev.instar.backend.wasm.wasi.HostCall;
import dev.instar.backend.wasm.wasi.Wasi;
import dev.instar.backend.wasm.wasi.WasiCalls;
import dev.instar.backend.wasm.wasi.WasiImage;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The functions that a module imports, found among those that are offered.
 *
 * @param calls in the order of the module's imports, each once
 */
record HostFunctions(List<HostCall<Guest>> calls) {
  private static final Logger LOG = LoggerFactory.getLogger(HostFunctions.class);
  private static final Map<String, HostCall<Guest>> OFFERED = offered();

  private static Map<String, HostCall<Guest>> offered() {
    Map<String, HostCall<Guest>> all = new HashMap<>();
    for (HostCall<Wasi> call : WasiCalls.ALL) {
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
    Map<String, HostCall<Guest>> found = new LinkedHashMap<>();
    for (int i = 0; i < module.importSection().importCount(); i++) {
      // The scan has let nothing but functions pass.
      FunctionImport wanted = (FunctionImport) module.importSection().getImport(i);
      String name = Refusal.shown(wanted.module()) + "." + Refusal.shown(wanted.name());
      if (wanted.typeIndex() < 0 || wanted.typeIndex() >= module.typeSection().subTypeCount()) {
        throw Refusal.of("import", "the function " + name + " has a type that does not exist.");
      }
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

  /**
   * Makes each call once, with arguments that come to nothing, so that its classes are there before a guest can make it with hardly any
   * stack left: a class whose initialisation a stack overflow ends is lost for the whole node.
   */
  static void touch() {
    var budget = new MemoryBudget(1 << 20);
    var files = WasiImage.of(Optional.of(FileImage.empty()));
    for (HostCall<Guest> call : OFFERED.values()) {
      Guest guest = new Guest(new LinearMemory(1, 1, budget), new Wasi(files, List.of(), List.of(), budget, 1 << 20), budget, 0, 0);
      long[] arguments = new long[call.type().params().size()];
      // The root of the files, where a call takes a descriptor.
      Arrays.fill(arguments, 3);
      try {
        call.body().call(guest, guest.memory(), arguments);
      } catch (RuntimeException e) {
        LOG.trace("{} came to nothing, as meant", call.name(), e);
      }
      guest.release();
    }
  }

  /** The imports of one instance. */
  ImportValues bind(Guest guest) {
    List<ImportFunction> functions = new ArrayList<>(calls.size());
    for (HostCall<Guest> call : calls) {
      functions.add(new HostFunction(call.module(), call.name(), call.type(),
          (instance, arguments) -> call.body().call(guest, guest.memory(), arguments)));
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

  private static String letter(ValType type) {
    return type.toString().toLowerCase(Locale.ROOT);
  }
}
