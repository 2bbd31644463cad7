package dev.instar.backend.wasmtime;

import com.sun.management.OperatingSystemMXBean;
import dev.instar.api.Digest;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
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
import dev.instar.api.wasmtime.WasmtimeModule;
import dev.instar.wasi.Clocks;
import dev.instar.wasi.FileQuota;
import dev.instar.wasi.LowerTree;
import dev.instar.wasi.ProcExit;
import dev.instar.wasi.Wasi;
import dev.instar.wasi.WasiSettings;
import dev.instar.wasi.guest.Breaches;
import dev.instar.wasi.guest.GuestFailures;
import dev.instar.wasi.guest.MemoryBudget;
import dev.instar.wasi.guest.Refusal;
import dev.instar.wasi.guest.StateKey;
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
  @Reference(cardinality = ReferenceCardinality.OPTIONAL, policy = ReferencePolicy.DYNAMIC, policyOption = ReferencePolicyOption.GREEDY)
  volatile SnapshotStore snapshots;

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
    Optional<StoredModule> stored = StoredModule.find(offered(request), key, request.version(), now.module$_$bytes());
    try {
      byte[] module = stored.map(StoredModule::module).orElse(bytes);
      Outline begun = stored.isPresent() ? Outline.of(module) : outline;
      List<String> initialisers = convention.initialisers(begun);
      var form = new WasmtimeFunction.Form(convention, initialisers, begun.starts(), wasi, allowance);
      Map<String, String> description = new LinkedHashMap<>();
      description.put("entry", convention.description());
      description.put("reset", "each call has an instance of its own: memory, globals, tables, descriptors, files");
      description.put("initialised", initialised(form, stored));
      description.put("snapshot", stored.map(s -> "restored from " + s.layer()).orElse("none of this function is stored; this backend makes none"));
      description.put("memory", outline.memory().map(m -> m.minimum() * PAGE).orElse(0L) + " bytes to begin with, up to " + maximum * PAGE);
      description.put("memoryBytes", Long.toString(allowance.memoryBytes()));
      description.put("tableElements", Integer.toString(elements));
      description.put("fileBytes", Long.toString(fileBytes));
      description.put("limits", "memory, tables, openFiles, fileBytes, madeFiles");
      description.put("imports", Imports.names(imports));
      description.put("files", files.isPresent()
          ? "rootfs at /, a private view, writable up to " + fileBytes + " bytes, of which up to " + wasi.quota().heapBytes() + " in memory" : "none");
      return load(request, module, imports, form, description, stored);
    } catch (Throwable e) {
      stored.ifPresent(StoredModule::close);
      throw e;
    }
  }

  private Optional<SnapshotStore> offered(PrepareRequest request) {
    return request.version().spec().snapshot() instanceof SnapshotPolicy.Never ? Optional.empty() : Optional.ofNullable(snapshots);
  }

  private static String initialised(WasmtimeFunction.Form form, Optional<StoredModule> stored) {
    List<String> ran = new ArrayList<>(form.initialisers());
    ran.remove(Convention.RESEED);
    if (form.starts()) {
      ran.addFirst("the start function");
    }
    return stored.isPresent() && ran.isEmpty() ? "from the snapshot" : ran.isEmpty() ? "nothing to run" : "anew for each call, by " + String.join(", ", ran);
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

  private WasmtimeFunction load(PrepareRequest request, byte[] module, List<HostFunction> imports, WasmtimeFunction.Form form,
      Map<String, String> description, Optional<StoredModule> stored) throws InterruptedException {
    SharedEngine shared = engine();
    if (!shared.acquire()) {
      throw stopping();
    }
    WasmtimeModule loaded;
    try {
      loaded = load(shared, module, imports, request.deadline());
    } catch (Throwable e) {
      shared.release();
      throw e;
    }
    WasmtimeFunction[] made = new WasmtimeFunction[1];
    WasmtimeFunction function = new WasmtimeFunction(loaded, form, Map.copyOf(description), shared::tick, () -> {
      open.remove(made[0]);
      stored.ifPresent(StoredModule::close);
      shared.release();
    });
    made[0] = function;
    open.add(function);
    try {
      tryOut(function, request);
      synchronized (this) {
        if (stopped) {
          throw stopping();
        }
      }
      return function;
    } catch (Throwable e) {
      function.close();
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

  /** Makes one instance, so that what is wrong with the module's own initialisation is told now. */
  private void tryOut(WasmtimeFunction function, PrepareRequest request) throws InterruptedException {
    Duration limit = Stream.of(Duration.ofSeconds(config.initialise$_$seconds()), request.version().spec().limits().timeout(),
        Duration.between(Instant.now(), request.deadline())).min(Duration::compareTo).orElseThrow();
    CompletableFuture<Void> ended = new CompletableFuture<>();
    Thread thread = Thread.ofPlatform().daemon().name("wasmtime-initialise").unstarted(() -> {
      try {
        initialise(function, request);
        ended.complete(null);
      } catch (Throwable e) {
        ended.completeExceptionally(e);
      }
    });
    thread.start();
    try {
      ended.get(Math.max(0, limit.toMillis()), TimeUnit.MILLISECONDS);
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
      function.tick();
      thread.join(TO_END_MILLIS);
    }
  }

  private void initialise(WasmtimeFunction function, PrepareRequest request) {
    String[] running = {"the instantiation"};
    function.enter();
    try (Wasi wasi = function.wasi()) {
      Guest guest = function.guest(wasi, request.room());
      try {
        function.begin(guest, GuestLog.NONE, what -> running[0] = what).close();
      } catch (ProcExit e) {
        throw ended(GuestFailures.failed("The initialisation (" + running[0] + ")", e.code()), guest);
      } catch (Trapped e) {
        if (running[0].equals("the instantiation")) {
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
      function.leave();
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
