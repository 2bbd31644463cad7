package dev.instar.backend.wasm;

import com.dylibso.chicory.wasm.WasmModule;
import com.dylibso.chicory.wasm.types.Export;
import com.dylibso.chicory.wasm.types.ExportSection;
import com.dylibso.chicory.wasm.types.ExternalType;
import com.dylibso.chicory.wasm.types.FunctionType;
import dev.instar.wasi.guest.Refusal;
import dev.instar.wasi.guest.Uniqueness;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * What is run in an instance before it serves a call: once, before the snapshot is taken; in each instance, where what it draws must not repeat; and what
 * makes unique what a snapshot would repeat.
 *
 * @param export a function under the name that people know it by: an export of the module, or of a snapshot of it
 */
record Initialiser(Export export) {
  /** Makes a new instance differ from others of the same snapshot. */
  static final String RESEED = Uniqueness.RESEED;

  private static final List<String> CONSTRUCTORS = List.of("_initialize", "__wasm_call_ctors");
  private static final String ZYGOTE = "_faasm_zygote";
  /** What a snapshot calls the start function. */
  private static final String START = "the start function";
  private static final FunctionType NOTHING = HostCall.signature(">");

  /** The start function, where a module has one: under a name that only a snapshot has. */
  static Optional<Initialiser> start(WasmModule module) {
    return module.startSection().map(start -> new Initialiser(new Export(START, (int) start.startIndex(), ExternalType.FUNCTION)));
  }

  /**
   * What a module exports to be initialised by, in the order in which it is run; after the start function.
   *
   * @throws dev.instar.api.InstarException MODULE_REFUSED when one has parameters
   */
  static List<Initialiser> exported(WasmModule module, Entry entry) {
    if (entry == Entry.COMMAND) {
      return List.of();
    }
    List<Initialiser> found = new ArrayList<>();
    CONSTRUCTORS.stream().flatMap(name -> function(module, name).stream()).findFirst().ifPresent(found::add);
    function(module, ZYGOTE).ifPresent(found::add);
    for (Initialiser one : found) {
      if (!Entry.function(module, one.name()).orElseThrow().params().isEmpty()) {
        throw Refusal.of("export", one.name() + " has parameters; it must have none.");
      }
    }
    return found;
  }

  /** @throws dev.instar.api.InstarException MODULE_REFUSED when it is no function, or has another type than {@code () -> ()} */
  static Optional<Initialiser> reseed(WasmModule module) {
    Optional<Export> found = exports(module).filter(e -> e.name().equals(RESEED)).findFirst();
    if (found.isPresent()) {
      Optional<FunctionType> type = Entry.function(module, RESEED);
      if (!type.equals(Optional.of(NOTHING))) {
        throw Refusal.of("export", RESEED + (type.isPresent() ? " has the type " + HostFunctions.shown(type.get()) : " is no function") + "; it must be a function "
            + HostFunctions.shown(NOTHING) + ".");
      }
    }
    return found.map(Initialiser::new);
  }

  /** What an instance of a snapshot's module is to run before its call, in order. */
  static List<Initialiser> ofSnapshot(WasmModule snapshot) {
    return Stream.concat(Stream.of(START), Stream.concat(CONSTRUCTORS.stream(), Stream.of(ZYGOTE, RESEED)))
        .flatMap(name -> function(snapshot, name).stream()).toList();
  }

  private static Optional<Initialiser> function(WasmModule module, String name) {
    return exports(module).filter(e -> e.name().equals(name) && e.exportType() == ExternalType.FUNCTION).findFirst().map(Initialiser::new);
  }

  private static Stream<Export> exports(WasmModule module) {
    ExportSection section = module.exportSection();
    return IntStream.range(0, section.exportCount()).mapToObj(section::getExport);
  }

  String name() {
    return export.name();
  }

  /** The status that it ends with; 0 is success. */
  int run(Guest guest) {
    long[] results = guest.call(name());
    return name().equals(ZYGOTE) && results != null && results.length > 0 ? (int) results[0] : 0;
  }
}
