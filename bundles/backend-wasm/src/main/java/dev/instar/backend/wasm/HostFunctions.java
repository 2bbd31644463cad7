package dev.instar.backend.wasm;

import com.dylibso.chicory.runtime.ImportFunction;
import com.dylibso.chicory.runtime.ImportValues;
import com.dylibso.chicory.runtime.Instance;
import com.dylibso.chicory.wasm.Parser;
import com.dylibso.chicory.wasm.WasmModule;
import com.dylibso.chicory.wasm.types.FunctionImport;
import com.dylibso.chicory.wasm.types.FunctionType;
import com.dylibso.chicory.wasm.types.MemoryLimits;
import com.dylibso.chicory.wasm.types.ValType;
import dev.instar.api.sandbox.StartContext.Room;
import dev.instar.backend.wasm.memory.CowMemory;
import dev.instar.backend.wasm.memory.MemoryImage;
import dev.instar.wasi.Clocks;
import dev.instar.wasi.FileQuota;
import dev.instar.wasi.LowerTree;
import dev.instar.wasi.Preview1;
import dev.instar.wasi.Wasi;
import dev.instar.wasi.WasiSettings;
import dev.instar.wasi.guest.MemoryBudget;
import dev.instar.wasi.guest.Refusal;
import java.nio.file.Path;
import java.security.SecureRandom;
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
record HostFunctions(List<HostCall> calls) {
  private static final Logger LOG = LoggerFactory.getLogger(HostFunctions.class);
  private static final Map<String, HostCall> OFFERED = offered();
  /** (module (memory 1)) */
  private static final byte[] ONE_PAGE = {0, 'a', 's', 'm', 1, 0, 0, 0, 5, 3, 1, 0, 1};

  private static Map<String, HostCall> offered() {
    Map<String, HostCall> all = new HashMap<>();
    ChicoryImports.functions().forEach(function -> add(all, HostCall.of(function)));
    add(all, HostCall.of("env", "__faasm_read_input", HostCall.signature("ii>i"),
        (guest, a) -> new long[] {guest.readInput((int) a[0], (int) a[1])}));
    add(all, HostCall.of("env", "__faasm_write_output", HostCall.signature("ii>"), (guest, a) -> {
      guest.writeOutput((int) a[0], (int) a[1]);
      return new long[0];
    }));
    return Map.copyOf(all);
  }

  private static void add(Map<String, HostCall> all, HostCall call) {
    all.put(call.module() + '\0' + call.name(), call);
  }

  /** @throws dev.instar.api.InstarException MODULE_REFUSED naming the import that is not offered */
  static HostFunctions of(WasmModule module) {
    Map<String, HostCall> found = new LinkedHashMap<>();
    for (int i = 0; i < module.importSection().importCount(); i++) {
      // The scan has let nothing but functions pass.
      FunctionImport wanted = (FunctionImport) module.importSection().getImport(i);
      String name = Refusal.shown(wanted.module()) + "." + Refusal.shown(wanted.name());
      if (wanted.typeIndex() < 0 || wanted.typeIndex() >= module.typeSection().subTypeCount()) {
        throw Refusal.of("import", "the function " + name + " has a type that does not exist.");
      }
      HostCall call = OFFERED.get(wanted.module() + '\0' + wanted.name());
      if (call == null) {
        throw Refusal.of("import", "the function " + name + " is not offered; those of " + Preview1.MODULE
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
   * Makes each call, with arguments that come to nothing, and each kind of access to a memory, so that their classes are there before a guest
   * can make them with hardly any stack left: a class whose initialisation a stack overflow ends is lost for the whole node.
   *
   * @param scratch where WASI may keep files
   */
  static void touch(Path scratch) {
    MemoryBudget budget = MemoryBudget.ofHeap(1 << 20);
    var settings = new WasiSettings(List.of(), Map.of(), Optional.of(LowerTree.empty()), scratch, FileQuota.DEFAULT, budget, Clocks.system(),
        new SecureRandom());
    for (HostCall call : OFFERED.values()) {
      Guest guest = new Guest(memory(), new Wasi(settings), new Guest.Budgets(budget, budget), 0, new Guest.Allowance(0, false, 0),
          Room.NONE, 0);
      Instance instance = Instance.builder(Parser.parse(ONE_PAGE)).withMemoryFactory(limits -> guest.memory()).build();
      long[] arguments = new long[call.type().params().size()];
      // The root of the files, where a call takes a descriptor; and what is no pointer.
      for (int value : new int[] {3, -1}) {
        Arrays.fill(arguments, value);
        try {
          call.bind().apply(guest).handle().apply(instance, arguments);
        } catch (RuntimeException e) {
          LOG.trace("{} came to nothing, as meant", call.name(), e);
        }
      }
      guest.release();
    }
    try (CowMemory memory = memory()) {
      touch(memory);
    }
  }

  private static void touch(CowMemory memory) {
    memory.grow(1);
    memory.writeByte(0, memory.read(0));
    memory.writeShort(0, memory.readShort(0));
    memory.writeI32(0, memory.readInt(0));
    memory.writeLong(0, memory.readLong(0));
    memory.writeF32(0, memory.readFloat(0));
    memory.writeF64(0, memory.readDouble(0));
    memory.fill((byte) 1, 0, 8);
    memory.copy(8, 0, 8);
    memory.write(0, memory.readBytes(0, 8));
    memory.atomicAddInt(0, memory.atomicReadInt(0));
    memory.atomicAddLong(0, memory.atomicReadLong(0));
    memory.atomicAddByte(0, memory.atomicReadByte(0));
    try {
      memory.readInt(-1);
    } catch (RuntimeException e) {
      LOG.trace("There is nothing, as meant", e);
    }
    memory.reset();
  }

  private static CowMemory memory() {
    try (MemoryImage image = MemoryImage.zeros(new MemoryLimits(1, 2))) {
      return image.open();
    }
  }

  /** The imports of one instance. */
  ImportValues bind(Guest guest) {
    List<ImportFunction> functions = new ArrayList<>(calls.size());
    for (HostCall call : calls) {
      functions.add(call.bind().apply(guest));
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
