package dev.instar.backend.wasmtime;

import dev.instar.api.wasmtime.HostFunction;
import dev.instar.wasi.Preview1;
import dev.instar.wasi.guest.Refusal;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/** The functions that modules may import. */
final class Imports {
  private static final Map<String, HostFunction> OFFERED = offered();

  private Imports() {}

  private static Map<String, HostFunction> offered() {
    List<HostFunction> all = new ArrayList<>();
    for (Preview1.Function function : Preview1.functions()) {
      all.add(new HostFunction(Preview1.MODULE, function.name(), function.parameters(), function.returnsErrno() ? "i" : "",
          (instance, host, arguments) -> ((Guest) host).wasi(instance, function, arguments)));
    }
    all.add(new HostFunction("env", "__faasm_read_input", "ii", "i",
        (instance, host, a) -> ((Guest) host).readInput(instance, (int) a[0], (int) a[1])));
    all.add(new HostFunction("env", "__faasm_write_output", "ii", "", (instance, host, a) -> {
      ((Guest) host).writeOutput(instance, (int) a[0], (int) a[1]);
      return 0;
    }));
    return all.stream().collect(Collectors.toMap(f -> key(f.module(), f.name()), f -> f, (a, b) -> a, LinkedHashMap::new));
  }

  private static String key(String module, String name) {
    return module + '\0' + name;
  }

  /** Those that a module imports. @throws dev.instar.api.InstarException MODULE_REFUSED naming the one that is not offered */
  static List<HostFunction> of(Outline module) {
    Map<String, HostFunction> found = new LinkedHashMap<>();
    for (Outline.Import wanted : module.imports()) {
      String name = Refusal.shown(wanted.module()) + "." + Refusal.shown(wanted.name());
      HostFunction function = OFFERED.get(key(wanted.module(), wanted.name()));
      if (function == null) {
        throw Refusal.of("import", "the function " + name + " is not offered; those of " + Preview1.MODULE
            + " (WASI preview 1) and env.__faasm_read_input and env.__faasm_write_output are.");
      }
      String type = function.parameters() + ">" + function.result();
      if (!type.equals(wanted.type())) {
        throw Refusal.of("import", "the function " + name + " is imported with the type " + Convention.shown(wanted.type()) + "; it has "
            + Convention.shown(type) + ".");
      }
      found.put(key(wanted.module(), wanted.name()), function);
    }
    if (!found.isEmpty() && module.memory().isEmpty()) {
      throw Refusal.of("memory", "the module has none, but the functions that it imports need one.");
    }
    if (module.memory().isPresent() && !module.memoryExported() && (!found.isEmpty() || module.functions().containsKey(Convention.FAASM.export()))) {
      throw Refusal.of("export", "the memory is not exported as 'memory', where WASI has it and this backend finds it.");
    }
    return List.copyOf(found.values());
  }

  /** The names, for people. */
  static String names(List<HostFunction> functions) {
    return functions.isEmpty() ? "none" : functions.stream().map(f -> f.module().equals("env") ? "env." + f.name() : f.name()).sorted()
        .collect(Collectors.joining(", "));
  }
}
