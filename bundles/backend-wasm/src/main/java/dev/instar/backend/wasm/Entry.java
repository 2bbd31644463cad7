package dev.instar.backend.wasm;

import com.dylibso.chicory.wasm.WasmModule;
import com.dylibso.chicory.wasm.types.Export;
import com.dylibso.chicory.wasm.types.ExternalType;
import com.dylibso.chicory.wasm.types.FunctionImport;
import com.dylibso.chicory.wasm.types.FunctionType;
import dev.instar.wasi.guest.Refusal;
import java.util.HashSet;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/** How a function is called: found by what its module exports. */
enum Entry {
  /** A WASI command: runs once, reads the body from standard input, writes the answer to standard output. */
  COMMAND("_start", HostCall.signature(">"), "WASI command: _start, body on standard input, answer on standard output"),
  /** A reactor of Faasm's first generation. */
  FAASM("exec", HostCall.signature("i>i"), "Faasm reactor: exec(struct FaasmMemory *)");

  private final String export;
  private final FunctionType type;
  private final String description;

  Entry(String export, FunctionType type, String description) {
    this.export = export;
    this.type = type;
    this.description = description;
  }

  /** The name of the exported function. */
  String export() {
    return export;
  }

  String description() {
    return description;
  }

  /** @throws dev.instar.api.InstarException MODULE_REFUSED when no convention fits */
  static Entry of(WasmModule module) {
    for (Entry entry : values()) {
      Optional<FunctionType> found = function(module, entry.export);
      if (found.isPresent()) {
        if (!found.get().equals(entry.type)) {
          throw Refusal.of("export", entry.export + " has the type " + HostFunctions.shown(found.get()) + "; it must be "
              + HostFunctions.shown(entry.type) + ".");
        }
        if (entry == FAASM && module.memorySection().isEmpty()) {
          throw Refusal.of("memory", "exec takes a pointer, so the module needs a memory.");
        }
        return entry;
      }
    }
    throw Refusal.of("export", "there is no entry. Export _start (a WASI command: build a program with main), or exec, taking a pointer to struct "
        + "FaasmMemory and returning an int (a reactor: see faasm.h in the examples).");
  }

  /** @throws dev.instar.api.InstarException MODULE_REFUSED when something is exported twice, or does not exist */
  static void checkExports(WasmModule module) {
    Set<String> names = new HashSet<>();
    for (int i = 0; i < module.exportSection().exportCount(); i++) {
      Export export = module.exportSection().getExport(i);
      if (!names.add(export.name())) {
        throw Refusal.of("export", Refusal.shown(export.name()) + " is exported twice.");
      }
      int there = switch (export.exportType()) {
        case FUNCTION -> module.importSection().importCount() + module.functionSection().functionCount();
        case TABLE -> module.tableSection().tableCount();
        case MEMORY -> module.memorySection().map(m -> m.memoryCount()).orElse(0);
        case GLOBAL -> module.globalSection().globalCount();
        case TAG -> module.tagSection().map(t -> t.tagCount()).orElse(0);
      };
      if (export.index() < 0 || export.index() >= there) {
        throw Refusal.of("export", Refusal.shown(export.name()) + " names the " + export.exportType().name().toLowerCase(Locale.ROOT) + " "
            + Integer.toUnsignedString(export.index()) + ", which does not exist.");
      }
    }
  }

  /** The type of an exported function. */
  static Optional<FunctionType> function(WasmModule module, String name) {
    for (int i = 0; i < module.exportSection().exportCount(); i++) {
      Export export = module.exportSection().getExport(i);
      if (export.name().equals(name) && export.exportType() == ExternalType.FUNCTION) {
        return type(module, export.index());
      }
    }
    return Optional.empty();
  }

  private static Optional<FunctionType> type(WasmModule module, int function) {
    int imports = module.importSection().importCount();
    int type = function < imports ? ((FunctionImport) module.importSection().getImport(function)).typeIndex()
        : module.functionSection().getFunctionType(function - imports);
    return Optional.of(module.typeSection().getType(type));
  }

  /** The exports that a running instance needs. */
  static Map<String, Export> needed(WasmModule module, Entry entry) {
    return IntStream.range(0, module.exportSection().exportCount()).mapToObj(module.exportSection()::getExport)
        .filter(e -> e.name().equals(entry.export) || e.name().equals(Initialiser.RESEED)).collect(Collectors.toMap(Export::name, e -> e));
  }
}
