package dev.instar.backend.wasm;

import com.dylibso.chicory.runtime.ChicoryInterruptedException;
import com.dylibso.chicory.runtime.Memory;
import com.dylibso.chicory.wasm.ChicoryException;
import com.dylibso.chicory.wasm.UninstantiableException;
import com.dylibso.chicory.wasm.Version;
import com.dylibso.chicory.wasm.WasmModule;
import com.dylibso.chicory.wasm.types.MemoryLimits;
import com.sun.management.OperatingSystemMXBean;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Threads;
import dev.instar.api.data.DataDirectory;
import dev.instar.api.function.Image;
import dev.instar.api.function.Limits;
import dev.instar.api.function.SnapshotPolicy;
import dev.instar.api.function.Variant;
import dev.instar.api.sandbox.BackendDescription;
import dev.instar.api.sandbox.PrepareRequest;
import dev.instar.api.sandbox.PreparedFunction;
import dev.instar.api.sandbox.Probe;
import dev.instar.api.sandbox.SandboxBackend;
import dev.instar.api.sandbox.StartContext.Room;
import dev.instar.api.snapshot.SnapshotKey;
import dev.instar.api.snapshot.SnapshotStore;
import dev.instar.backend.wasm.compile.Compilers;
import dev.instar.backend.wasm.compile.Launch;
import dev.instar.backend.wasm.memory.CowMemory;
import dev.instar.backend.wasm.memory.MemoryImage;
import dev.instar.backend.wasm.memory.MemoryPool;
import dev.instar.wasi.CallStopped;
import dev.instar.wasi.Clocks;
import dev.instar.wasi.FileQuota;
import dev.instar.wasi.LowerTree;
import dev.instar.wasi.ProcExit;
import dev.instar.wasi.WasiSettings;
import dev.instar.wasi.guest.Breaches;
import dev.instar.wasi.guest.MemoryBudget;
import dev.instar.wasi.guest.Refusal;
import dev.instar.wasi.guest.StateKey;
import dev.instar.wasi.guest.StoredState;
import dev.instar.wasi.guest.Uniqueness;
import dev.instar.wasi.writeback.WrittenState;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.apache.felix.hc.api.HealthCheck;
import org.apache.felix.hc.api.Result;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Deactivate;
import org.osgi.service.component.annotations.Modified;
import org.osgi.service.component.annotations.Reference;
import org.osgi.service.component.annotations.ReferenceCardinality;
import org.osgi.service.component.annotations.ReferencePolicy;
import org.osgi.service.component.annotations.ReferencePolicyOption;
import org.osgi.service.metatype.annotations.Designate;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Runs WebAssembly in this process. */
@Component(immediate = true, service = {SandboxBackend.class, HealthCheck.class}, configurationPid = "dev.instar.backend.wasm",
    property = HealthCheck.NAME + "=compiling processes")
@Designate(ocd = WasmConfig.class)
public final class WasmBackend implements SandboxBackend, HealthCheck {
  private static final Logger LOG = LoggerFactory.getLogger(WasmBackend.class);
  /** Goes up when what is compiled or cached changes its form. */
  private static final int FORMAT = 4;

  private static final long LEAST_MEMORY = 64L << 20;
  /** More than an image store lets through; a bound for the heap that they take. */
  private static final int FILES = 1_000_000;
  /** What a sandbox writes beyond this goes to disk. */
  private static final long FILE_BYTES_ON_HEAP = 2L << 20;

  /** A written state of so many bytes is read; a larger one is mapped, and most of it is never looked at. */
  private static final long SMALL_STATE = 1L << 20;

  /** What they keep is not charged to anybody: up to 512 KiB each. */
  private static final int IDLE_MEMORIES = 64;
  private static final int IDLE_MEMORIES_OF_A_FUNCTION = 2;

  private final SecureRandom random = new SecureRandom();
  private final Path scratch;
  private final CodeCache cache;
  private final ModuleCompiler compiler;
  private final MemoryBudget heap = MemoryBudget.ofHeap(Runtime.getRuntime().maxMemory() / 2);
  private final MemoryBudget memory = MemoryBudget.ofMachine("dev.instar.backend.wasm", 0);
  private final MemoryPool pool = new MemoryPool(IDLE_MEMORIES_OF_A_FUNCTION, IDLE_MEMORIES);
  private final Compilers compilers;
  private final Initialisations initialisations = new Initialisations();
  private final Set<WasmFunction> open = ConcurrentHashMap.newKeySet();
  /** Done before a guest runs. */
  private final CompletableFuture<Void> touched;
  private volatile boolean stopped;
  private volatile WasmConfig config;

  /** Where initialised functions outlive the node; it works without. */
  volatile SnapshotStore snapshots;
  private final AtomicLong storeChanges = new AtomicLong();

  /** For Declarative Services. */
  @Activate
  public WasmBackend(@Reference DataDirectory data, WasmConfig config) throws IOException {
    this(data, config, new Compilers(new Launch(data.scratch("compiler")), settings(config)));
  }

  /** @param compilers may be shared: {@link #close} leaves them alone */
  WasmBackend(DataDirectory data, WasmConfig config, Compilers compilers) throws IOException {
    this.config = config;
    this.compilers = compilers;
    this.scratch = data.scratch("sandboxes");
    this.cache = new CodeCache(data.area("code-cache"), describe().version() + "-jvm" + Runtime.version().feature() + "-" + FORMAT,
        config.code$_$cache$_$bytes());
    this.compiler = new ModuleCompiler(cache, compilers, heap);
    apply(config);
    // Beside the rest of the node's start, which has one thread: it was an eighth of that.
    touched = CompletableFuture.runAsync(() -> HostFunctions.touch(scratch), touch -> Threads.startPlatform("wasm-touch", touch));
  }

  @Modified
  void apply(WasmConfig changed) {
    config = changed;
    cache.limit(changed.code$_$cache$_$bytes());
    memory.limit(changed.guest$_$memory$_$bytes() > 0 ? changed.guest$_$memory$_$bytes() : defaultMemory());
    compilers.apply(settings(changed));
  }

  static Compilers.Settings settings(WasmConfig config) {
    return new Compilers.Settings(config.compile$_$threads(), Duration.ofSeconds(config.compile$_$seconds()), config.compile$_$memory$_$mib());
  }

  /** Whether modules can be compiled. Functions that are compiled run without. */
  @Override
  public Result execute() {
    return compilers.failure().map(why -> new Result(Result.Status.CRITICAL, "no compiling process can be started: " + why + "\n"
        + "Uploads fail until one can be: give the node's user more processes or the machine more memory, and see that " + Launch.java() + " can be run."))
        .orElseGet(() -> compilers.spareDied()
            ? new Result(Result.Status.WARN, "the process that waited has died\nThe next upload starts another. If this comes again, see the kernel's log for who ended it.")
            : new Result(Result.Status.OK, compilers.pids().size() + " processes wait or work"));
  }

  private static long defaultMemory() {
    // In a container, what the container may have.
    long machine = ((OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean()).getTotalMemorySize();
    return Math.max(LEAST_MEMORY, (machine - Runtime.getRuntime().maxMemory()) / 2);
  }

  @Deactivate
  void stop() {
    stopped = true;
    compilers.close();
    close();
  }

  @Reference(name = "snapshots", cardinality = ReferenceCardinality.OPTIONAL, policy = ReferencePolicy.DYNAMIC, policyOption = ReferencePolicyOption.GREEDY)
  void bindSnapshots(SnapshotStore store) {
    snapshots = store;
    storeChanged();
  }

  void unbindSnapshots(SnapshotStore store) {
    // Not when another has come in its place, which is bound first.
    if (snapshots == store) {
      snapshots = null;
      storeChanged();
    }
  }

  private void storeChanged() {
    storeChanges.incrementAndGet();
    open.forEach(WasmFunction::storeChanged);
  }

  /** Ends what runs, and closes what is open. */
  void close() {
    stopped = true;
    initialisations.close();
    open.forEach(WasmFunction::close);
    pool.close();
  }

  /** Bytes that guests use now. */
  long guestMemory() {
    return heap.used() + memory.used();
  }

  @Override
  public BackendDescription describe() {
    return new BackendDescription("wasm", "WebAssembly in this process, compiled to JVM bytecode by Chicory", Set.of(Variant.WASM),
        BackendDescription.Shape.IN_PROCESS, BackendDescription.Isolation.SOFTWARE, true, "chicory-" + Version.version());
  }

  @Override
  public Probe probe() {
    for (Path needed : List.of(Launch.java(), Path.of("/bin/sh"))) {
      if (!Files.isExecutable(needed)) {
        return new Probe.Missing(needed + ", which starts the process that compiles modules", "run the node on a whole JDK " + Runtime.version().feature()
            + ", on Linux");
      }
    }
    return new Probe.Usable("Chicory " + Version.version() + ", compiling to bytecode of Java " + Runtime.version().feature());
  }

  @Override
  public PreparedFunction prepare(PrepareRequest request) throws InterruptedException {
    try {
      touched.join();
      WasmFunction made = make(request);
      if (stopped) {
        made.close();
        throw stopping();
      }
      return made;
    } catch (InterruptedException e) {
      if (stopped) {
        throw stopping();
      }
      throw e;
    } catch (RuntimeException | Error e) {
      throw Failures.of(e);
    }
  }

  private static InstarException stopping() {
    return new InstarException(ErrorCode.NOT_READY, "backend-wasm is stopping. Try again in a moment.");
  }

  private WasmFunction make(PrepareRequest request) throws InterruptedException {
    Image image = request.image();
    Bounds bounds = bounds();
    byte[] bytes;
    Optional<LowerTree> files;
    try {
      long size = Files.size(image.program());
      if (size > bounds.moduleBytes()) {
        throw Refusal.of("module", "The module has " + size + " bytes; " + bounds.moduleBytes() + " are allowed (module-bytes).");
      }
      bytes = Files.readAllBytes(image.program());
      files = image.rootfs().isPresent() ? Optional.of(LowerTree.scan(image.rootfs().get(), FILES)) : Optional.empty();
    } catch (IOException e) {
      LOG.error("The image {} cannot be read", image.digest(), e);
      throw new InstarException(ErrorCode.INTERNAL, "The image " + image.digest() + " cannot be read.");
    }
    ModuleScan.Figures figures = ModuleScan.scan(bytes, bounds);
    ModuleCompiler.Compiled compiled = compiler.compile(request.version().name().user(), bytes, figures, request.deadline(), request.room());
    try {
      return make(request, bounds, files, compiled);
    } catch (Throwable e) {
      heap.give(compiled.heapBytes());
      throw e;
    }
  }

  private WasmFunction make(PrepareRequest request, Bounds bounds, Optional<LowerTree> files, ModuleCompiler.Compiled compiled)
      throws InterruptedException {
    WasmModule module = compiled.module();
    HostFunctions imports = HostFunctions.of(module);
    Entry.checkExports(module);
    Entry entry = Entry.of(module);
    Optional<Initialiser> reseed = Initialiser.reseed(module);
    MemoryLimits declared = module.memorySection().map(m -> m.getMemory(0).limits()).orElse(new MemoryLimits(0, 0));
    Limits limits = request.version().spec().limits();
    // An address is an int here.
    long limit = Math.min(limits.memoryBytes(), (long) Memory.RUNTIME_MAX_PAGES * Memory.PAGE_SIZE);
    int allowed = (int) (limit / Memory.PAGE_SIZE);
    if (declared.initialPages() > allowed) {
      throw Refusal.of("memory", "the memory begins with " + (long) declared.initialPages() * Memory.PAGE_SIZE + " bytes; the function's limit is "
          + limit + ". Raise the limit or build the module with less.");
    }
    int maximum = Math.min(declared.maximumPages(), allowed);
    long fileBytes = Math.min(config.file$_$bytes(), limits.fileBytes());
    var wasi = new WasiSettings(List.of(request.version().name().function()), new TreeMap<>(request.version().spec().environment()), files, scratch,
        new FileQuota(limits.openFiles(), limits.madeFiles(), fileBytes, Math.min(fileBytes, FILE_BYTES_ON_HEAP)), heap, Clocks.system(), random);
    int tableElements = Math.min(bounds.tableElements(), limits.tableElements());
    var allowance = new Guest.Allowance(limit, declared.maximumPages() > allowed, tableElements);
    var settings = new Snapshot.Settings(wasi, allowance, compiled.interpreted() > 0, new Guest.Budgets(heap, memory));
    SnapshotKey key = StateKey.of(request.image().digest(), entry.export(), maximum, tableElements, wasi,
        reseed.map(exported -> request.version().name().user()));
    StoredState stored = new StoredState("wasm", () -> offered(request), key, request.version());
    List<String> ran = new ArrayList<>();
    List<String> drew = new ArrayList<>();
    long seen = storeChanges.get();
    Optional<Snapshot> restored = stored.restore(layer -> Snapshot.restore(compiled, imports, entry, maximum,
        readWritten(layer.blob(StateKey.MODULE), tableElements), layer::read, layer.layer().memoryBytes(), pool, settings, request.room()));
    Snapshot snapshot = restored.isPresent() ? restored.get() : initialised(request, compiled, imports, entry,
        () -> zeros(declared.initialPages(), maximum), settings, ran, drew);
    snapshot.inexpressible().ifPresent(stored::never);
    boolean anew = snapshot.isUninitialised();
    Map<String, String> description = new LinkedHashMap<>();
    description.put("entry", entry.description());
    description.put("reset", "each call has an instance of its own, made from the state " + (anew ? "before" : "after")
        + " initialisation: memory, globals, tables, descriptors, files");
    description.put("initialised", restored.isPresent() ? "from the snapshot"
        : ran.isEmpty() ? "nothing to run" : (anew ? "anew for each call, by " : "once, by ") + String.join(", ", ran));
    Uniqueness.describe(drew, reseed.isPresent()).ifPresent(how -> description.put("uniqueness", how));
    description.put("memory", snapshot.end() + " bytes to begin with, up to " + maximum * (long) Memory.PAGE_SIZE);
    description.put("memoryBytes", Long.toString(limit));
    description.put("tableElements", Integer.toString(tableElements));
    description.put("fileBytes", Long.toString(fileBytes));
    description.put("limits", "memory, tables, openFiles, fileBytes, madeFiles");
    description.put("imports", imports.names());
    description.put("code", compiled.compiled() + " functions compiled, " + compiled.interpreted() + " interpreted"
        + (compiled.cached() ? ", from the cache" : ""));
    description.put("files", files.isPresent()
        ? "rootfs at /, a private view, writable up to " + fileBytes + " bytes, of which up to "
        + wasi.quota().heapBytes() + " in memory" : "none");
    var origin = new WasmFunction.Origin(compiled.digest(), request.image().program(), Set.copyOf(ran), bounds);
    WasmFunction function = new WasmFunction(snapshot, entry, description, stored, origin, closed -> {
      open.remove(closed);
      heap.give(compiled.heapBytes());
    });
    open.add(function);
    // Then storeChanged() may not have seen it.
    if (storeChanges.get() != seen) {
      function.storeChanged();
    }
    return function;
  }

  /**
   * The state that instances begin with.
   *
   * @param ran what was run to initialise the function
   * @param drew what that has taken that is another each time
   */
  private Snapshot initialised(PrepareRequest request, ModuleCompiler.Compiled compiled, HostFunctions imports, Entry entry, Supplier<CowMemory> zeros,
      Snapshot.Settings settings, List<String> ran, List<String> drew) throws InterruptedException {
    Guest guest = initialisations.run(() -> initialise(compiled, imports, entry, zeros.get(), settings, ran, request.room()),
        initialisation(request), ". Do less before the first call (initialise-seconds is this node's bound, and the function's time-out).");
    try {
      drew.addAll(Uniqueness.drawn(guest.wasi()));
      if (drew.isEmpty() || Initialiser.reseed(compiled.module()).isPresent()) {
        return Snapshot.of(guest, compiled, imports, entry, pool, settings);
      }
    } finally {
      guest.release();
    }
    return Snapshot.uninitialised(compiled, imports, entry, zeros.get(), pool, settings, request.room());
  }

  private Optional<SnapshotStore> offered(PrepareRequest request) {
    return request.version().spec().snapshot() instanceof SnapshotPolicy.Never ? Optional.empty() : Optional.ofNullable(snapshots);
  }

  /** Mapped, because what it has of the memory is not read. */
  private static WrittenState readWritten(Path module, int tableElements) throws IOException {
    if (Files.size(module) <= SMALL_STATE) {
      return WrittenState.read(ByteBuffer.wrap(Files.readAllBytes(module)), tableElements);
    }
    try (FileChannel file = FileChannel.open(module); Arena arena = Arena.ofConfined()) {
      return WrittenState.read(file.map(FileChannel.MapMode.READ_ONLY, 0, file.size(), arena).asByteBuffer(), tableElements);
    }
  }

  private static CowMemory zeros(int initial, int maximum) {
    try (MemoryImage image = MemoryImage.zeros(new MemoryLimits(initial, maximum))) {
      return image.open();
    }
  }

  private Bounds bounds() {
    WasmConfig now = config;
    return new Bounds(now.module$_$bytes(), now.code$_$bytes(), now.functions(), now.function$_$bytes(), now.table$_$elements());
  }

  /** How long it may be initialised: by the node's bound, as long as a call, and as long as somebody waits. */
  private Duration initialisation(PrepareRequest request) {
    return Stream.of(Duration.ofSeconds(config.initialise$_$seconds()), request.version().spec().limits().timeout(),
        Duration.between(Instant.now(), request.deadline())).min(Duration::compareTo).orElseThrow();
  }

  /** An instance after its initialisation. What the module does wrong here is a fault of the module. */
  private Guest initialise(ModuleCompiler.Compiled compiled, HostFunctions imports, Entry entry, CowMemory first, Snapshot.Settings settings,
      List<String> ran, Room room) throws InterruptedException {
    Guest guest = Snapshot.blank(compiled, first, settings, room);
    String running = "start section";
    boolean instantiated = false;
    try {
      Snapshot.instantiate(guest, compiled, imports, settings);
      instantiated = true;
      if (compiled.module().startSection().isPresent()) {
        ran.add("the start function");
      }
      for (Initialiser one : Initialiser.exported(compiled.module(), entry)) {
        running = one.name();
        int status = initialiser(guest, one);
        if (status != 0) {
          throw Refusal.of("module", running + " reported the failure " + status + ".");
        }
        ran.add(running);
      }
      return guest;
    } catch (Throwable e) {
      if (instantiated) {
        guest.release();
      }
      if (Thread.interrupted() || e instanceof ChicoryInterruptedException
          || e instanceof CallStopped && e.getCause() instanceof InterruptedException) {
        throw new InterruptedException();
      }
      throw initialisation(e, running, !instantiated, guest);
    }
  }

  private static int initialiser(Guest guest, Initialiser one) {
    guest.enter();
    try {
      return one.run(guest);
    } finally {
      guest.leave();
    }
  }

  private static RuntimeException initialisation(Throwable e, String running, boolean instantiating, Guest guest) {
    return switch (e) {
      case InstarException i -> i;
      case ProcExit exit -> ended(ErrorCode.FUNCTION_FAILED, "The initialisation (" + running + ") ended with the status " + exit.code() + ".", "", guest);
      // Where the start function does it, this has a cause.
      case UninstantiableException u when u.getCause() == null && String.valueOf(u.getMessage()).startsWith("out of bounds memory access") ->
          Refusal.of("data", "a segment does not fit into the memory that the module begins with.");
      case ChicoryException c when instantiating && String.valueOf(c.getMessage()).contains("out of bounds table") ->
          Refusal.of("element", "a segment does not fit into its table.");
      default -> Failures.trap(e).<RuntimeException>map(trap -> ended(Failures.code(trap), "The initialisation (" + running + ") trapped: " + trap + ".", trap,
          guest)).orElseGet(() -> Failures.of(e));
    };
  }

  /** The limit that it died of, as a call tells it; else the fault is the module's. */
  private static InstarException ended(ErrorCode code, String detail, String trap, Guest guest) {
    InstarException told = Breaches.of(new InstarException(code, detail, Map.of("trap", trap)), guest.breach());
    return switch (told.code()) {
      case FUNCTION_FAILED, FUNCTION_TRAPPED -> Refusal.of("module", detail);
      default -> told;
    };
  }
}
