package dev.instar.backend.wasm;

import com.dylibso.chicory.runtime.Instance;
import com.dylibso.chicory.runtime.Machine;
import com.dylibso.chicory.runtime.Memory;
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
import com.dylibso.chicory.wasm.types.ValType;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.sandbox.StartContext.Room;
import dev.instar.backend.wasm.memory.CowMemory;
import dev.instar.backend.wasm.memory.MemoryImage;
import dev.instar.backend.wasm.memory.MemoryPool;
import dev.instar.wasi.Wasi;
import dev.instar.wasi.WasiSettings;
import dev.instar.wasi.WasiState;
import dev.instar.wasi.guest.FaasmCall;
import dev.instar.wasi.writeback.ModuleState;
import dev.instar.wasi.writeback.Outcome;
import dev.instar.wasi.writeback.Writeback;
import dev.instar.wasi.writeback.WrittenState;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.BitSet;
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
  private final State state;
  private final Optional<WasiState> wasi;
  private final Settings settings;
  private final List<Initialiser> first;

  /**
   * What an initialisation has made of all but memory and files.
   *
   * @param globals bits of each
   * @param tables references of each
   * @param leftElements element segments that have not been dropped
   * @param leftData data segments that have not been dropped
   */
  private record State(List<Long> globals, List<int[]> tables, BitSet leftElements, BitSet leftData) {
    static State of(Instance instance) {
      WasmModule module = instance.module();
      List<Long> globals = new ArrayList<>();
      for (int i = 0; i < module.globalSection().globalCount(); i++) {
        globals.add(instance.global(i).getValue());
      }
      List<int[]> tables = new ArrayList<>();
      for (int i = 0; i < module.tableSection().tableCount(); i++) {
        tables.add(((BoundedTable) instance.table(i)).references());
      }
      BitSet elements = new BitSet();
      for (int i = 0; i < module.elementSection().elementCount(); i++) {
        elements.set(i, instance.element(i) instanceof PassiveElement);
      }
      BitSet data = new BitSet();
      for (int i = 0; i < module.dataSection().dataSegmentCount(); i++) {
        data.set(i, instance.dataSegmentData(i).length > 0);
      }
      return new State(globals, tables, elements, data);
    }
  }

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
      State state, Optional<WasiState> wasi, Settings settings) {
    this.module = module;
    this.machines = machines;
    this.imports = imports;
    this.memory = memory;
    this.pool = pool;
    this.end = end;
    this.state = state;
    this.wasi = wasi;
    this.settings = settings;
    this.first = Initialiser.ofSnapshot(module);
  }

  /** A guest for {@link #instantiate}. */
  static Guest blank(ModuleCompiler.Compiled compiled, CowMemory memory, Settings settings, Room room) {
    return guest(compiled.module(), memory, new Wasi(settings.wasi()), (int) memory.bytes(), settings, room);
  }

  /** Makes it an instance of a module as it was compiled: its segments are copied and its start function is run. Where that fails it is released. */
  static Guest instantiate(Guest guest, ModuleCompiler.Compiled compiled, HostFunctions imports, Settings settings) {
    return instantiate(guest, compiled.module(), compiled.machines(), imports, settings);
  }

  private static Guest instantiate(Guest guest, WasmModule module, Function<Instance, Machine> machines, HostFunctions imports, Settings settings) {
    try {
      guest.enter();
      try {
        guest.run(builder(module, machines, imports, guest, settings)
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
      guest.memory().grow(FaasmCall.roomPages(guest.memory().pages(), guest.memory().maximumPages()));
    }
    return of(guest, compiled, imports, Entry.needed(compiled.module(), entry).values(), end, pool, settings);
  }

  /**
   * The state before anything of the module is run: its guests run all that initialises them, each for itself.
   *
   * @param memory as the module begins with it, without its segments
   */
  static Snapshot uninitialised(ModuleCompiler.Compiled compiled, HostFunctions imports, Entry entry, CowMemory memory, MemoryPool pool, Settings settings,
      Room room) {
    WasmModule module = compiled.module();
    List<Export> exported = new ArrayList<>(Entry.needed(module, entry).values());
    Initialiser.start(module).map(Initialiser::export).ifPresent(exported::add);
    Initialiser.exported(module, entry).stream().map(Initialiser::export).forEach(exported::add);
    Guest guest = instantiate(blank(compiled, memory, settings, room), withoutStart(module), compiled.machines(), imports, settings);
    try {
      // No room for calls: an initialiser that grows the memory expects it to go on where it ends.
      return of(guest, compiled, imports, exported, (int) guest.memory().bytes(), pool, settings);
    } finally {
      guest.release();
    }
  }

  private static WasmModule withoutStart(WasmModule module) {
    WasmModule.Builder builder = WasmModule.builder().withValidation(false)
        .setTypeSection(module.typeSection())
        .setImportSection(module.importSection())
        .setFunctionSection(module.functionSection())
        .setTableSection(module.tableSection())
        .setGlobalSection(module.globalSection())
        .setExportSection(module.exportSection())
        .setElementSection(module.elementSection())
        .setCodeSection(module.codeSection())
        .setDataSection(module.dataSection());
    module.memorySection().ifPresent(builder::setMemorySection);
    module.tagSection().ifPresent(builder::setTagSection);
    return builder.build();
  }

  /**
   * @param exported what its guests can be asked for by name
   * @param end where a module's own memory ends, and the room for calls begins
   */
  static Snapshot of(Guest guest, ModuleCompiler.Compiled compiled, HostFunctions imports, Collection<Export> exported, int end, MemoryPool pool,
      Settings settings) {
    State state = State.of(guest.instance());
    WasmModule module = initialised(compiled.module(), state, exported);
    Optional<WasiState> files = files(guest, settings);
    try {
      MemoryImage image = capture(guest, settings);
      return new Snapshot(module, compiled.machines(), imports, image, pool, end, state, files, settings);
    } catch (RuntimeException e) {
      settings.budgets().heap().give(files.map(WasiState::heapBytes).orElse(0L));
      throw e;
    }
  }

  /** A module that begins in a state, without what initialises it. */
  private static WasmModule initialised(WasmModule original, State state, Collection<Export> exported) {
    TableSection.Builder tableSection = TableSection.builder();
    for (int i = 0; i < original.tableSection().tableCount(); i++) {
      Table declared = original.tableSection().getTable(i);
      tableSection.addTable(new Table(declared.elementType(), new TableLimits(0, declared.limits().max())));
    }
    GlobalSection.Builder globals = GlobalSection.builder();
    for (int i = 0; i < original.globalSection().globalCount(); i++) {
      Global declared = original.globalSection().getGlobal(i);
      // Whatever the type, Chicory takes a constant's operand for the global's bits.
      globals.addGlobal(new Global(declared.valueType(), declared.mutabilityType(),
          List.of(new Instruction(-1, OpCode.I64_CONST, new long[] {state.globals().get(i)}))));
    }
    ElementSection.Builder elements = ElementSection.builder();
    for (int i = 0; i < original.elementSection().elementCount(); i++) {
      Element declared = original.elementSection().getElement(i);
      elements.addElement(state.leftElements().get(i) ? declared : new DeclarativeElement(declared.type(), List.of()));
    }
    DataSection.Builder data = DataSection.builder();
    for (int i = 0; i < original.dataSection().dataSegmentCount(); i++) {
      data.addDataSegment(state.leftData().get(i) ? original.dataSection().getDataSegment(i) : PassiveDataSegment.EMPTY);
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
    return module.build();
  }

  /**
   * The state that {@link #writeBack} has written, without anything being run or instantiated.
   *
   * @param maximumPages of the memory
   * @param written what the module that was written begins with
   * @param memory what it holds from the address 0 on
   * @param bytes how much of it
   * @param asked whom to ask for room when the budget is used up
   * @throws IllegalArgumentException when that cannot be the state of this module
   * @throws IOException when the memory cannot be read
   * @throws dev.instar.api.InstarException OUT_OF_MEMORY or NODE_BUSY when the node has no room for it
   */
  static Snapshot restore(ModuleCompiler.Compiled compiled, HostFunctions imports, Entry entry, int maximumPages, WrittenState written,
      MemoryImage.Source memory, long bytes, MemoryPool pool, Settings settings, Room asked) throws IOException {
    int room = entry == Entry.FAASM ? FaasmCall.roomPages((int) written.pages(), maximumPages) : 0;
    return restore(compiled, imports, Entry.needed(compiled.module(), entry).values(), room, maximumPages, written, memory, bytes, pool, settings,
        asked);
  }

  /**
   * @param exported what its guests can be asked for by name
   * @param room pages behind the module's own memory
   */
  static Snapshot restore(ModuleCompiler.Compiled compiled, HostFunctions imports, Collection<Export> exported, int room, int maximumPages,
      WrittenState written, MemoryImage.Source memory, long bytes, MemoryPool pool, Settings settings, Room asked) throws IOException {
    WasmModule module = compiled.module();
    State state = checked(module, written);
    int least = module.memorySection().map(m -> m.getMemory(0).limits().initialPages()).orElse(0);
    demand(written.pages() >= least && written.pages() <= maximumPages && bytes <= written.pages() * Memory.PAGE_SIZE, "memory");
    int pages = (int) written.pages();
    MemoryImage image = MemoryImage.of(memory, bytes, pages + room, maximumPages, settings.wasi().scratch());
    try {
      WasmModule begun = initialised(module, state, exported);
      settings.budgets().memory().demand(image.storedBytes(), 0, asked);
      return new Snapshot(begun, compiled.machines(), imports, image, pool, pages * Memory.PAGE_SIZE, state, Optional.empty(), settings);
    } catch (Throwable e) {
      image.close();
      throw e;
    }
  }

  /** Whoever has written it: nothing in it may lead an engine out of bounds. */
  private static State checked(WasmModule module, WrittenState written) {
    int functions = module.importSection().importCount() + module.functionSection().functionCount();
    demand(written.globals().size() == module.globalSection().globalCount(), "globals");
    List<Long> globals = new ArrayList<>();
    for (int i = 0; i < written.globals().size(); i++) {
      long bits = written.globals().get(i).low();
      ValType type = module.globalSection().getGlobal(i).valueType();
      demand(!type.isReference() || isReference(type, bits, functions), "references");
      globals.add(bits);
    }
    demand(written.tables().size() == module.tableSection().tableCount(), "tables");
    for (int i = 0; i < written.tables().size(); i++) {
      Table declared = module.tableSection().getTable(i);
      demand(written.tables().get(i).length <= declared.limits().max(), "elements in a table");
      for (int reference : written.tables().get(i)) {
        demand(isReference(declared.elementType(), reference, functions), "references");
      }
    }
    int elements = module.elementSection().elementCount();
    BitSet leftElements = written.leftElements().get(0, elements);
    demand(leftElements.stream().allMatch(i -> module.elementSection().getElement(i) instanceof PassiveElement), "element segments");
    BitSet leftData = written.leftData().get(0, module.dataSection().dataSegmentCount());
    demand(leftData.stream().allMatch(i -> module.dataSection().getDataSegment(i) instanceof PassiveDataSegment), "data segments");
    return new State(globals, written.tables(), leftElements, leftData);
  }

  private static boolean isReference(ValType type, long value, int functions) {
    return value == ModuleState.NULL || type.equals(ValType.FuncRef) && value >= 0 && value < functions;
  }

  private static void demand(boolean holds, String what) {
    if (!holds) {
      throw new IllegalArgumentException("it has other " + what + " than the function's module can have");
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
    guest.demandHeap(state.heapBytes());
    return Optional.of(state);
  }

  private static MemoryImage capture(Guest guest, Settings settings) {
    MemoryImage image = MemoryImage.capture(guest.memory(), settings.wasi().scratch());
    try {
      guest.demandMemory(image.storedBytes());
      return image;
    } catch (RuntimeException e) {
      image.close();
      throw e;
    }
  }

  /** Why it must not outlive the node, or cannot. */
  Optional<Outcome.Inexpressible> inexpressible() {
    return isUninitialised() ? Optional.of(Outcome.Inexpressible.DRAWN) : wasi.map(files -> Outcome.Inexpressible.FILES);
  }

  /** What the image has of the memory: it begins at the address 0, and zeros follow. To be open as long as something is read of {@link #writeBack}. */
  MemoryImage.Content content() {
    return memory.content();
  }

  /**
   * The state as a module of its own, whose memory has no room for calls.
   *
   * @param original the bytes that the function's module was read from
   * @param content what {@link #content} has given
   * @param ran exported functions that have initialised it
   */
  Outcome writeBack(byte[] original, MemoryImage.Content content, Set<String> ran, Bounds bounds) {
    Optional<Outcome.Inexpressible> never = inexpressible();
    if (never.isPresent()) {
      return never.get();
    }
    ByteBuffer bytes = content.bytes();
    var linear = new ModuleState.Linear() {
      @Override
      public int pages() {
        return end / Memory.PAGE_SIZE;
      }

      @Override
      public byte[] read(int address, int length) {
        byte[] copy = new byte[length];
        if (address < bytes.limit()) {
          bytes.get(address, copy, 0, Math.min(length, bytes.limit() - address));
        }
        return copy;
      }
    };
    var whole = new ModuleState(module.memorySection().map(section -> linear),
        state.globals().stream().map(low -> new ModuleState.Bits(low, 0)).toList(), state.tables(), state.leftData(), state.leftElements());
    return Writeback.write(original, whole, ran, new Writeback.Bounds(bounds.moduleBytes(), Bounds.SEGMENTS, Bounds.ELEMENT_ITEMS));
  }

  /** Whether each of its guests is initialised for itself. */
  boolean isUninitialised() {
    return first.stream().anyMatch(one -> !one.name().equals(Initialiser.RESEED));
  }

  /** What is to be run in a guest before its call, in order. */
  List<Initialiser> first() {
    return first;
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
            int[] references = state.tables().get(next[0]++);
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
