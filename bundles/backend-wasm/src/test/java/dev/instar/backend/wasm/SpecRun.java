package dev.instar.backend.wasm;

import com.dylibso.chicory.runtime.GlobalInstance;
import com.dylibso.chicory.runtime.HostFunction;
import com.dylibso.chicory.runtime.ImportGlobal;
import com.dylibso.chicory.runtime.ImportMemory;
import com.dylibso.chicory.runtime.ImportTable;
import com.dylibso.chicory.runtime.Instance;
import com.dylibso.chicory.runtime.Memory;
import com.dylibso.chicory.runtime.Store;
import com.dylibso.chicory.wasm.UnlinkableException;
import com.dylibso.chicory.wasm.WasmModule;
import com.dylibso.chicory.wasm.types.Export;
import com.dylibso.chicory.wasm.types.FunctionImport;
import com.dylibso.chicory.wasm.types.FunctionType;
import com.dylibso.chicory.wasm.types.MemoryLimits;
import com.dylibso.chicory.wasm.types.MutabilityType;
import com.dylibso.chicory.wasm.types.Table;
import com.dylibso.chicory.wasm.types.TableLimits;
import com.dylibso.chicory.wasm.types.ValType;
import com.dylibso.chicory.wasm.types.Value;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.sandbox.StartContext;
import dev.instar.backend.wasm.memory.CowMemory;
import dev.instar.backend.wasm.memory.MemoryImage;
import dev.instar.backend.wasm.memory.MemoryPool;
import dev.instar.wasi.Clocks;
import dev.instar.wasi.FileQuota;
import dev.instar.wasi.WasiSettings;
import dev.instar.wasi.guest.MemoryBudget;
import dev.instar.wasi.writeback.ModuleState;
import dev.instar.wasi.writeback.Outcome;
import dev.instar.wasi.writeback.WholeModule;
import dev.instar.wasi.writeback.WrittenState;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.IntStream;

/**
 * Runs one file of the core specification tests through what a function goes through: scan, compiler, code cache, snapshot, copy-on-write memory,
 * bounded tables.
 *
 * <p>A module that a node would take is run as it is instantiated; and, after a reset, from its snapshot, after a {@linkplain SpecState#soil canary}
 * and a reset, and once more, command by command, after all of that and another reset; from the module that its state was
 * written back to; and from a snapshot that was made of that module and its memory apart. Modules that a node refuses, because they share something but functions of the host or have several memories, have our memory and
 * tables but no snapshot.
 */
final class SpecRun implements AutoCloseable {
  /** Why a node refuses a module that is valid. Anything else is a failure. */
  private static final List<String> NOT_OFFERED =
      List.of("cannot be imported; only functions can", "names a second memory", "memories; 1 are allowed");
  private static final Map<String, HostCall> PRINTS = new HashMap<>();

  static {
    for (String print : List.of("print >", "print_i32 i>", "print_i64 I>", "print_f32 f>", "print_f64 F>", "print_i32_f32 if>",
        "print_f64_f64 FF>")) {
      String[] parts = print.split(" ");
      PRINTS.put(parts[0], HostCall.of("spectest", parts[0], signature(parts[1]), (guest, arguments) -> new long[0]));
    }
  }

  private final SpecScript script;
  private final Way way;
  private final ModuleCompiler compiler;
  private final Bounds bounds;
  private final WasiSettings wasi;
  private final MemoryBudget heap = MemoryBudget.ofHeap(1L << 30);
  private final MemoryBudget memory = MemoryBudget.ofMachine("dev.instar.backend.wasm", 1L << 40);
  private final MemoryPool pool = new MemoryPool(1, 8);
  private final Store store = new Store();
  private final List<CowMemory> opened = new ArrayList<>();
  private final Map<String, Made> named = new HashMap<>();
  private final List<Made> made = new ArrayList<>();
  private final Map<Integer, String> failures = new TreeMap<>();
  private int commands;
  private int text;
  private int replayed;
  private int reset;
  private int written;
  private int restored;

  /** What a module's commands are run on. */
  enum Way {
    AT_FIRST,
    AFTER_RESET,
    WRITTEN_BACK,
    RESTORED
  }

  /** An instance, and of those that a node would make what is needed to make it again. */
  private static final class Made {
    private Instance instance;
    private Optional<Guest> guest = Optional.empty();
    private Optional<Snapshot> snapshot = Optional.empty();
    private Optional<SpecState> fresh = Optional.empty();
    private final List<SpecScript.Command> commands = new ArrayList<>();
  }

  SpecRun(SpecScript script, Way way, ModuleCompiler compiler, Bounds bounds, Path scratch) {
    this.script = script;
    this.way = way;
    this.compiler = compiler;
    this.bounds = bounds;
    wasi = new WasiSettings(List.of(), Map.of(), Optional.empty(), scratch, FileQuota.DEFAULT, heap, Clocks.system(), new SecureRandom());
    PRINTS.values().forEach(
        print -> store.addFunction(new HostFunction(print.module(), print.name(), print.type(), (instance, arguments) -> new long[0])));
    global("global_i32", ValType.I32, 666);
    global("global_i64", ValType.I64, 666);
    global("global_f32", ValType.F32, Value.floatToLong(666.6f));
    global("global_f64", ValType.F64, Value.doubleToLong(666.6));
    store.addMemory(new ImportMemory("spectest", "memory", zeros(new MemoryLimits(1, 2))));
    Table table = new Table(ValType.FuncRef, new TableLimits(10, 20));
    store.addTable(new ImportTable("spectest", "table", new BoundedTable(table, 10, Value.REF_NULL_VALUE, count -> true)));
  }

  /**
   * What was done.
   *
   * @param commands how many ran
   * @param text how many are about the text format only and did not
   * @param replayed how many ran again after a reset
   * @param reset modules that ran from a snapshot and after a reset
   * @param written modules that ran after they were written back
   * @param restored modules that ran from files, and after a reset
   */
  record Figures(int commands, int text, int replayed, int reset, int written, int restored) {
    static final Figures NONE = new Figures(0, 0, 0, 0, 0, 0);

    Figures plus(Figures more) {
      return new Figures(commands + more.commands, text + more.text, replayed + more.replayed, reset + more.reset, written + more.written,
          restored + more.restored);
    }
  }

  Figures figures() {
    return new Figures(commands, text, replayed, reset, written, restored);
  }

  /** By line. */
  Map<Integer, String> failures() {
    return failures;
  }

  private static FunctionType signature(String text) {
    List<ValType> types = text.chars().filter(c -> c != '>').mapToObj(c -> switch (c) {
      case 'i' -> ValType.I32;
      case 'I' -> ValType.I64;
      case 'f' -> ValType.F32;
      default -> ValType.F64;
    }).toList();
    return FunctionType.of(types, List.of());
  }

  private void global(String name, ValType type, long bits) {
    store.addGlobal(new ImportGlobal("spectest", name, new GlobalInstance(bits, 0, type, MutabilityType.Const)));
  }

  private CowMemory zeros(MemoryLimits limits) {
    try (MemoryImage image = MemoryImage.zeros(limits)) {
      CowMemory zeros = image.open();
      opened.add(zeros);
      return zeros;
    }
  }

  void run() {
    for (SpecScript.Command command : script.commands()) {
      try {
        run(command);
      } catch (Throwable e) {
        fail(command.line(), e);
      }
    }
    if (way == Way.AFTER_RESET) {
      made.stream().filter(m -> m.snapshot.isPresent()).forEach(this::replay);
    }
  }

  private void fail(int line, Throwable e) {
    String what = e instanceof InstarException i ? i.problem().toString() : e.toString();
    failures.merge(line, what.lines().findFirst().orElse(""), (one, other) -> one);
  }

  private void run(SpecScript.Command command) throws Exception {
    if (command instanceof SpecScript.TextOnly) {
      text++;
      return;
    }
    commands++;
    switch (command) {
      case SpecScript.Module m -> {
        Made next = new Made();
        // First, so that what refers to a module that could not be made fails and does not meet the one before it.
        made.add(next);
        m.name().ifPresent(name -> named.put(name, next));
        instantiate(Files.readAllBytes(m.file()), next, script.isRegistered(m));
      }
      case SpecScript.Register r -> {
        store.register(r.as(), made(r.name()).instance);
      }
      case SpecScript.Returns r -> onInstance(r, r.action());
      case SpecScript.Traps t -> onInstance(t, t.action());
      case SpecScript.Exhausts e -> onInstance(e, e.action());
      case SpecScript.Refused r -> refused(r);
      case SpecScript.Unlinkable u -> unlinkable(u);
      case SpecScript.Uninstantiable u -> uninstantiable(u);
      case SpecScript.TextOnly _ -> throw new AssertionError(command);
    }
  }

  private Made made(Optional<String> name) {
    return name.map(named::get).orElseGet(made::getLast);
  }

  private void onInstance(SpecScript.Command command, SpecScript.Action action) {
    Made target = made(action.module());
    target.commands.add(command);
    check(command, target);
  }

  private void check(SpecScript.Command command, Made target) {
    if (target.instance == null) {
      throw new AssertionError("its module could not be instantiated");
    }
    switch (command) {
      case SpecScript.Returns r -> {
        long[] results = act(target, r.action());
        r.expected().ifPresent(expected -> {
          boolean same = results.length == expected.size() && IntStream.range(0, results.length).allMatch(i -> expected.get(i).matches(results[i]));
          if (!same) {
            throw new AssertionError(r.action().field() + r.action().arguments() + " gave " + IntStream.range(0, results.length)
                .mapToObj(i -> Long.toUnsignedString(results[i])).toList() + " instead of " + expected);
          }
        });
      }
      case SpecScript.Traps t -> trapped(t.text(), () -> act(target, t.action()));
      case SpecScript.Exhausts e -> trapped("call stack exhausted", () -> act(target, e.action()));
      default -> throw new AssertionError(command);
    }
  }

  private static long[] act(Made target, SpecScript.Action action) {
    if (!action.call()) {
      return new long[] {target.instance.exports().global(action.field()).getValue()};
    }
    target.guest.ifPresent(Guest::enter);
    try {
      long[] results = target.instance.export(action.field()).apply(action.arguments().stream().mapToLong(SpecValue::bits).toArray());
      return results == null ? new long[0] : results;
    } finally {
      target.guest.ifPresent(Guest::leave);
    }
  }

  /** What may go wrong. */
  private interface Attempt {
    void run() throws Exception;
  }

  private static void trapped(String text, Attempt attempt) {
    String how;
    try {
      attempt.run();
      how = "did not trap";
    } catch (Throwable e) {
      Optional<String> trap = Failures.trap(e);
      if (trap.isPresent() && (text.startsWith(trap.get()) || trap.get().startsWith(text))) {
        return;
      }
      how = "ended with " + trap.map(t -> "the trap '" + t + "' by ").orElse("") + e;
    }
    throw new AssertionError(how + " instead of the trap '" + text + "'");
  }

  /** What a node does with the bytes of a module before it knows how it is called. */
  private ModuleCompiler.Compiled accept(byte[] bytes) throws InterruptedException {
    ModuleCompiler.Compiled compiled = compiler.compile("spec", bytes, ModuleScan.scan(bytes, bounds), soon(), StartContext.Room.NONE);
    Entry.checkExports(compiled.module());
    return compiled;
  }

  /** Without the scan's own limits, for what the specification knows and a node does not offer. */
  private ModuleCompiler.Compiled acceptMore(byte[] bytes) throws InterruptedException {
    int functions = ModuleCompiler.parse(bytes).codeSection().functionBodyCount();
    return compiler.compile("spec", bytes, new ModuleScan.Figures(functions, bytes.length), soon(), StartContext.Room.NONE);
  }

  private static Instant soon() {
    return Instant.now().plusSeconds(120);
  }

  private void refused(SpecScript.Refused command) throws Exception {
    try {
      accept(Files.readAllBytes(command.file()));
    } catch (InstarException e) {
      if (e.problem().code() != ErrorCode.MODULE_REFUSED) {
        throw e;
      }
      return;
    }
    throw new AssertionError("was accepted, in spite of: " + command.text());
  }

  private void unlinkable(SpecScript.Unlinkable command) throws Exception {
    try {
      instantiate(Files.readAllBytes(command.file()), new Made(), false);
    } catch (UnlinkableException e) {
      return;
    }
    throw new AssertionError("was linked, in spite of: " + command.text());
  }

  private void uninstantiable(SpecScript.Uninstantiable command) {
    trapped(command.text(), () -> instantiate(Files.readAllBytes(command.file()), new Made(), false));
  }

  /** @param shared whether others import from it */
  private void instantiate(byte[] bytes, Made target, boolean shared) throws InterruptedException {
    ModuleCompiler.Compiled compiled;
    try {
      compiled = accept(bytes);
    } catch (InstarException e) {
      if (NOT_OFFERED.stream().noneMatch(e.problem().detail()::contains)) {
        throw e;
      }
      linked(acceptMore(bytes), target);
      return;
    }
    Optional<HostFunctions> prints = prints(compiled.module());
    if (prints.isEmpty() || shared) {
      linked(compiled, target);
      return;
    }
    alone(bytes, compiled, prints.get(), target);
  }

  /** The imports of a module that imports nothing but what prints, each once. */
  private static Optional<HostFunctions> prints(WasmModule module) {
    Map<String, HostCall> found = new LinkedHashMap<>();
    for (int i = 0; i < module.importSection().importCount(); i++) {
      FunctionImport wanted = (FunctionImport) module.importSection().getImport(i);
      HostCall print = PRINTS.get(wanted.name());
      if (print == null || !wanted.module().equals("spectest") || !module.typeSection().getType(wanted.typeIndex()).equals(print.type())) {
        return Optional.empty();
      }
      found.put(print.name(), print);
    }
    return Optional.of(new HostFunctions(List.copyOf(found.values())));
  }

  private void linked(ModuleCompiler.Compiled compiled, Made target) {
    target.instance = Instance.builder(compiled.module())
        .withMachineFactory(compiled.machines())
        .withImportValues(store.toImportValues())
        .withMemoryFactory(this::zeros)
        .withTableFactory((table, value) -> new BoundedTable(table, (int) table.limits().min(), value, count -> true))
        .build();
  }

  private void alone(byte[] bytes, ModuleCompiler.Compiled compiled, HostFunctions prints, Made target) throws InterruptedException {
    WasmModule module = compiled.module();
    var settings = new Snapshot.Settings(wasi, new Guest.Allowance(Long.MAX_VALUE, false, bounds.tableElements()), compiled.interpreted() > 0, new Guest.Budgets(heap, memory));
    MemoryLimits limits = module.memorySection().map(m -> m.getMemory(0).limits()).orElse(new MemoryLimits(0, 0));
    Guest first = Snapshot.instantiate(Snapshot.blank(compiled, zeros(limits), settings, StartContext.Room.NONE), compiled, prints, settings);
    target.fresh = Optional.of(SpecState.of(first));
    if (way == Way.AT_FIRST) {
      take(target, first);
      return;
    }
    if (way == Way.WRITTEN_BACK) {
      writtenBack(bytes, snapshot(first, compiled, prints, settings), prints, target, settings);
      return;
    }
    Snapshot snapshot = snapshot(first, compiled, prints, settings);
    if (way == Way.RESTORED) {
      snapshot = restored(bytes, snapshot, compiled, prints, (int) limits.maximumPages(), settings);
      restored++;
    }
    target.snapshot = Optional.of(snapshot);
    Guest guest = snapshot.start(StartContext.Room.NONE);
    take(target, guest);
    Guest neighbour = snapshot.start(StartContext.Room.NONE);
    SpecState.soil(guest);
    compare("beside a guest that has written everything", target, neighbour);
    neighbour.release();
    // A place in the pool that another has soiled.
    Guest last = snapshot.start(StartContext.Room.NONE);
    SpecState.soil(last);
    last.release();
    Guest next = snapshot.start(StartContext.Room.NONE);
    compare("in the place of one that has written everything", target, next);
    next.release();
    take(target, snapshot.restart(guest, StartContext.Room.NONE));
    compare("after a reset", target, target.guest.get());
    reset++;
  }

  private Snapshot snapshot(Guest first, ModuleCompiler.Compiled compiled, HostFunctions prints, Snapshot.Settings settings) {
    try {
      return Snapshot.of(first, compiled, prints, exports(compiled.module()), (int) first.memory().bytes(), pool, settings);
    } finally {
      first.release();
    }
  }

  private static List<Export> exports(WasmModule module) {
    return IntStream.range(0, module.exportSection().exportCount()).mapToObj(module.exportSection()::getExport).toList();
  }

  /** From its memory and the module that it is written back to. */
  private Snapshot restored(byte[] bytes, Snapshot snapshot, ModuleCompiler.Compiled compiled, HostFunctions prints, int maximum,
      Snapshot.Settings settings) {
    try (MemoryImage.Content content = snapshot.content()) {
      byte[] memory = new byte[content.bytes().limit()];
      content.bytes().get(memory);
      WrittenState written = WrittenState.read(ByteBuffer.wrap(writeBack(bytes, snapshot)), Integer.MAX_VALUE);
      return Snapshot.restore(compiled, prints, exports(compiled.module()), 0, Math.min(maximum, Memory.RUNTIME_MAX_PAGES), written,
          (offset, into) -> into.put(memory, (int) offset, into.remaining()), memory.length, pool, settings, StartContext.Room.NONE);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } finally {
      snapshot.release();
    }
  }

  private void writtenBack(byte[] bytes, Snapshot snapshot, HostFunctions prints, Made target, Snapshot.Settings settings) throws InterruptedException {
    byte[] module;
    try {
      module = writeBack(bytes, snapshot);
    } finally {
      snapshot.release();
    }
    ModuleCompiler.Compiled compiled = accept(module);
    if (compiled.module().startSection().isPresent()) {
      throw new AssertionError("the module that was written back has a start section");
    }
    MemoryLimits limits = compiled.module().memorySection().map(m -> m.getMemory(0).limits()).orElse(new MemoryLimits(0, 0));
    Guest guest = Snapshot.instantiate(Snapshot.blank(compiled, zeros(limits), settings, StartContext.Room.NONE), compiled, prints, settings);
    take(target, guest);
    SpecState fresh = target.fresh.orElseThrow();
    SpecState.of(guest).withSegmentsOf(fresh).difference(fresh).ifPresent(difference -> {
      throw new AssertionError("written back " + difference);
    });
    Guest other = Snapshot.instantiate(Snapshot.blank(compiled, zeros(limits), settings, StartContext.Room.NONE), compiled, prints, settings);
    Snapshot again = snapshot(other, compiled, prints, settings);
    try {
      if (!Arrays.equals(module, writeBack(module, again))) {
        throw new AssertionError("what was written back is written back differently");
      }
    } finally {
      again.release();
    }
    written++;
  }

  private byte[] writeBack(byte[] bytes, Snapshot snapshot) {
    try (MemoryImage.Content content = snapshot.content()) {
      return switch (snapshot.writeBack(bytes, content, Set.of(), bounds)) {
        case Outcome.Written w -> WholeModule.of(w.module(), Optional.of(linear(content)), Bounds.SEGMENTS, bounds.moduleBytes());
        case Outcome.Inexpressible i -> throw new AssertionError(i.toString());
      };
    }
  }

  private static ModuleState.Linear linear(MemoryImage.Content content) {
    ByteBuffer bytes = content.bytes();
    return new ModuleState.Linear() {
      @Override
      public int pages() {
        return (bytes.limit() + ModuleState.PAGE - 1) / ModuleState.PAGE;
      }

      @Override
      public byte[] read(int address, int length) {
        byte[] copy = new byte[length];
        bytes.get(address, copy, 0, Math.min(length, bytes.limit() - address));
        return copy;
      }
    };
  }

  private static void take(Made target, Guest guest) {
    target.guest = Optional.of(guest);
    target.instance = guest.instance();
  }

  private static void compare(String when, Made target, Guest guest) {
    SpecState.of(guest).difference(target.fresh.orElseThrow()).ifPresent(difference -> {
      throw new AssertionError(when + " " + difference);
    });
  }

  /** The commands of one module again, after it has run them. */
  private void replay(Made target) {
    try {
      Guest guest = target.guest.orElseThrow();
      take(target, target.snapshot.orElseThrow().restart(guest, StartContext.Room.NONE));
      compare("after its commands and a reset", target, target.guest.get());
    } catch (Throwable e) {
      target.commands.stream().findFirst().ifPresentOrElse(command -> fail(command.line(), e), () -> fail(0, e));
      return;
    }
    for (SpecScript.Command command : target.commands) {
      replayed++;
      try {
        check(command, target);
      } catch (Throwable e) {
        fail(command.line(), e);
      }
    }
  }

  @Override
  public void close() {
    made.forEach(m -> {
      m.guest.ifPresent(Guest::release);
      m.snapshot.ifPresent(Snapshot::release);
    });
    pool.close();
    opened.forEach(CowMemory::close);
    if (heap.used() != 0 || memory.used() != 0) {
      failures.put(0, "what " + script.name() + " was charged for was not given back: " + heap.used() + " and " + memory.used() + " bytes");
    }
  }
}
