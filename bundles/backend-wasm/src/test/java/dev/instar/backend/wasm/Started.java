package dev.instar.backend.wasm;

import com.dylibso.chicory.compiler.MachineFactoryCompiler;
import com.dylibso.chicory.runtime.ImportFunction;
import com.dylibso.chicory.runtime.ImportValues;
import com.dylibso.chicory.runtime.Instance;
import com.dylibso.chicory.wasm.Parser;
import com.dylibso.chicory.wasm.WasmModule;
import com.dylibso.chicory.wasm.types.FunctionImport;
import dev.instar.wasi.writeback.Outcome;
import dev.instar.wasi.writeback.WholeModule;
import dev.instar.wasi.writeback.Writeback;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;

/**
 * An instance as plain Chicory makes it, without anything of ours: what is written back must mean the same to any engine. Imported functions do
 * nothing.
 *
 * @param bytes of its module
 */
record Started(byte[] bytes, Instance instance) {
  static final Writeback.Bounds BOUNDS = new Writeback.Bounds(64L << 20, 100_000, 200_000);

  static Started of(byte[] bytes) {
    WasmModule module = Parser.parse(bytes);
    var imports = ImportValues.builder();
    module.importSection().stream().filter(FunctionImport.class::isInstance).map(FunctionImport.class::cast).forEach(declared -> {
      var type = module.typeSection().getType(declared.typeIndex());
      imports.addFunction(new ImportFunction(declared.module(), declared.name(), type, (instance, arguments) -> new long[type.returns().size()]));
    });
    return new Started(bytes, Instance.builder(module).withImportValues(imports.build()).withMachineFactory(MachineFactoryCompiler::compile)
        .withStart(false).build());
  }

  static Started wat(String text) {
    return of(Wat.compile(text));
  }

  long[] call(String export, long... arguments) {
    return instance.export(export).apply(arguments);
  }

  Outcome writeBack(Writeback.Bounds bounds, String... initialisers) {
    return Writeback.write(bytes, ChicoryState.of(instance), Set.of(initialisers), bounds);
  }

  byte[] written(String... initialisers) {
    return written(BOUNDS.segments(), initialisers);
  }

  /** @param segments the most for the memory */
  byte[] written(int segments, String... initialisers) {
    return switch (writeBack(BOUNDS, initialisers)) {
      case Outcome.Written w -> WholeModule.of(w.module(), ChicoryState.of(instance).memory(), segments, BOUNDS.bytes());
      case Outcome.Inexpressible i -> throw new AssertionError(i.toString());
    };
  }

  /** An instance of what is written back. */
  Started again(String... initialisers) {
    return of(written(initialisers));
  }

  Outcome.Reason refused(String... initialisers) {
    return switch (writeBack(BOUNDS, initialisers)) {
      case Outcome.Written w -> throw new AssertionError("was written back in " + w.module().length + " bytes");
      case Outcome.Inexpressible i -> {
        if (!i.detail().matches("[ -~]+[^.]")) {
          throw new AssertionError(i.detail());
        }
        yield i.reason();
      }
    };
  }

  byte[] memory() {
    return instance.memory().readBytes(0, (int) instance.memory().pages() << 16);
  }

  List<String> exports() {
    var section = instance.module().exportSection();
    return IntStream.range(0, section.exportCount()).mapToObj(i -> section.getExport(i).name()).toList();
  }
}
