package dev.instar.scheduler;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.Digest;
import dev.instar.api.ErrorCode;
import dev.instar.api.Problem;
import dev.instar.api.function.Function;
import dev.instar.api.function.FunctionName;
import dev.instar.api.function.FunctionRegistry;
import dev.instar.api.function.FunctionSpec;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.function.Image;
import dev.instar.api.function.Limits;
import dev.instar.api.function.SnapshotPolicy;
import dev.instar.api.function.Variant;
import dev.instar.api.image.ImageDetails;
import dev.instar.api.image.ImageInfo;
import dev.instar.api.image.ImageStore;
import dev.instar.api.invocation.CallInput;
import dev.instar.api.invocation.Invocation;
import dev.instar.api.invocation.Outcome;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.reflect.RecordComponent;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;

/** A scheduler with a registry and a content store in memory. Closing it checks that nothing is left of anything. */
final class Node implements AutoCloseable {
  private static final Settings DEFAULTS = new Settings(256, 256, 128, 32, Duration.ofMinutes(5), Duration.ZERO, 1L << 30, Duration.ofSeconds(10), Duration.ofHours(1), 1L << 30, 2000,
      4000, 100,
      Duration.ofMinutes(1), 2, 8, 1, 2, Duration.ofSeconds(30), true, Duration.ofSeconds(10), Duration.ofMillis(20), Duration.ofSeconds(10), Duration.ofMinutes(15));
  static final Digest DIGEST = Digest.of(new byte[] {1});

  final Scheduler scheduler;
  final Map<FunctionName, Function> functions = new ConcurrentHashMap<>();
  private final List<ScriptedBackend> backends = new ArrayList<>();
  private final AtomicInteger ids = new AtomicInteger();
  private boolean stopped;

  Node(Settings settings, ScriptedBackend... backends) {
    scheduler = new Scheduler(settings);
    scheduler.registry = new Registry(functions);
    scheduler.images = new Images();
    for (ScriptedBackend backend : backends) {
      bind(backend, 0);
    }
  }

  Node(ScriptedBackend... backends) {
    this(DEFAULTS, backends);
  }

  /** The defaults of the tests with some changed, as name and value in turn. */
  static Settings settings(Object... changes) {
    try {
      RecordComponent[] components = Settings.class.getRecordComponents();
      Class<?>[] types = new Class<?>[components.length];
      Object[] values = new Object[components.length];
      int used = 0;
      for (int i = 0; i < components.length; i++) {
        types[i] = components[i].getType();
        values[i] = components[i].getAccessor().invoke(DEFAULTS);
        for (int c = 0; c < changes.length; c += 2) {
          if (components[i].getName().equals(changes[c])) {
            values[i] = changes[c + 1];
            used++;
          }
        }
      }
      assertEquals(changes.length / 2, used, "a setting is misspelt");
      return Settings.class.getDeclaredConstructor(types).newInstance(values);
    } catch (ReflectiveOperationException e) {
      throw new AssertionError(e);
    }
  }

  void bind(ScriptedBackend backend, int ranking) {
    backends.add(backend);
    scheduler.bindBackend(backend, Map.of("service.ranking", ranking));
  }

  void unbind(ScriptedBackend backend) {
    scheduler.unbindBackend(backend);
    assertEquals(0, backend.open.get(), "sandboxes of a backend that has gone");
    assertEquals(0, backend.openPrepared.get(), "prepared functions of a backend that has gone");
  }

  static Limits limits(int concurrency) {
    return limits(concurrency, Duration.ofSeconds(20));
  }

  static Limits limits(int concurrency, Duration timeout) {
    return new Limits(1 << 20, timeout, 1000, 1000, 1000, concurrency);
  }

  FunctionVersion deploy(String name, Limits limits) {
    return deploy(name, limits, new Variant(DIGEST, Variant.WASM, Optional.empty()));
  }

  FunctionVersion deploy(String name, Limits limits, Variant... variants) {
    return publish(version(name, limits, variants));
  }

  FunctionVersion version(String name, Limits limits, Variant... variants) {
    return version(name, limits, SnapshotPolicy.DEFAULT, variants);
  }

  /** A version of which so many sandboxes are to be there before they are called. */
  FunctionVersion deployReady(String name, int ready, int concurrency) {
    return publish(new FunctionVersion(FunctionName.parse(name), 1, "uid-" + ids.incrementAndGet(), Instant.now(),
        new FunctionSpec(List.of(new Variant(DIGEST, Variant.WASM, Optional.empty())), limits(concurrency), Map.of(), Map.of("instar.ready", Integer.toString(ready)))));
  }

  private FunctionVersion version(String name, Limits limits, SnapshotPolicy snapshot, Variant... variants) {
    return new FunctionVersion(FunctionName.parse(name), 1, "uid-" + ids.incrementAndGet(), Instant.now(),
        new FunctionSpec(List.of(variants), limits, Map.of(), Map.of(), snapshot));
  }

  /** A version that is not published yet. */
  FunctionVersion candidate(String name, String snapshot) {
    return version(name, limits(4), SnapshotPolicy.parse(snapshot), new Variant(DIGEST, Variant.WASM, Optional.empty()));
  }

  FunctionVersion deploy(String name, String snapshot) {
    return publish(candidate(name, snapshot));
  }

  FunctionVersion publish(FunctionVersion version) {
    functions.put(version.name(), new Function(version.name(), List.of(version), 1, Optional.empty()));
    return version;
  }

  void remove(FunctionVersion version) {
    functions.remove(version.name());
    scheduler.versionRemoved(version);
  }

  Invocation invocation(String name, InputStream in, OutputStream out, Optional<Duration> timeout, boolean cold) {
    return new Invocation("call-" + ids.incrementAndGet(), FunctionName.parse(name), OptionalInt.empty(),
        new CallInput(in, OptionalLong.empty()), out, timeout, cold);
  }

  Outcome invoke(String name) throws InterruptedException {
    return scheduler.invoke(invocation(name, InputStream.nullInputStream(), new ByteArrayOutputStream(), Optional.empty(), false));
  }

  Outcome invoke(String name, Duration timeout) throws InterruptedException {
    return scheduler.invoke(invocation(name, InputStream.nullInputStream(), new ByteArrayOutputStream(), Optional.of(timeout), false));
  }

  /** The same as {@link #invoke}, by {@link Scheduler#begin} where that is possible. */
  Outcome begun(Invocation invocation) throws InterruptedException {
    CompletableFuture<Optional<Outcome>> told = new CompletableFuture<>();
    Optional<Runnable> end = scheduler.begin(invocation, outcome -> {
      if (!told.complete(outcome)) {
        throw new AssertionError("told twice");
      }
    });
    if (end.isEmpty()) {
      assertEquals(false, told.isDone(), "told of what was not begun");
      return scheduler.invoke(invocation);
    }
    try {
      Optional<Outcome> outcome = told.get();
      return outcome.isPresent() ? outcome.get() : scheduler.invoke(invocation);
    } catch (InterruptedException e) {
      end.get().run();
      told.join();
      throw e;
    } catch (ExecutionException e) {
      throw new AssertionError(e);
    }
  }

  Invocation invocation(String name) {
    return invocation(name, InputStream.nullInputStream(), OutputStream.nullOutputStream(), Optional.empty(), false);
  }

  Outcome invokeCold(String name) throws InterruptedException {
    return scheduler.invoke(invocation(name, InputStream.nullInputStream(), new ByteArrayOutputStream(), Optional.empty(), true));
  }

  /** The same on a virtual thread of its own. */
  CompletableFuture<Outcome> start(String name) {
    return async(() -> invoke(name));
  }

  static <T> CompletableFuture<T> async(Callable<T> work) {
    CompletableFuture<T> future = new CompletableFuture<>();
    Thread.ofVirtual().start(() -> {
      try {
        future.complete(work.call());
      } catch (Throwable e) {
        future.completeExceptionally(e);
      }
    });
    return future;
  }

  static Outcome.Completed completed(Outcome outcome) {
    return assertInstanceOf(Outcome.Completed.class, outcome, () -> "not completed: " + outcome);
  }

  static void allCompleted(List<CompletableFuture<Outcome>> calls) throws Exception {
    for (CompletableFuture<Outcome> call : calls) {
      completed(call.get());
    }
  }

  static Problem failed(ErrorCode code, Outcome outcome) {
    Problem problem = assertInstanceOf(Outcome.Failed.class, outcome).problem();
    assertEquals(code, problem.code(), problem.detail());
    return problem;
  }

  /** Waits for what happens soon on another thread. */
  static void eventually(String what, BooleanSupplier condition) {
    long end = System.nanoTime() + 10_000_000_000L;
    while (!condition.getAsBoolean()) {
      assertTrue(System.nanoTime() < end, () -> "never: " + what);
      try {
        Thread.sleep(1);
      } catch (InterruptedException e) {
        throw new AssertionError(e);
      }
    }
  }

  int waiting() {
    return scheduler.room().waiting();
  }

  /** With every call ended and its sandbox settled, what was lent is back. */
  void assertAtRest() {
    eventually("slots settled: " + scheduler.backends(), () -> scheduler.backends().stream().mapToInt(b -> b.inFlight()).sum() == 0);
    eventually("in-process permits back", () -> scheduler.threads().free() == scheduler.desk().settings().inProcessThreads());
    assertEquals(0, scheduler.threads().parkedCount(), "parked calls");
    assertEquals(0, waiting(), "chairs taken");
    assertEquals(Desk.NOBODY, scheduler.desk().blockedSince(), "somebody is said to wait");
    eventually("units are those of open sandboxes", () -> scheduler.desk().units() == backends.stream().mapToInt(b -> b.open.get()).sum());
    assertEquals(scheduler.desk().units(), scheduler.desk().idle(), "what is not idle");
    eventually("only the sweep is armed", () -> scheduler.watchdog().armed() <= 1);
  }

  void stop() {
    stopped = true;
    scheduler.stop();
  }

  @Override
  public void close() {
    if (!stopped) {
      assertAtRest();
      stop();
    }
    for (ScriptedBackend backend : backends) {
      assertEquals(0, backend.storing.get(), "checkpoints");
      scheduler.unbindBackend(backend);
      assertEquals(List.of(), List.copyOf(backend.faults));
      assertEquals(0, backend.open.get(), "open sandboxes");
      assertEquals(0, backend.openPrepared.get(), "open prepared functions");
    }
    assertEquals(0, scheduler.desk().units(), "units");
    assertEquals(0, scheduler.desk().idle(), "idle");
    assertEquals(0, waiting(), "chairs taken");
    assertEquals(Set.of(), scheduler.desk().pools(), "pools");
  }

  /** A registry that only finds. */
  record Registry(Map<FunctionName, Function> functions) implements FunctionRegistry {
    @Override
    public Optional<Function> find(FunctionName name) {
      return Optional.ofNullable(functions.get(name));
    }

    @Override
    public List<Function> list() {
      return List.copyOf(functions.values());
    }

    @Override
    public FunctionVersion publish(FunctionName name, FunctionSpec spec, boolean activate) {
      throw new UnsupportedOperationException();
    }

    @Override
    public Function activate(FunctionName name, int number) {
      throw new UnsupportedOperationException();
    }

    @Override
    public Function rollBack(FunctionName name) {
      throw new UnsupportedOperationException();
    }

    @Override
    public Function removeVersion(FunctionName name, int number) {
      throw new UnsupportedOperationException();
    }

    @Override
    public void removeImage(Digest digest) {
      throw new UnsupportedOperationException();
    }

    @Override
    public void remove(FunctionName name) {
      throw new UnsupportedOperationException();
    }
  }

  /** A content store that has one image. */
  static final class Images implements ImageStore {
    @Override
    public Image add(InputStream content, long limit, Optional<String> user) {
      throw new UnsupportedOperationException();
    }

    @Override
    public Optional<Image> find(Digest digest) {
      return digest.equals(DIGEST) ? Optional.of(new Image(digest, Variant.WASM, 1, Path.of("function.wasm"), Optional.empty())) : Optional.empty();
    }

    @Override
    public InputStream open(Digest digest) {
      throw new UnsupportedOperationException();
    }

    @Override
    public List<ImageInfo> list() {
      throw new UnsupportedOperationException();
    }

    @Override
    public Optional<ImageDetails> inspect(Digest digest) {
      throw new UnsupportedOperationException();
    }

    @Override
    public boolean remove(Digest digest) {
      throw new UnsupportedOperationException();
    }

    @Override
    public int collect(Set<Digest> keep, long graceSeconds) {
      throw new UnsupportedOperationException();
    }
  }
}
