package dev.instar.backend.wasm.memory;

import com.dylibso.chicory.compiler.MachineFactoryCompiler;
import com.dylibso.chicory.runtime.ImportFunction;
import com.dylibso.chicory.runtime.ImportValues;
import com.dylibso.chicory.runtime.Instance;
import com.dylibso.chicory.runtime.Machine;
import com.dylibso.chicory.runtime.Memory;
import com.dylibso.chicory.wasm.Parser;
import com.dylibso.chicory.wasm.WasmModule;
import com.dylibso.chicory.wasm.types.FunctionImport;
import com.dylibso.chicory.wasm.types.Import;
import com.dylibso.chicory.wasm.types.MemoryLimits;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.function.Function;

/** An example function of the convention in examples/include/faasm.h, compiled; its imports do nothing. */
final class Example {
  /** Where the host puts what it hands to exec: behind the pages that the module asks for. */
  private static final int HOST_PAGES = 4;

  final WasmModule module;
  final Function<Instance, Machine> machine;

  private Example(WasmModule module) {
    this.module = module;
    machine = MachineFactoryCompiler.compile(module);
  }

  static Example named(String name) {
    Path here = Path.of("").toAbsolutePath();
    while (!Files.isDirectory(here.resolve("examples"))) {
      here = here.getParent();
    }
    return new Example(Parser.parse(here.resolve("examples").resolve(name).resolve("function.wasm").toFile()));
  }

  MemoryLimits limits() {
    MemoryLimits limits = module.memorySection().orElseThrow().getMemory(0).limits();
    return new MemoryLimits(limits.initialPages() + HOST_PAGES, limits.maximumPages());
  }

  Instance.Builder builder(Function<MemoryLimits, Memory> memory) {
    var imports = ImportValues.builder();
    for (int i = 0; i < module.importSection().importCount(); i++) {
      Import declared = module.importSection().getImport(i);
      var type = module.typeSection().getType(((FunctionImport) declared).typeIndex());
      imports.addFunction(new ImportFunction(declared.module(), declared.name(), type, (instance, arguments) -> new long[type.returns().size()]));
    }
    return Instance.builder(module).withImportValues(imports.build()).withMachineFactory(machine).withMemoryLimits(limits())
        .withMemoryFactory(memory).withStart(false);
  }

  /** An instance that has run its initialisation. */
  Instance initialized(Function<MemoryLimits, Memory> memory) {
    Instance instance = builder(memory).build();
    instance.export("_initialize").apply();
    return instance;
  }

  /** The image of the memory after the initialisation. */
  MemoryImage image(Path scratch) {
    try (var zeros = MemoryImage.zeros(limits()); CowMemory memory = zeros.open()) {
      initialized(limits -> memory);
      return MemoryImage.capture(memory, scratch);
    }
  }

  byte[] call(Instance instance, byte[] input) {
    Memory memory = instance.memory();
    int struct = (memory.pages() - HOST_PAGES) * Memory.PAGE_SIZE;
    if (input.length > 65_000) {
      throw new IllegalArgumentException("at most 65000 bytes of input");
    }
    int in = struct + 64;
    int out = struct + Memory.PAGE_SIZE;
    memory.writeI32(struct, in);
    memory.writeI32(struct + 4, out);
    memory.writeI32(struct + 8, struct + 2 * Memory.PAGE_SIZE);
    memory.writeI32(struct + 12, struct + 3 * Memory.PAGE_SIZE);
    memory.writeI32(struct + 16, 0);
    memory.writeI32(struct + 20, input.length);
    memory.writeI32(struct + 24, -1);
    memory.writeI32(struct + 28, Memory.PAGE_SIZE);
    memory.write(in, input, 0, input.length);
    long[] code = instance.export("exec").apply(struct);
    if (code[0] != 0) {
      throw new IllegalStateException("exec ended with " + Arrays.toString(code));
    }
    return memory.readBytes(out, memory.readInt(struct + 24));
  }
}
