package dev.instar.scheduler;

import static dev.instar.scheduler.Node.completed;
import static dev.instar.scheduler.Node.eventually;
import static dev.instar.scheduler.Node.failed;
import static dev.instar.scheduler.Node.limits;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.ErrorCode;
import dev.instar.api.function.Function;
import dev.instar.api.function.FunctionName;
import dev.instar.api.function.FunctionRegistry;
import dev.instar.api.function.FunctionSpec;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.function.Variant;
import dev.instar.api.image.ImageStore;
import dev.instar.api.invocation.BackendDirectory;
import dev.instar.api.invocation.BackendStatus;
import dev.instar.api.invocation.CallInput;
import dev.instar.api.invocation.Invocation;
import dev.instar.api.invocation.Invoker;
import dev.instar.api.invocation.Outcome;
import dev.instar.api.sandbox.SandboxBackend;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Hashtable;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.ServiceLoader;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.osgi.framework.Bundle;
import org.osgi.framework.BundleContext;
import org.osgi.framework.Constants;
import org.osgi.framework.ServiceReference;
import org.osgi.framework.ServiceRegistration;
import org.osgi.framework.launch.Framework;
import org.osgi.framework.launch.FrameworkFactory;
import org.osgi.service.cm.ConfigurationAdmin;

/** The bundle in a Felix framework under Declarative Services: what the order of events there makes of binding, draining and stopping. */
@Timeout(60)
class SchedulerIT {
  private static final List<String> SHARED = List.of("org.slf4j;version=2.0.17", "org.osgi.service.cm;version=1.6.1", "dev.instar.api;version=0.1.0", "dev.instar.api.data;version=0.1.0",
      "dev.instar.api.function;version=0.1.0", "dev.instar.api.image;version=0.1.0", "dev.instar.api.invocation;version=0.1.0",
      "dev.instar.api.log;version=0.1.0", "dev.instar.api.placement;version=0.1.0", "dev.instar.api.lease;version=0.1.0",
      "dev.instar.api.sandbox;version=0.1.0", "dev.instar.api.secret;version=0.1.0", "dev.instar.api.snapshot;version=0.1.0");
  private final Map<FunctionName, Function> functions = new ConcurrentHashMap<>();
  private final AtomicInteger ids = new AtomicInteger();
  private final List<ScriptedBackend> backends = new ArrayList<>();
  private Framework framework;
  private Bundle bundle;

  @BeforeEach
  void start(@TempDir Path storage) throws Exception {
    framework = ServiceLoader.load(FrameworkFactory.class).findFirst().orElseThrow()
        .newFramework(Map.of(Constants.FRAMEWORK_STORAGE, storage.resolve("framework").toString(), Constants.FRAMEWORK_SYSTEMPACKAGES_EXTRA,
            String.join(",", SHARED)));
    framework.start();
    BundleContext context = framework.getBundleContext();
    for (String library : List.of("org.osgi.util.function", "org.osgi.util.promise", "org.osgi.service.component-", "org.apache.felix.configadmin",
        "org.apache.felix.scr")) {
      context.installBundle("reference:" + jar(library).toUri()).start();
    }
    bundle = context.installBundle("reference:" + Path.of(System.getProperty("instar.bundle")).toUri());
    bundle.start();
    context.registerService(FunctionRegistry.class, new Node.Registry(functions), null);
    context.registerService(ImageStore.class, new Node.Images(), null);
    deploy("f", 4);
  }

  private static Path jar(String name) {
    for (String entry : System.getProperty("java.class.path").split(File.pathSeparator)) {
      if (Path.of(entry).getFileName().toString().startsWith(name) && entry.endsWith(".jar")) {
        return Path.of(entry);
      }
    }
    throw new AssertionError(name + " is not on the class path");
  }

  @AfterEach
  void stop() throws Exception {
    framework.stop();
    framework.waitForStop(20_000);
    for (ScriptedBackend backend : backends) {
      assertEquals(List.of(), List.copyOf(backend.faults));
      assertEquals(0, backend.open.get(), "open sandboxes");
      assertEquals(0, backend.openPrepared.get(), "open prepared functions");
    }
    eventually("threads end", () -> Thread.getAllStackTraces().keySet().stream().noneMatch(t -> t.getName().startsWith("instar-")));
  }

  private void deploy(String function, int concurrency) {
    FunctionName name = new FunctionName("demo", function);
    FunctionVersion version = new FunctionVersion(name, 1, "uid-" + function, Instant.now(),
        new FunctionSpec(List.of(new Variant(Node.DIGEST, Variant.WASM, Optional.empty())), limits(concurrency), Map.of(), Map.of()));
    functions.put(name, new Function(name, List.of(version), 1, Optional.empty()));
  }

  private ScriptedBackend backend() {
    ScriptedBackend backend = ScriptedBackend.inProcess();
    backends.add(backend);
    return backend;
  }

  private ServiceRegistration<SandboxBackend> register(ScriptedBackend backend) {
    return framework.getBundleContext().registerService(SandboxBackend.class, backend, null);
  }

  private Invoker invoker() {
    ServiceReference<Invoker> reference = framework.getBundleContext().getServiceReference(Invoker.class);
    return framework.getBundleContext().getService(reference);
  }

  private BackendDirectory directory() {
    return framework.getBundleContext().getService(framework.getBundleContext().getServiceReference(BackendDirectory.class));
  }

  private Outcome invoke(String function) throws InterruptedException {
    return invoker().invoke(new Invocation("call-" + ids.incrementAndGet(), new FunctionName("demo", function), OptionalInt.empty(),
        CallInput.of(new byte[0]),
        new ByteArrayOutputStream(), Optional.empty(), false));
  }

  @Test
  void aBackendThatIsUnregisteredIsDrainedBeforeUnregisterReturns() throws Exception {
    ScriptedBackend old = backend();
    CountDownLatch go = new CountDownLatch(1);
    old.script("f", (sandbox, call) -> sandbox.await(go));
    ServiceRegistration<SandboxBackend> registration = register(old);
    CompletableFuture<Outcome> running = Node.async(() -> invoke("f"));
    eventually("runs", () -> old.running.get() == 1);
    AtomicInteger openAtReturn = new AtomicInteger(-1);
    CompletableFuture<Void> gone = Node.async(() -> {
      registration.unregister();
      openAtReturn.set(old.open.get() + old.openPrepared.get());
      return null;
    });
    // Before that a call still goes to the old one.
    eventually("drains", () -> directory().backends().stream().anyMatch(status -> status.state() == BackendStatus.State.DRAINING));
    CompletableFuture<Outcome> waiting = Node.async(() -> invoke("f"));
    // It arrives while the old one drains: its binding must not wait for that.
    ScriptedBackend fresh = backend();
    register(fresh);
    completed(waiting.get());
    assertFalse(gone.isDone());
    completed(invoke("f"));
    assertEquals(2, fresh.used.size());
    go.countDown();
    completed(running.get());
    gone.get();
    assertEquals(0, openAtReturn.get());
  }

  @Test
  void aBackendThatIsUnregisteredHasNoCheckpointLeftWhenUnregisterReturns() throws Exception {
    ScriptedBackend backend = backend();
    AtomicBoolean interrupted = new AtomicBoolean();
    backend.onCheckpoint = request -> {
      try {
        new CountDownLatch(1).await();
      } catch (InterruptedException e) {
        interrupted.set(true);
        throw e;
      }
    };
    ServiceRegistration<SandboxBackend> registration = register(backend);
    completed(invoke("f"));
    eventually("its state is being stored", () -> backend.storing.get() == 1);
    registration.unregister();
    assertTrue(interrupted.get());
    assertEquals(0, backend.openPrepared.get());
  }

  @Test
  void swapsLoseNoCall() throws Exception {
    AtomicBoolean over = new AtomicBoolean();
    ServiceRegistration<SandboxBackend> current = register(backend());
    AtomicInteger calls = new AtomicInteger();
    List<CompletableFuture<Void>> callers = new ArrayList<>();
    for (int i = 0; i < 8; i++) {
      callers.add(Node.async(() -> {
        while (!over.get()) {
          completed(invoke("f"));
          calls.incrementAndGet();
        }
        return null;
      }));
    }
    for (int swap = 0; swap < 10; swap++) {
      int before = calls.get();
      eventually("calls go on", () -> calls.get() > before + 50 || callers.stream().anyMatch(CompletableFuture::isDone));
      ServiceRegistration<SandboxBackend> next = register(backend());
      current.unregister();
      current = next;
    }
    over.set(true);
    for (CompletableFuture<Void> caller : callers) {
      caller.get();
    }
  }

  @Test
  void theBundleStopsWhenItsCallsHaveEnded() throws Exception {
    ScriptedBackend backend = backend();
    CountDownLatch go = new CountDownLatch(1);
    backend.script("f", (sandbox, call) -> sandbox.await(go));
    register(backend);
    Invoker invoker = invoker();
    CompletableFuture<Outcome> running = Node.async(() -> invoke("f"));
    eventually("runs", () -> backend.running.get() == 1);
    CompletableFuture<Void> stopped = Node.async(() -> {
      bundle.stop();
      return null;
    });
    eventually("refuses", () -> {
      try {
        return invoker.invoke(new Invocation("late", new FunctionName("demo", "f"), OptionalInt.empty(), CallInput.of(new byte[0]),
            new ByteArrayOutputStream(),
            Optional.of(Duration.ofMillis(1)), false)) instanceof Outcome.Failed refused && refused.problem().code() == ErrorCode.NOT_READY;
      } catch (InterruptedException e) {
        throw new AssertionError(e);
      }
    });
    assertFalse(stopped.isDone());
    go.countDown();
    completed(running.get());
    stopped.get();
    assertEquals(0, backend.open.get());
    // And comes back.
    bundle.start();
    eventually("there again", () -> framework.getBundleContext().getServiceReference(Invoker.class) != null);
    completed(invoke("f"));
  }

  @Test
  void changedConfigurationHoldsWithoutARestart() throws Exception {
    ScriptedBackend backend = backend();
    CountDownLatch go = new CountDownLatch(1);
    backend.script("one", (sandbox, call) -> sandbox.await(go));
    deploy("one", 1);
    register(backend);
    Invoker before = invoker();
    CompletableFuture<Outcome> running = Node.async(() -> invoke("one"));
    eventually("runs", () -> backend.running.get() == 1);
    ServiceReference<ConfigurationAdmin> reference = framework.getBundleContext().getServiceReference(ConfigurationAdmin.class);
    framework.getBundleContext().getService(reference).getConfiguration(Config.PID, "?").update(new Hashtable<>(Map.of("queue-wait-ms", 20)));
    eventually("the short wait holds", () -> {
      try {
        return Node.async(() -> invoke("one")).completeOnTimeout(null, 300, TimeUnit.MILLISECONDS).get() instanceof Outcome.Failed;
      } catch (Exception e) {
        throw new AssertionError(e);
      }
    });
    failed(ErrorCode.FUNCTION_BUSY, invoke("one"));
    assertSame(before, invoker());
    assertFalse(running.isDone());
    go.countDown();
    completed(running.get());
    // The reset comes after the answer, and calls from before the change may wait in front.
    eventually("the sandbox is free again", () -> {
      try {
        return invoke("one") instanceof Outcome.Completed;
      } catch (InterruptedException e) {
        throw new AssertionError(e);
      }
    });
  }
}
