package dev.instar.backend.wasm;

import com.dylibso.chicory.runtime.Instance;
import com.dylibso.chicory.runtime.Machine;
import com.dylibso.chicory.wasm.WasmModule;
import com.dylibso.chicory.wasm.types.DataSection;
import com.dylibso.chicory.wasm.types.DeclarativeElement;
import com.dylibso.chicory.wasm.types.Element;
import com.dylibso.chicory.wasm.types.ElementSection;
import com.dylibso.chicory.wasm.types.Export;
import com.dylibso.chicory.wasm.types.ExportSection;
import com.dylibso.chicory.wasm.types.Global;
import com.dylibso.chicory.wasm.types.GlobalSection;
import com.dylibso.chicory.wasm.types.Instruction;
import com.dylibso.chicory.wasm.types.OpCode;
import com.dylibso.chicory.wasm.types.PassiveDataSegment;
import com.dylibso.chicory.wasm.types.PassiveElement;
import com.dylibso.chicory.wasm.types.Table;
import com.dylibso.chicory.wasm.types.TableLimits;
import com.dylibso.chicory.wasm.types.TableSection;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.sandbox.StartContext.Room;
import dev.instar.backend.wasm.memory.CowMemory;
import dev.instar.backend.wasm.memory.MemoryImage;
import dev.instar.backend.wasm.memory.MemoryPool;
import dev.instar.backend.wasm.wasi.Wasi;
import dev.instar.backend.wasm.wasi.WasiSettings;
import dev.instar.backend.wasm.wasi.WasiState;
import dev.instar.backend.wasm.writeback.ModuleState;
import dev.instar.backend.wasm.writeback.Outcome;
import dev.instar.backend.wasm.writeback.Writeback;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;

/**
 * A module after its initialisation, from which instances start without running any of it again: a module whose globals begin with the values
 * they had, whose active segments and start function are gone, and beside it the images of memory, tables and files. (The idea of Wizer, with
 * the images kept apart so that they are shared.)
 */
final class Snapshot {
  private final WasmModule module;
  private final Function<Instance, Machine> machines;
  private final HostFunctions imports;
  private final MemoryImage memory;
  private final MemoryPool pool;
  private final int end;
  private final List<int[]> tables;
  private final Optional<WasiState> wasi;
  private final Settings settings;

  /**
   * What is the same for all instances of a function.
   *
   * @param wasi what it finds of WASI
   * @param allowance what an instance may have
   * @param interpreted whether some functions are interpreted
   * @param budgets what memory and tables are charged to
   */
  record Settings(WasiSettings wasi, Guest.Allowance allowance, boolean interpreted, Guest.Budgets budgets) {}

  private Snapshot(WasmModule module, Function<Instance, Machine> machines, HostFunctions imports, MemoryImage memory, MemoryPool pool, int end,
      List<int[]> tables, Optional<WasiState> wasi, Settings settings) {
    this.module = module;
    this.machines = machines;
    this.imports = imports;
    this.memory = memory;
    this.pool = pool;
    this.end = end;
    this.tables = tables;
    this.wasi = wasi;
    this.settings = settings;
  }

  /** A guest for {@link #instantiate}. */
  static Guest blank(ModuleCompiler.Compiled compiled, CowMemory memory, Settings settings, Room room) {
    return guest(compiled.module(), memory, new Wasi(settings.wasi()), (int) memory.bytes(), settings, room);
  }

  /** Makes it an instance of a module as it was compiled: its segments are copied and its start function is run. Where that fails it is released. */
  static Guest instantiate(Guest guest, ModuleCompiler.Compiled compiled, HostFunctions imports, Settings settings) {
    try {
      guest.enter();
      try {
        guest.run(builder(compiled.module(), compiled.machines(), imports, guest, settings)
            .withTableFactory((table, value) -> table(guest, table, (int) table.limits().min(), value))
            .build());
      } finally {
        guest.leave();
      }
      return guest;
    } catch (Throwable e) {
      guest.release();
      throw e;
    }
  }

  /** Closes memory and WASI when there is no room. */
  private static Guest guest(WasmModule module, CowMemory memory, Wasi wasi, int end, Settings settings, Room room) {
    // Chicory keeps three words for each function and an object for each global with the instance.
    long overhead = 4096 + 16L * module.functionSection().functionCount() + 48L * module.globalSection().globalCount();
    try {
      return new Guest(memory, wasi, settings.budgets(), end, settings.allowance(), room, overhead);
    } catch (Throwable e) {
      memory.close();
      wasi.close();
      throw e;
    }
  }

  private static BoundedTable table(Guest guest, Table declared, int size, int value) {
    guest.demandElements(size);
    return new BoundedTable(declared, size, value, guest::takeElements);
  }

  private static Instance.Builder builder(WasmModule module, Function<Instance, Machine> machines, HostFunctions imports, Guest guest,
      Settings settings) {
    Instance.Builder builder = Instance.builder(module)
        .withMachineFactory(machines)
        .withImportValues(imports.bind(guest))
        .withMemoryFactory(limits -> guest.memory())
        .withStart(false);
    return settings.interpreted() ? builder.withUnsafeExecutionListener(Guest.INTERRUPTIBLE) : builder;
  }

  /**
   * The state of a guest, which is of no use afterwards.
   *
   * @param pool where its guests have their memories from
   * @throws dev.instar.api.InstarException OUT_OF_MEMORY when the files that it has written cannot be kept
   */
  static Snapshot of(Guest guest, ModuleCompiler.Compiled compiled, HostFunctions imports, Entry entry, MemoryPool pool, Settings settings) {
    int end = (int) guest.memory().bytes();
    if (entry == Entry.FAASM) {
      FaasmCall.makeRoom(guest.memory());
    }
    return of(guest, compiled, imports, Entry.needed(compiled.module(), entry).values(), end, pool, settings);
  }

  /**
   * @param exported what its guests can be asked for by name
   * @param end where a module's own memory ends, and the room for calls begins
   */
  static Snapshot of(Guest guest, ModuleCompiler.Compiled compiled, HostFunctions imports, Collection<Export> exported, int end, MemoryPool pool,
      Settings settings) {
    WasmModule original = compiled.module();
    Instance instance = guest.instance();
    List<int[]> tables = new ArrayList<>();
    TableSection.Builder tableSection = TableSection.builder();
    for (int i = 0; i < original.tableSection().tableCount(); i++) {
      Table declared = original.tableSection().getTable(i);
      tables.add(((BoundedTable) instance.table(i)).references());
      tableSection.addTable(new Table(declared.elementType(), new TableLimits(0, declared.limits().max())));
    }
    GlobalSection.Builder globals = GlobalSection.builder();
    for (int i = 0; i < original.globalSection().globalCount(); i++) {
      Global declared = original.globalSection().getGlobal(i);
      // Whatever the type, Chicory takes a constant's operand for the global's bits.
      globals.addGlobal(new Global(declared.valueType(), declared.mutabilityType(),
          List.of(new Instruction(-1, OpCode.I64_CONST, new long[] {instance.global(i).getValue()}))));
    }
    ElementSection.Builder elements = ElementSection.builder();
    for (int i = 0; i < original.elementSection().elementCount(); i++) {
      Element left = instance.element(i);
      elements.addElement(left instanceof PassiveElement ? left : new DeclarativeElement(original.elementSection().getElement(i).type(), List.of()));
    }
    DataSection.Builder data = DataSection.builder();
    for (int i = 0; i < original.dataSection().dataSegmentCount(); i++) {
      byte[] left = instance.dataSegmentData(i);
      data.addDataSegment(left.length == 0 ? PassiveDataSegment.EMPTY : new PassiveDataSegment(left));
    }
    ExportSection.Builder exports = ExportSection.builder();
    exported.forEach(exports::addExport);
    WasmModule.Builder module = WasmModule.builder().withValidation(false)
        .setTypeSection(original.typeSection())
        .setImportSection(original.importSection())
        .setFunctionSection(original.functionSection())
        .setTableSection(tableSection.build())
        .setGlobalSection(globals.build())
        .setExportSection(exports.build())
        .setElementSection(elements.build())
        .setCodeSection(original.codeSection())
        .setDataSection(data.build());
    original.memorySection().ifPresent(module::setMemorySection);
    original.tagSection().ifPresent(module::setTagSection);
    Optional<WasiState> state = files(guest, settings);
    try {
      return new Snapshot(module.build(), compiled.machines(), imports, capture(guest, settings), pool, end, List.copyOf(tables), state, settings);
    } catch (RuntimeException e) {
      settings.budgets().heap().give(state.map(WasiState::heapBytes).orElse(0L));
      throw e;
    }
  }

  /** Empty when the files and descriptors are as they are without an initialisation. */
  private static Optional<WasiState> files(Guest guest, Settings settings) {
    Wasi wasi = guest.wasi();
    if (wasi.isPristine()) {
      return Optional.empty();
    }
    WasiState state = wasi.freeze(settings.wasi().quota().bytes()).orElseThrow(() -> new InstarException(ErrorCode.OUT_OF_MEMORY,
        "The files that the function's initialisation has written cannot be kept: they have more than "
            + settings.wasi().quota().bytes() + " bytes (file-bytes), or cannot be read."));
    settings.budgets().heap().demand(state.heapBytes(), guest.room());
    return Optional.of(state);
  }

  private static MemoryImage capture(Guest guest, Settings settings) {
    MemoryImage image = MemoryImage.capture(guest.memory(), settings.wasi().scratch());
    try {
      settings.budgets().memory().demand(image.storedBytes(), guest.room());
      return image;
    } catch (RuntimeException e) {
      image.close();
      throw e;
    }
  }

  /**
   * The state of a guest that does not run, as a module of its own. To be asked before {@link #of}, which makes room for calls in the memory.
   *
   * @param module the bytes that the guest's module was read from
   * @param ran exported functions that have initialised it
   */
  static Outcome writeBack(byte[] module, Guest guest, Set<String> ran, Bounds bounds) {
    if (!guest.wasi().isPristine()) {
      return new Outcome.Inexpressible(Outcome.Reason.FILES, "its initialisation has opened or written files, which no module can hold");
    }
    return Writeback.write(module, ModuleState.of(guest.instance()), ran,
        new Writeback.Bounds(bounds.moduleBytes(), Bounds.SEGMENTS, Bounds.ELEMENT_ITEMS));
  }

  /** A new guest in this state. */
  Guest start(Room room) {
    return start(room, pool.take(memory), wasi.map(state -> new Wasi(settings.wasi(), state)).orElseGet(() -> new Wasi(settings.wasi())));
  }

  /** A guest in this state, in the place of one that has ended. Where that fails, nothing is left of that one. */
  Guest restart(Guest ended, Room room) {
    try {
      ended.discharge();
      ended.wasi().reset();
      ended.memory().reset();
    } catch (Throwable e) {
      ended.release();
      throw e;
    }
    return start(room, ended.memory(), ended.wasi());
  }

  /** Of a memory and a WASI without a trace of an earlier guest, which it closes when it fails. */
  private Guest start(Room room, CowMemory own, Wasi found) {
    Guest guest = guest(module, own, found, end, settings, room);
    try {
      int[] next = {0};
      guest.run(builder(module, machines, imports, guest, settings)
          .withTableFactory((table, value) -> {
            int[] references = tables.get(next[0]++);
            BoundedTable restored = table(guest, table, references.length, value);
            restored.restore(references);
            return restored;
          })
          .build());
      return guest;
    } catch (Throwable e) {
      guest.release();
      throw e;
    }
  }

  HostFunctions imports() {
    return imports;
  }

  /** The size of the memory that an instance begins with, without the room for calls. */
  int end() {
    return end;
  }

  /** Gives back what the images take. */
  void release() {
    pool.retire(memory);
    settings.budgets().memory().give(memory.storedBytes());
    settings.budgets().heap().give(wasi.map(WasiState::heapBytes).orElse(0L));
  }
}
