package dev.instar.backend.wasmtime;

import com.sun.management.OperatingSystemMXBean;
import dev.instar.api.Digest;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Threads;
import dev.instar.api.data.DataDirectory;
import dev.instar.api.function.Image;
import dev.instar.api.function.Limits;
import dev.instar.api.function.SnapshotPolicy;
import dev.instar.api.function.Variant;
import dev.instar.api.sandbox.BackendDescription;
import dev.instar.api.sandbox.GuestLog;
import dev.instar.api.sandbox.PrepareRequest;
import dev.instar.api.sandbox.PreparedFunction;
import dev.instar.api.sandbox.Probe;
import dev.instar.api.sandbox.SandboxBackend;
import dev.instar.api.snapshot.SnapshotKey;
import dev.instar.api.snapshot.SnapshotStore;
import dev.instar.api.wasmtime.HostFunction;
import dev.instar.api.wasmtime.Wasmtime;
import dev.instar.api.wasmtime.WasmtimeException;
import dev.instar.api.wasmtime.WasmtimeInstance;
import dev.instar.api.wasmtime.WasmtimeModule;
import dev.instar.wasi.Clocks;
import dev.instar.wasi.FileQuota;
import dev.instar.wasi.LowerTree;
import dev.instar.wasi.ProcExit;
import dev.instar.wasi.Wasi;
import dev.instar.wasi.WasiSettings;
import dev.instar.wasi.WasiState;
import dev.instar.wasi.guest.Breaches;
import dev.instar.wasi.guest.FaasmCall;
import dev.instar.wasi.guest.GuestFailures;
import dev.instar.wasi.guest.MemoryBudget;
import dev.instar.wasi.guest.Refusal;
import dev.instar.wasi.guest.StateKey;
import dev.instar.wasi.guest.StoredState;
import dev.instar.wasi.guest.Uniqueness;
import dev.instar.wasi.writeback.Exposed;
import dev.instar.wasi.writeback.Outcome;
import dev.instar.wasi.writeback.Rewindable;
import dev.instar.wasi.writeback.Sections;
import java.io.IOException;
import java.lang.management.ManagementFactory;
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
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BiFunction;
import java.util.function.Supplier;
import java.util.stream.Stream;
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

/** Runs WebAssembly as machine code in this process, where the wasmtime library is. */
@Component(immediate = true, service = SandboxBackend.class, configurationPid = "dev.instar.backend.wasmtime")
@Designate(ocd = WasmtimeConfig.class)
public final class WasmtimeBackend implements SandboxBackend {
  private static final Logger LOG = LoggerFactory.getLogger(WasmtimeBackend.class);
  private static final long PAGE = 64 << 10;
  /** Those of backend-wasm: a state that one has initialised fits the other. */
  private static final long MOST_PAGES = 32767;
  private static final long LEAST_MEMORY = 64L << 20;
  private static final int FILES = 1_000_000;
  private static final long FILE_BYTES_ON_HEAP = 2L << 20;
  private static final int TABLES = 4;
  /** What a table may grow to, whatever the configuration says later. */
  private static final int TABLE_ELEMENTS = 10_000_000;
  private static final long TO_END_MILLIS = 2000;

  private final Wasmtime library;
  private final SecureRandom random = new SecureRandom();
  private final Path scratch;
  private final CodeCache cache;
  private final Compiler compiler;
  private final MemoryBudget heap = MemoryBudget.ofHeap(Runtime.getRuntime().maxMemory() / 2);
  private final MemoryBudget memory = MemoryBudget.ofMachine("dev.instar.backend.wasmtime", 0);
  private final Set<WasmtimeFunction> open = ConcurrentHashMap.newKeySet();
  private volatile WasmtimeConfig config;
  /** Made when first needed; guarded by this object's lock. */
  private Optional<SharedEngine> engine = Optional.empty();
  private boolean stopped;

  /** Where initialised functions outlive a node, and an engine; it works without. */
  volatile SnapshotStore snapshots;
  private final AtomicLong storeChanges = new AtomicLong();

  /** For Declarative Services. */
  @Activate
  public WasmtimeBackend(@Reference DataDirectory data, @Reference Wasmtime library, WasmtimeConfig config) throws IOException {
    this.library = library;
    this.config = config;
    this.scratch = data.scratch("wasmtime-sandboxes");
    this.cache = new CodeCache(data.area("wasmtime-code"), version(), config.code$_$cache$_$bytes());
    this.compiler = new Compiler(library, settings(config));
    apply(config);
  }

  @Modified
  void apply(WasmtimeConfig changed) {
    config = changed;
    cache.limit(changed.code$_$cache$_$bytes());
    memory.limit(changed.guest$_$memory$_$bytes() > 0 ? changed.guest$_$memory$_$bytes() : defaultMemory());
    compiler.apply(settings(changed));
  }

  private static Compiler.Settings settings(WasmtimeConfig config) {
    return new Compiler.Settings(config.compile$_$threads(), Duration.ofSeconds(config.compile$_$seconds()), config.compile$_$memory$_$mib());
  }

  private static long defaultMemory() {
    long machine = ((OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean()).getTotalMemorySize();
    return Math.max(LEAST_MEMORY, (machine - Runtime.getRuntime().maxMemory()) / 2);
  }

  private String version() {
    return library.library() instanceof Wasmtime.Library.Loaded loaded ? loaded.version() : "none";
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
    open.forEach(WasmtimeFunction::storeChanged);
  }

  /** Ends what runs, and closes what is open. */
  @Deactivate
  void stop() {
    Optional<SharedEngine> last;
    synchronized (this) {
      stopped = true;
      last = engine;
      engine = Optional.empty();
    }
    compiler.close();
    open.forEach(WasmtimeFunction::close);
    last.ifPresent(SharedEngine::close);
  }

  /** Bytes that guests use now. */
  long guestMemory() {
    return heap.used() + memory.used();
  }

  @Override
  public BackendDescription describe() {
    return new BackendDescription("wasmtime", "WebAssembly in this process, compiled to machine code by wasmtime", Set.of(Variant.WASM),
        BackendDescription.Shape.IN_PROCESS, BackendDescription.Isolation.SOFTWARE, true, "wasmtime-" + version());
  }

  @Override
  public Probe probe() {
    return switch (library.library()) {
      case Wasmtime.Library.Loaded loaded -> new Probe.Usable("wasmtime " + loaded.version() + ", " + loaded.file());
      case Wasmtime.Library.Missing missing -> new Probe.Missing(missing.what(), missing.remedy());
    };
  }

  private synchronized SharedEngine engine() {
    if (stopped) {
      throw stopping();
    }
    if (engine.isEmpty()) {
      engine = Optional.of(new SharedEngine(library.engine(new Wasmtime.Settings(config.instances(), TABLES, TABLE_ELEMENTS))));
    }
    return engine.get();
  }

  private static InstarException stopping() {
    return new InstarException(ErrorCode.NOT_READY, "backend-wasmtime is stopping. Try again in a moment.");
  }

  @Override
  public PreparedFunction prepare(PrepareRequest request) throws InterruptedException {
    try {
      return make(request);
    } catch (InterruptedException e) {
      synchronized (this) {
        if (stopped) {
          throw stopping();
        }
      }
      throw e;
    } catch (RuntimeException | Error e) {
      throw Trapped.failure(e, GuestFailures.FUNCTION);
    }
  }

  private WasmtimeFunction make(PrepareRequest request) throws InterruptedException {
    WasmtimeConfig now = config;
    Image image = request.image();
    byte[] bytes;
    Optional<LowerTree> files;
    try {
      long size = Files.size(image.program());
      if (size > now.module$_$bytes()) {
        throw Refusal.of("module", "The module has " + size + " bytes; " + now.module$_$bytes() + " are allowed (module-bytes).");
      }
      bytes = Files.readAllBytes(image.program());
      files = image.rootfs().isPresent() ? Optional.of(LowerTree.scan(image.rootfs().get(), FILES)) : Optional.empty();
    } catch (IOException e) {
      LOG.error("The image {} cannot be read", image.digest(), e);
      throw new InstarException(ErrorCode.INTERNAL, "The image " + image.digest() + " cannot be read.");
    }
    Limits limits = request.version().spec().limits();
    Outline outline = Outline.of(bytes);
    Convention convention = Convention.of(outline);
    List<HostFunction> imports = Imports.of(outline);
    int elements = Math.min(now.table$_$elements(), limits.tableElements());
    Guest.Allowance allowance = allowance(outline, limits, elements);
    long fileBytes = Math.min(now.file$_$bytes(), limits.fileBytes());
    var wasi = new WasiSettings(List.of(request.version().name().function()), new TreeMap<>(request.version().spec().environment()), files, scratch,
        new FileQuota(limits.openFiles(), limits.madeFiles(), fileBytes, Math.min(fileBytes, FILE_BYTES_ON_HEAP)), heap, Clocks.system(), random);
    boolean reseeds = outline.functions().containsKey(Convention.RESEED);
    int maximum = (int) (Math.min(allowance.memoryBytes(), allowance.declaredBytes()) / PAGE);
    SnapshotKey key = StateKey.of(image.digest(), convention.export(), maximum, elements, wasi,
        reseeds ? Optional.of(request.version().name().user()) : Optional.empty());
    StoredState stored = new StoredState("wasmtime", () -> offered(request), key, request.version());
    var source = new Source(request, bytes, outline, convention, imports, wasi, allowance, maximum);
    long seen = storeChanges.get();
    Optional<Program> restored = stored.restore(layer -> restored(source, StoredState.module(layer, now.module$_$bytes())));
    try {
      Begun begun = restored.isPresent() ? new Begun(restored.get(), List.of(), List.of(), Optional.empty()) : initialised(source, stored);
      Map<String, String> description = new LinkedHashMap<>();
      boolean anew = begun.program().form().anew();
      description.put("entry", convention.description());
      description.put("reset", (begun.program().rewinds() ? "an instance serves one call after the other, each time brought back in place to the state "
          : "each call has an instance of its own, made from the state ") + (anew ? "before" : "after") + " initialisation: memory, globals, tables, descriptors, files");
      description.put("initialised", restored.isPresent() ? "from the snapshot" : begun.ran().isEmpty() ? "nothing to run"
          : (anew ? "anew for each call, by " : "once, by ") + String.join(", ", begun.ran()));
      Uniqueness.describe(begun.drew(), reseeds).ifPresent(how -> description.put("uniqueness", how));
      if (restored.isEmpty() && begun.ran().isEmpty()) {
        description.put("snapshot", "not needed: nothing is run before the first call");
      }
      description.put("memory", outline.memory().map(m -> m.minimum() * PAGE).orElse(0L) + " bytes to begin with, up to " + maximum * PAGE);
      description.put("memoryBytes", Long.toString(allowance.memoryBytes()));
      description.put("tableElements", Integer.toString(elements));
      description.put("fileBytes", Long.toString(fileBytes));
      description.put("limits", "memory, tables, openFiles, fileBytes, madeFiles");
      description.put("imports", Imports.names(imports));
      description.put("files", files.isPresent()
          ? "rootfs at /, a private view, writable up to " + fileBytes + " bytes, of which up to " + wasi.quota().heapBytes() + " in memory" : "none");
      WasmtimeFunction function = new WasmtimeFunction(begun.program(), description, stored, begun.state(), open::remove);
      open.add(function);
      // Then storeChanged() may not have seen it.
      if (storeChanges.get() != seen) {
        function.storeChanged();
      }
      if (isStopped()) {
        function.close();
        throw stopping();
      }
      return function;
    } catch (Throwable e) {
      stored.close();
      throw e;
    }
  }

  private synchronized boolean isStopped() {
    return stopped;
  }

  /**
   * What a function is made from.
   *
   * @param module its bytes
   * @param maximum pages of its memory
   */
  private record Source(PrepareRequest request, byte[] module, Outline outline, Convention convention, List<HostFunction> imports, WasiSettings wasi,
      Guest.Allowance allowance, int maximum) {
    /** Of a module that runs all that initialises it. */
    Program.Form anew() {
      return new Program.Form(convention, convention.initialisers(outline), outline.starts(), wasi, Optional.empty(), 0, allowance);
    }
  }

  /**
   * What has come of it.
   *
   * @param ran what was run to initialise it
   * @param drew what that has taken that is another each time
   * @param state what may be stored
   */
  private record Begun(Program program, List<String> ran, List<String> drew, Optional<StoredState.Source> state) {}

  /** The program of a stored module. @throws IllegalArgumentException when it is of no use */
  private Program restored(Source source, byte[] module) throws InterruptedException {
    try {
      Outline begun = Outline.of(module);
      boolean initialised = !begun.starts() && source.convention().initialisers(begun).stream().allMatch(Convention.RESEED::equals);
      if (!initialised || begun.memory().isPresent() != source.outline().memory().isPresent() || !source.imports().containsAll(Imports.of(begun))) {
        throw new IllegalArgumentException("it is no state of the function's module");
      }
      return begin(source, module, Optional.empty());
    } catch (InstarException e) {
      throw e.code() == ErrorCode.MODULE_REFUSED ? new IllegalArgumentException(e.problem().detail()) : e;
    }
  }

  /** The program of a module that is initialised, or need not be. */
  private Program begin(Source source, byte[] module, Optional<WasiState> files) throws InterruptedException {
    Outline begun = Outline.of(module);
    List<String> initialisers = source.convention().initialisers(begun);
    int pages = (int) (long) begun.memory().map(Outline.Memory::minimum).orElse(0L);
    int room = source.convention() == Convention.FAASM && begun.memory().isPresent() ? Math.max(0, FaasmCall.roomPages(pages, source.maximum())) : 0;
    Optional<byte[]> ready = Sections.ready(module, room);
    var form = new Program.Form(source.convention(), initialisers, begun.starts(), source.wasi(), files, ready.isPresent() ? room * (int) PAGE : 0,
        source.allowance());
    byte[] bytes = ready.orElse(module);
    Optional<Rewindable> rewindable = begun.starts() || !Rewinder.possible() ? Optional.empty() : Rewindable.of(bytes);
    Program program = load(source, rewindable.map(Rewindable::module).orElse(bytes), form, rewindable.map(one -> new Rewinder(one.globals(), heap)), module);
    try {
      timed(source.request(), program, () -> inInstance(program, initialisers, source.request(), (instance, guest) -> true));
      return program;
    } catch (Throwable e) {
      program.close();
      throw e;
    }
  }

  /** Initialises it once, if that can be kept; else its instances are initialised each for itself. */
  private Begun initialised(Source source, StoredState stored) throws InterruptedException {
    List<String> exported = new ArrayList<>(source.convention().initialisers(source.outline()));
    exported.remove(Convention.RESEED);
    List<String> ran = new ArrayList<>(exported);
    if (source.outline().starts()) {
      ran.addFirst(Convention.START);
    }
    if (ran.isEmpty()) {
      return new Begun(begin(source, source.module(), Optional.empty()), ran, List.of(), Optional.empty());
    }
    Optional<Exposed> form = Exposed.of(source.module());
    Optional<Program> open = form.isPresent() ? exposed(source, form.get()) : Optional.empty();
    Optional<Exposed> exposed = open.isPresent() ? form : Optional.empty();
    Program program = open.isPresent() ? open.get() : load(source, source.module(), source.anew(), Optional.empty());
    try {
      Initialised initialised = timed(source.request(), program, () -> inInstance(program, exported, source.request(),
          (instance, guest) -> Initialised.of(instance, guest.wasi(), source.module(), exposed, exported, config.module$_$bytes())));
      List<String> drew = initialised.drew();
      initialised.never().ifPresent(stored::never);
      if (initialised.state().isEmpty()) {
        return new Begun(program, ran, drew, Optional.empty());
      }
      Initialised.State state = initialised.state().get();
      Program begun;
      try {
        begun = keeping(source, state);
      } catch (InstarException e) {
        if (e.code() != ErrorCode.MODULE_REFUSED && e.code() != ErrorCode.COMPILE_LIMIT) {
          throw e;
        }
        LOG.warn("{} is initialised anew for each call; the module with its state is refused: {}", source.request().version().label(), e.getMessage());
        stored.never(new Outcome.Inexpressible(Outcome.Reason.TOO_LARGE, "the module with its state cannot be compiled"));
        return new Begun(program, ran, drew, Optional.empty());
      }
      program.close();
      Initialised.Kept kept = state.kept();
      return new Begun(begun, ran, drew, Optional.of(() -> kept.open(begun, source.request().image(), exported, config.module$_$bytes())));
    } catch (Throwable e) {
      program.close();
      throw e;
    }
  }

  /** Charges the files that it keeps for as long as it keeps them. */
  private Program keeping(Source source, Initialised.State state) throws InterruptedException {
    long bytes = state.files().map(WasiState::heapBytes).orElse(0L);
    heap.demand(bytes, 0, source.request().room());
    try {
      Program program = begin(source, state.module(), state.files());
      program.whenFree(() -> heap.give(bytes));
      return program;
    } catch (Throwable e) {
      heap.give(bytes);
      throw e;
    }
  }

  private Optional<SnapshotStore> offered(PrepareRequest request) {
    return request.version().spec().snapshot() instanceof SnapshotPolicy.Never ? Optional.empty() : Optional.ofNullable(snapshots);
  }

  private Guest.Allowance allowance(Outline outline, Limits limits, int elements) {
    long limit = Math.min(limits.memoryBytes(), MOST_PAGES * PAGE);
    Outline.Memory declared = outline.memory().orElse(new Outline.Memory(0, 0));
    if (declared.minimum() > limit / PAGE) {
      throw Refusal.of("memory", "the memory begins with " + declared.minimum() * PAGE + " bytes; the function's limit is " + limit
          + ". Raise the limit or build the module with less.");
    }
    if (outline.tables().size() > TABLES) {
      throw Refusal.of("table", "the module has " + outline.tables().size() + " tables; " + TABLES + " are allowed.");
    }
    long first = outline.tables().stream().mapToLong(Long::longValue).sum();
    if (first > elements) {
      throw new InstarException(Breaches.tables(elements, "The module's tables have more elements to begin with than it may have: "));
    }
    // The engine bounds each table. One may grow by what is left; of several, each to a share of it.
    long most = outline.tables().stream().mapToLong(Long::longValue).max().orElse(0);
    long each = outline.tables().size() < 2 ? elements : most + (elements - first) / outline.tables().size();
    return new Guest.Allowance(limit, declared.maximum() * PAGE, each, memory);
  }

  /** Nothing where this form is too much for the compiler: it is larger than the module. */
  private Optional<Program> exposed(Source source, Exposed form) throws InterruptedException {
    try {
      return Optional.of(load(source, form.module(), source.anew(), Optional.empty(), source.module()));
    } catch (InstarException e) {
      if (e.code() == ErrorCode.MODULE_REFUSED || e.code() == ErrorCode.COMPILE_LIMIT) {
        LOG.info("{} cannot be looked into, so its state is not kept: {}", source.request().version().label(), e.getMessage());
        return Optional.empty();
      }
      throw e;
    }
  }

  /** @param original of which this is another form; where that is refused, this tells why with its own addresses */
  private Program load(Source source, byte[] module, Program.Form form, Optional<Rewinder> rewinder, byte[] original) throws InterruptedException {
    try {
      return load(source, module, form, rewinder);
    } catch (InstarException e) {
      if (e.code() == ErrorCode.MODULE_REFUSED && module != original) {
        compiler.compile(original, source.request().deadline());
      }
      throw e;
    }
  }

  private Program load(Source source, byte[] module, Program.Form form, Optional<Rewinder> rewinder) throws InterruptedException {
    SharedEngine shared = engine();
    if (!shared.acquire()) {
      throw stopping();
    }
    try {
      return new Program(load(shared, module, source.imports(), source.request().deadline()), form, rewinder, shared);
    } catch (Throwable e) {
      shared.release();
      throw e;
    }
  }

  private WasmtimeModule load(SharedEngine shared, byte[] module, List<HostFunction> imports, Instant deadline) throws InterruptedException {
    Digest digest = Digest.of(module);
    Optional<Path> known = cache.find(digest);
    if (known.isPresent()) {
      try {
        return shared.engine().load(known.get(), imports);
      } catch (WasmtimeException e) {
        LOG.warn("The cached code of module {} cannot be loaded; compiling anew: {}", digest, e.getMessage());
        cache.remove(known.get());
      }
    }
    byte[] code = compiler.compile(module, deadline);
    try {
      WasmtimeModule loaded = shared.engine().load(cache.store(digest, code), imports);
      cache.evict();
      return loaded;
    } catch (WasmtimeException e) {
      throw Refusal.of("module", e.getMessage().lines().findFirst().orElse("it cannot be loaded") + ".");
    } catch (IOException e) {
      LOG.error("Compiled code cannot be written", e);
      throw new InstarException(ErrorCode.NO_SPACE, "The compiled module cannot be written to the data directory: " + e.getMessage() + ". Make room there.");
    }
  }

  /** What is run before there is a call, on a thread of its own, and for no longer than it may take. */
  private <T> T timed(PrepareRequest request, Program program, Supplier<T> work) throws InterruptedException {
    Duration limit = Stream.of(Duration.ofSeconds(config.initialise$_$seconds()), request.version().spec().limits().timeout(),
        Duration.between(Instant.now(), request.deadline())).min(Duration::compareTo).orElseThrow();
    CompletableFuture<T> ended = new CompletableFuture<>();
    Thread thread = Threads.platform("wasmtime-initialise", () -> {
      try {
        ended.complete(work.get());
      } catch (Throwable e) {
        ended.completeExceptionally(e);
      }
    });
    thread.start();
    try {
      return ended.get(Math.max(0, limit.toMillis()), TimeUnit.MILLISECONDS);
    } catch (ExecutionException e) {
      switch (e.getCause()) {
        case RuntimeException r -> throw r;
        case Error r -> throw r;
        default -> throw new IllegalStateException(e.getCause());
      }
    } catch (TimeoutException e) {
      throw new InstarException(ErrorCode.TIMED_OUT, "The initialisation (start section, _initialize, _faasm_zygote) took longer than " + limit.toMillis()
          + " ms. Do less before the first call (initialise-seconds is this node's bound, and the function's time-out).", Map.of("limitMillis", limit.toMillis()));
    } finally {
      thread.interrupt();
      program.tick();
      thread.join(TO_END_MILLIS);
    }
  }

  /** Makes an instance and runs what initialises it, so that what is wrong with that is told; then does something with it. */
  private static <T> T inInstance(Program program, List<String> initialisers, PrepareRequest request, BiFunction<WasmtimeInstance, Guest, T> work) {
    String[] running = {Convention.INSTANTIATION};
    program.enter();
    try (Wasi wasi = program.wasi()) {
      Guest guest = program.guest(wasi, request.room());
      try (WasmtimeInstance instance = program.begin(guest, GuestLog.NONE, what -> running[0] = what, initialisers)) {
        return work.apply(instance, guest);
      } catch (ProcExit e) {
        throw ended(GuestFailures.failed("The initialisation (" + running[0] + ")", e.code()), guest);
      } catch (Trapped e) {
        if (running[0].equals(Convention.INSTANTIATION)) {
          boolean table = e.getMessage().contains("table");
          throw Refusal.of(table ? "element" : "data", "a segment does not fit into " + (table ? "its table." : "the memory that the module begins with."));
        }
        throw ended(Trapped.failure(e, "The initialisation (" + running[0] + ")"), guest);
      } catch (WasmtimeException e) {
        if (e.full()) {
          throw e;
        }
        throw Refusal.of("module", e.getMessage().lines().findFirst().orElse("it cannot be instantiated") + ".");
      } finally {
        guest.discharge();
      }
    } finally {
      program.leave();
    }
  }

  /** The limit that it died of, as a call tells it; else the fault is the module's. */
  private static InstarException ended(InstarException failure, Guest guest) {
    InstarException told = Breaches.of(failure, guest.breach());
    return switch (told.code()) {
      case FUNCTION_FAILED, FUNCTION_TRAPPED -> Refusal.of("module", failure.problem().detail());
      default -> told;
    };
  }
}
