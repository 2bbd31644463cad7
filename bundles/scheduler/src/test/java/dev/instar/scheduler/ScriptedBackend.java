package dev.instar.scheduler;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.function.Variant;
import dev.instar.api.sandbox.BackendDescription;
import dev.instar.api.sandbox.BackendDescription.Isolation;
import dev.instar.api.sandbox.BackendDescription.Shape;
import dev.instar.api.sandbox.Call;
import dev.instar.api.sandbox.Checkpointable;
import dev.instar.api.sandbox.Freezable;
import dev.instar.api.sandbox.PrepareRequest;
import dev.instar.api.sandbox.PreparedFunction;
import dev.instar.api.sandbox.Probe;
import dev.instar.api.sandbox.Resettable;
import dev.instar.api.sandbox.Sandbox;
import dev.instar.api.sandbox.SandboxBackend;
import dev.instar.api.sandbox.StartContext;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Predicate;

/** A backend whose functions are lambdas, and that notes everything which the contract forbids the scheduler. */
final class ScriptedBackend implements SandboxBackend {
  interface Script {
    void run(ScriptedSandbox sandbox, Call call) throws Exception;
  }

  interface Hook {
    void run(PrepareRequest request) throws Exception;
  }

  interface CheckpointHook {
    void run(PrepareRequest request) throws InterruptedException;
  }

  interface StartHook {
    void run(StartContext context) throws Exception;
  }

  private static final Script ECHO = (sandbox, call) -> call.input().stream().transferTo(call.output());

  final AtomicInteger prepares = new AtomicInteger();
  final AtomicInteger starts = new AtomicInteger();
  final AtomicInteger open = new AtomicInteger();
  final AtomicInteger mostOpen = new AtomicInteger();
  final AtomicInteger openPrepared = new AtomicInteger();
  final AtomicInteger running = new AtomicInteger();
  final AtomicInteger mostRunning = new AtomicInteger();
  final AtomicInteger resets = new AtomicInteger();
  final AtomicInteger freezes = new AtomicInteger();
  volatile boolean freezable = true;
  /** Whether what is frozen never goes on. */
  volatile boolean brittle;
  final Queue<String> faults = new ConcurrentLinkedQueue<>();
  final Queue<ScriptedSandbox> closed = new ConcurrentLinkedQueue<>();
  final Queue<ScriptedSandbox> used = new ConcurrentLinkedQueue<>();
  /** The functions whose checkpoints have begun, in that order. */
  final Queue<String> checkpoints = new ConcurrentLinkedQueue<>();
  final AtomicInteger storing = new AtomicInteger();
  private final Map<String, Script> scripts = new ConcurrentHashMap<>();
  private final BackendDescription description;
  volatile Probe probe = new Probe.Usable("scripted");
  volatile Hook onPrepare = request -> {};
  /** What a checkpoint does; null: what it prepares has none. */
  volatile CheckpointHook onCheckpoint;
  /** By name: whether a function's state is still to be stored. */
  volatile Predicate<String> pending = name -> true;
  volatile StartHook onStart = context -> {};
  volatile Runnable onReset = () -> {};

  ScriptedBackend(String name, Shape shape, boolean resets, String... leases) {
    this.description = new BackendDescription(name, "scripted", Set.of(Variant.WASM), shape, Isolation.SOFTWARE, resets, "1", Set.of(leases));
  }

  static ScriptedBackend inProcess() {
    return new ScriptedBackend("scripted", Shape.IN_PROCESS, true);
  }

  static ScriptedBackend remote() {
    return new ScriptedBackend("scripted", Shape.REMOTE, false);
  }

  /** What a function (by the second part of its name) does when called; it echoes when there is no script. */
  ScriptedBackend script(String function, Script script) {
    scripts.put(function, script);
    return this;
  }

  /** Calls of these functions wait until what it gives is counted down. */
  CountDownLatch hold(String... functions) {
    CountDownLatch go = new CountDownLatch(1);
    for (String function : functions) {
      script(function, (sandbox, call) -> sandbox.await(go));
    }
    return go;
  }

  @Override
  public BackendDescription describe() {
    return description;
  }

  @Override
  public Probe probe() {
    return probe;
  }

  @Override
  public PreparedFunction prepare(PrepareRequest request) throws InterruptedException {
    prepares.incrementAndGet();
    unchecked(() -> onPrepare.run(request));
    openPrepared.incrementAndGet();
    return onCheckpoint == null ? new Prepared(request) : new CheckpointablePrepared(request);
  }

  private interface Risky {
    void run() throws Exception;
  }

  private static void unchecked(Risky risky) throws InterruptedException {
    try {
      risky.run();
    } catch (InterruptedException | RuntimeException | Error e) {
      throw e;
    } catch (Exception e) {
      throw new InstarException(ErrorCode.CALLER_GONE, "The caller went away.");
    }
  }

  class Prepared implements PreparedFunction {
    final PrepareRequest request;
    private final Set<ScriptedSandbox> sandboxes = ConcurrentHashMap.newKeySet();
    final AtomicBoolean gone = new AtomicBoolean();

    Prepared(PrepareRequest request) {
      this.request = request;
    }

    @Override
    public Map<String, String> describe() {
      if (gone.get()) {
        faults.add("described after close");
      }
      return Map.of("entry", "script", "reset", description.resets() ? "all" : "nothing");
    }

    @Override
    public Sandbox start(StartContext context) throws InterruptedException {
      if (gone.get()) {
        faults.add("started after close of the prepared function");
      }
      unchecked(() -> onStart.run(context));
      starts.incrementAndGet();
      ScriptedSandbox sandbox = description.resets() ? new ResettableSandbox(this, context) : new ScriptedSandbox(this, context);
      sandboxes.add(sandbox);
      mostOpen.accumulateAndGet(open.incrementAndGet(), Math::max);
      return sandbox;
    }

    @Override
    public void close() {
      if (!gone.compareAndSet(false, true)) {
        faults.add("prepared function closed twice");
      }
      if (!sandboxes.isEmpty()) {
        faults.add("prepared function closed before " + sandboxes.size() + " of its sandboxes");
      }
      openPrepared.decrementAndGet();
    }
  }

  final class CheckpointablePrepared extends Prepared implements Checkpointable {
    private final AtomicBoolean asked = new AtomicBoolean();

    CheckpointablePrepared(PrepareRequest request) {
      super(request);
    }

    @Override
    public boolean isPending() {
      return pending.test(request.version().name().toString());
    }

    @Override
    public void checkpoint() throws InterruptedException {
      String name = request.version().name().toString();
      if (gone.get()) {
        faults.add(name + " stored after close");
      }
      if (!asked.compareAndSet(false, true)) {
        faults.add(name + " stored twice");
      }
      if (storing.incrementAndGet() > 1) {
        faults.add("two stored at one time");
      }
      if (Thread.currentThread().isVirtual() || !Thread.currentThread().getName().equals("instar-checkpoint")) {
        faults.add(name + " stored on " + Thread.currentThread());
      }
      checkpoints.add(name);
      try {
        onCheckpoint.run(request);
      } finally {
        if (gone.get()) {
          faults.add(name + " closed while it was stored");
        }
        storing.decrementAndGet();
      }
    }
  }

  class ScriptedSandbox implements Sandbox, Freezable {
    final Prepared prepared;
    final String id;
    final AtomicBoolean busy = new AtomicBoolean();
    final AtomicBoolean gone = new AtomicBoolean();
    final CountDownLatch killed = new CountDownLatch(1);
    final AtomicInteger calls = new AtomicInteger();
    volatile boolean dirty;
    volatile boolean dead;
    volatile boolean frozen;

    ScriptedSandbox(Prepared prepared, StartContext context) {
      this.prepared = prepared;
      this.id = context.sandboxId();
    }

    @Override
    public boolean freeze() {
      if (busy.get() || gone.get() || frozen || description.shape() == Shape.IN_PROCESS) {
        faults.add(id + " frozen in a call, after close, twice, or in this process");
      }
      frozen = freezable;
      freezes.incrementAndGet();
      return frozen;
    }

    @Override
    public void thaw() {
      if (!frozen || gone.get()) {
        faults.add(id + " thawed though it is not frozen, or after close");
      }
      if (brittle) {
        throw new InstarException(ErrorCode.SANDBOX_CRASHED, "It does not go on.");
      }
      frozen = false;
    }

    /** Works until the time is over or the sandbox is killed. */
    void work(long millis) throws InterruptedException {
      if (killed.await(millis, TimeUnit.MILLISECONDS)) {
        throw new InstarException(ErrorCode.TIMED_OUT, "killed");
      }
    }

    /** Works until the latch opens or the sandbox is killed. */
    void await(CountDownLatch latch) throws InterruptedException {
      while (!latch.await(1, TimeUnit.MILLISECONDS)) {
        if (killed.getCount() == 0) {
          throw new InstarException(ErrorCode.TIMED_OUT, "killed");
        }
      }
    }

    @Override
    public void call(Call call) throws InterruptedException {
      if (!busy.compareAndSet(false, true)) {
        faults.add(id + " called while in a call");
      }
      if (gone.get()) {
        faults.add(id + " called after close");
      }
      if (frozen) {
        faults.add(id + " called while it is frozen");
      }
      if (dirty && description.resets()) {
        faults.add(id + " called without a reset");
      }
      boolean onInProcessThread = Thread.currentThread().getName().startsWith("instar-in-process");
      if (onInProcessThread != (description.shape() == Shape.IN_PROCESS)) {
        faults.add(id + " called on " + Thread.currentThread());
      }
      dirty = true;
      calls.incrementAndGet();
      used.add(this);
      mostRunning.accumulateAndGet(running.incrementAndGet(), Math::max);
      try {
        unchecked(() -> scripts.getOrDefault(prepared.request.version().name().function(), ECHO).run(this, call));
      } finally {
        running.decrementAndGet();
        busy.set(false);
      }
    }

    @Override
    public boolean reusable() {
      return !dead && killed.getCount() > 0;
    }

    @Override
    public void kill() {
      if (gone.get()) {
        faults.add(id + " killed after close");
      }
      killed.countDown();
    }

    @Override
    public void close() {
      if (busy.get()) {
        faults.add(id + " closed in a call");
      }
      if (!gone.compareAndSet(false, true)) {
        faults.add(id + " closed twice");
        return;
      }
      prepared.sandboxes.remove(this);
      closed.add(this);
      open.decrementAndGet();
    }
  }

  final class ResettableSandbox extends ScriptedSandbox implements Resettable {
    ResettableSandbox(Prepared prepared, StartContext context) {
      super(prepared, context);
    }

    @Override
    public void reset() {
      if (busy.get() || gone.get()) {
        faults.add(id + " reset while in a call or after close");
      }
      resets.incrementAndGet();
      onReset.run();
      dirty = false;
    }
  }

  List<String> usedIds() {
    return used.stream().map(s -> s.id).toList();
  }
}
