package dev.instar.scheduler;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Threads;
import dev.instar.api.data.DataDirectory;
import dev.instar.api.function.Function;
import dev.instar.api.function.FunctionListener;
import dev.instar.api.function.FunctionRegistry;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.function.Limits;
import dev.instar.api.function.Readiness;
import dev.instar.api.image.ImageStore;
import dev.instar.api.invocation.BackendAssignment;
import dev.instar.api.invocation.BackendDirectory;
import dev.instar.api.invocation.BackendMove;
import dev.instar.api.invocation.BackendStatus;
import dev.instar.api.invocation.Invocation;
import dev.instar.api.invocation.Invoker;
import dev.instar.api.invocation.Outcome;
import dev.instar.api.invocation.Preparer;
import dev.instar.api.lease.LeaseProvider;
import dev.instar.api.log.FunctionLogs;
import dev.instar.api.placement.PlacementPolicy;
import dev.instar.api.sandbox.BackendDescription;
import dev.instar.api.sandbox.SandboxBackend;
import dev.instar.api.secret.SecretLease;
import dev.instar.api.snapshot.SnapshotStore;
import java.time.Duration;
import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.TimeoutException;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.osgi.framework.Bundle;
import org.osgi.framework.BundleContext;
import org.osgi.framework.Constants;
import org.osgi.framework.FrameworkEvent;
import org.osgi.framework.InvalidSyntaxException;
import org.osgi.framework.ServiceReference;
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

/**
 * Brings calls to sandboxes.
 *
 * <pre>
 *   invoke ─▶ version ─▶ {@link Backends} route ─▶ {@link Generation} ─▶ {@link Pool} ─▶ {@link Desk} slot ─▶ {@link Run}, or {@link InProcessCall}
 *                              │ none: wait                │ not prepared:   │ none: wait in line
 *                              ▼                           ▼ {@link Preparation}        ▼
 *                                      {@link WaitingRoom} bounds how many wait
 * </pre>
 * A step that finds its ground gone (a generation that drains, a pool that was retired because its version was removed) sends the call
 * back to the first step, so a swap of a backend costs a waiting call nothing but another look, and a removed version is not found any
 * more. A call that has its slot is in flight: it goes on to its end where it is.
 *
 * <p>The warm path takes the lock of its pool twice, for a deque operation each, and none other of ours; it makes no look-up of services.
 * Locks, invariants and their order are told at {@link Desk}; who closes what, at {@link Slot}, {@link Run} and {@link InProcessCall}.
 */
@Component(immediate = true, configurationPid = Config.PID, service = {Invoker.class, Preparer.class, BackendDirectory.class, FunctionListener.class})
@Designate(ocd = Config.class)
public final class Scheduler implements Invoker, Preparer, BackendDirectory, FunctionListener {
  private static final Logger LOG = LoggerFactory.getLogger(Scheduler.class);
  private static final long LAST_NANOS = 1_000_000_000;

  /** How long a new part prepares what its predecessor had prepared, before it takes calls. */
  static final Duration WARM = Duration.ofSeconds(10);

  private final WaitingRoom room;
  private final Desk desk;
  private final Backends backends;
  private final Watchdog watchdog = new Watchdog();
  private final InProcessThreads threads;
  private final Preparations preparations;
  private final Checkpoints checkpoints;
  private final Ahead ahead;
  private final Moves moves;
  private final Map<SandboxBackend, Generation> arrivals = new IdentityHashMap<>();
  /** One, but while one takes the place of another. */
  private final List<PlacementPolicy> placements = new ArrayList<>();
  private volatile boolean stopping;

  @Reference(cardinality = ReferenceCardinality.OPTIONAL, policy = ReferencePolicy.DYNAMIC, policyOption = ReferencePolicyOption.GREEDY)
  volatile FunctionRegistry registry;

  @Reference(cardinality = ReferenceCardinality.OPTIONAL, policy = ReferencePolicy.DYNAMIC, policyOption = ReferencePolicyOption.GREEDY)
  volatile ImageStore images;

  @Reference(cardinality = ReferenceCardinality.OPTIONAL, policy = ReferencePolicy.DYNAMIC, policyOption = ReferencePolicyOption.GREEDY)
  volatile FunctionLogs logs;

  /** What is worth preparing before it is called. */
  @Reference(cardinality = ReferenceCardinality.OPTIONAL, policy = ReferencePolicy.DYNAMIC, policyOption = ReferencePolicyOption.GREEDY)
  volatile SnapshotStore snapshots;

  /** For Declarative Services. */
  @Activate
  public Scheduler(Config config) {
    this(Settings.of(config));
  }

  Scheduler(Settings settings) {
    room = new WaitingRoom(settings);
    desk = new Desk(settings, watchdog, () -> logs);
    backends = new Backends(desk, this::warm);
    threads = new InProcessThreads(settings);
    preparations = new Preparations(settings, () -> images, watchdog);
    checkpoints = new Checkpoints(desk, version -> registry != null && published(version));
    ahead = new Ahead(desk, backends, preparations, () -> backends.all().stream().mapToLong(Generation::servedCalls).sum(), this::published);
    moves = new Moves(backends, preparations, watchdog, () -> registry);
    watchdog.arm(Clock.in(settings.sweep()), this::sweep);
  }

  /** Where assignments are kept. Without it they are lost when the scheduler stops. */
  @Reference(cardinality = ReferenceCardinality.OPTIONAL, policy = ReferencePolicy.DYNAMIC, policyOption = ReferencePolicyOption.GREEDY)
  void bindData(DataDirectory data) {
    moves.keep(data);
  }

  void unbindData(DataDirectory data) {
    // What was read from it holds.
  }

  /** The best of those that are here; the next one is bound before this one is unbound. */
  @Reference(cardinality = ReferenceCardinality.OPTIONAL, policy = ReferencePolicy.DYNAMIC, policyOption = ReferencePolicyOption.GREEDY)
  void bindPlacement(PlacementPolicy placement) {
    synchronized (placements) {
      placements.add(placement);
      backends.policy(placement);
    }
  }

  void unbindPlacement(PlacementPolicy placement) {
    synchronized (placements) {
      placements.remove(placement);
      backends.policy(placements.isEmpty() ? null : placements.getLast());
    }
  }

  /** Edited configuration: holds from now on, without a restart. */
  @Modified
  void modified(Config config) {
    apply(Settings.of(config));
  }

  void apply(Settings settings) {
    room.apply(settings);
    threads.apply(settings);
    preparations.apply(settings);
    desk.apply(settings);
  }

  /** When the whole node stops, calls have been waited for before, and what still runs has been told to end. */
  @Deactivate
  void stop(BundleContext context) {
    boolean node = context.getBundle(Constants.SYSTEM_BUNDLE_LOCATION).getState() == Bundle.STOPPING;
    stop(node ? Math.min(LAST_NANOS, desk.settings().drain().toNanos()) : desk.settings().drain().toNanos());
  }

  void stop() {
    stop(desk.settings().drain().toNanos());
  }

  /** Refuses new calls, lets those that run end within the drain time, kills the others, closes everything. */
  private void stop(long drainNanos) {
    stopping = true;
    ahead.close();
    backends.close(drainNanos);
    threads.close();
    preparations.close();
    checkpoints.close();
    watchdog.close();
  }

  /**
   * Prepares what the scheduler has prepared in whose place this one comes, while that one still makes the calls; so no call of those that come here then has to
   * wait for it. The references are bound by now.
   */
  @Activate
  void succeed(BundleContext context) {
    // Not before: a function might be prepared by a backend that is not the one which it has when all have come.
    context.addFrameworkListener(event -> {
      if (event.getType() == FrameworkEvent.STARTLEVEL_CHANGED) {
        started();
      }
    });
    List<FunctionVersion> used = new ArrayList<>();
    try {
      for (ServiceReference<BackendDirectory> reference : context.getServiceReferences(BackendDirectory.class, null)) {
        // This one's own is registered, too, and can't be had while it is being activated.
        BackendDirectory predecessor = reference.getBundle() == context.getBundle() ? null : context.getService(reference);
        if (predecessor != null) {
          used.addAll(predecessor.inUse());
          context.ungetService(reference);
        }
      }
    } catch (InvalidSyntaxException e) {
      throw new IllegalStateException(e);
    }
    List<Pool> pools = new ArrayList<>();
    for (FunctionVersion version : used) {
      Backends.Route route = backends.find(version);
      Pool pool = route == null ? null : route.generation().pool(version, route.variant());
      if (pool != null) {
        pools.add(pool);
      }
    }
    prepare(pools);
  }

  /** The same for a backend in the place of which another of its name comes. */
  private void warm(Generation next) {
    Generation now = backends.named(next.name());
    if (now != null) {
      prepare(now.pools().stream().filter(pool -> pool.prepared() != null).map(pool -> next.pool(pool.version(), pool.index())).filter(Objects::nonNull).toList());
    }
  }

  /** All that can be within the time. What fails fails again for the call that wants it. */
  private void prepare(List<Pool> pools) {
    long deadline = Clock.in(WARM);
    List<Preparation> begun = pools.stream().map(pool -> pool.prepare(preparations)).filter(Objects::nonNull).toList();
    for (Preparation preparation : begun) {
      try {
        preparation.await(deadline);
      } catch (InstarException | TimeoutException e) {
        LOG.info("{} is not prepared ahead: {}", preparation.label(), e.getMessage() == null ? "it takes too long" : e.getMessage());
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        return;
      }
    }
  }

  @Reference(service = SandboxBackend.class, cardinality = ReferenceCardinality.MULTIPLE, policy = ReferencePolicy.DYNAMIC,
      policyOption = ReferencePolicyOption.GREEDY, updated = "updatedBackend")
  void bindBackend(SandboxBackend backend, Map<String, Object> properties) {
    try {
      Generation generation = backends.arrived(backend, properties.get(Constants.SERVICE_RANKING) instanceof Integer ranking ? ranking : 0);
      synchronized (arrivals) {
        arrivals.put(backend, generation);
      }
    } catch (RuntimeException e) {
      LOG.error("A sandbox backend could not be taken in: {}", backend.getClass().getName(), e);
    }
  }

  /** Its configuration has changed, on which its probe may depend. */
  void updatedBackend(SandboxBackend backend) {
    synchronized (arrivals) {
      Optional.ofNullable(arrivals.get(backend)).ifPresent(backends::probeAgain);
    }
  }

  /**
   * Drains the backend before it returns. It must: the service is unregistered, and its bundle stopped, only after this method has
   * returned, because events of services that go are delivered synchronously; that is what lets calls end on code that is still there.
   */
  void unbindBackend(SandboxBackend backend) {
    Generation generation;
    synchronized (arrivals) {
      generation = arrivals.remove(backend);
    }
    if (generation != null) {
      backends.departed(generation, desk.settings().drain().toNanos());
    }
  }

  @Reference(service = LeaseProvider.class, cardinality = ReferenceCardinality.MULTIPLE, policy = ReferencePolicy.DYNAMIC,
      policyOption = ReferencePolicyOption.GREEDY)
  void bindLender(LeaseProvider provider, Map<String, Object> properties) {
    desk.lenders().add(provider, properties.get(Constants.SERVICE_RANKING) instanceof Integer ranking ? ranking : 0);
  }

  /** What it has lent stays with its borrowers. */
  void unbindLender(LeaseProvider provider) {
    desk.lenders().remove(provider);
  }

  @Override
  public Outcome invoke(Invocation invocation) throws InterruptedException {
    try (Visit visit = new Visit(room, invocation, desk.settings().maxCall())) {
      Outcome outcome;
      do {
        outcome = attempt(invocation, visit);
      } while (outcome == null);
      return outcome;
    } catch (InstarException e) {
      return new Outcome.Failed(e.problem());
    } catch (RuntimeException | Error e) {
      LOG.error("Invocation {} of {} failed", invocation.id(), invocation.function(), e);
      return new Outcome.Failed(Refusal.internal("The call of " + invocation.function(), invocation.id()));
    }
  }

  @Override
  public Optional<Runnable> begin(Invocation invocation, Consumer<Optional<Outcome>> told) {
    Optional<InProcessCall> call;
    boolean begun = false;
    Visit visit = new Visit(room, invocation, desk.settings().maxCall());
    try {
      call = ready(invocation, visit).map(pool -> new InProcessCall(desk, pool, visit, invocation, watchdog, logs, threads, Optional.of(told)));
      begun = call.isPresent() && call.get().begin();
    } catch (InstarException e) {
      // It is told to who asks again, if it is so then.
      return Optional.empty();
    } finally {
      if (!begun) {
        visit.close();
      }
    }
    return begun ? call.map(one -> one::end) : Optional.empty();
  }

  /** Where a call can be made without waiting for anything but its turn; the same choice as {@link #attempt}'s, for which all else is left. */
  private Optional<Pool> ready(Invocation invocation, Visit visit) {
    FunctionRegistry functions = registry;
    if (stopping || functions == null) {
      return Optional.empty();
    }
    Optional<Function> function = functions.find(invocation.function());
    Optional<FunctionVersion> version = function.flatMap(f -> f.version(invocation.version().orElse(f.active())));
    if (version.isEmpty() || invocation.input().length().orElse(0) > version.get().spec().limits().inputBytes()) {
      return Optional.empty();
    }
    visit.to(version.get());
    Backends.Route route = backends.find(version.get());
    if (route == null || !route.generation().inProcess()) {
      return Optional.empty();
    }
    Pool pool = route.generation().pool(version.get(), route.variant());
    return pool == null || pool.prepared() == null || pool.replaced() ? Optional.empty() : Optional.of(pool);
  }

  /** Null: what it had chosen is gone; choose again. */
  private Outcome attempt(Invocation invocation, Visit visit) throws InterruptedException {
    if (stopping) {
      throw Refusal.thrown(Refusal.stopping());
    }
    FunctionRegistry functions = registry();
    Function function = functions.find(invocation.function()).orElseThrow(() -> notFound(invocation));
    int number = invocation.version().orElse(function.active());
    FunctionVersion version = function.version(number).orElseThrow(() -> new InstarException(ErrorCode.VERSION_NOT_FOUND,
        invocation.function() + " has no version " + number + "."));
    Limits limits = version.spec().limits();
    if (invocation.input().length().orElse(0) > limits.inputBytes()) {
      throw Refusal.thrown(Refusal.inputTooLarge(limits.inputBytes()));
    }
    visit.to(version);
    Backends.Route route = backends.find(version);
    if (route == null) {
      visit.sit();
      backends.await(version, variants(version), visit.deadline(), desk.settings().backendWait().toNanos());
      return null;
    }
    Pool pool = route.generation().pool(version, route.variant());
    if (pool == null) {
      return null;
    }
    if (pool.prepared() == null && route.instead() != null) {
      Pool ready = route.instead().pool(version, route.variant());
      if (ready != null && ready.prepared() != null) {
        // The share of the other one grows; nobody has to wait until it has the function.
        pool.prepare(preparations);
        pool = ready;
      }
    }
    // Else what is prepared for this call might go before the call has come to use it.
    boolean pinned = pool.prepared() == null && pool.pin();
    Slot slot;
    try {
      if (pool.prepared() == null) {
        prepare(pool, visit);
      }
      if (pool.replaced() && function.active() == number) {
        pool.replaced(false);
      }
      if (pool.prepared() == null) {
        return null;
      }
      if (pool.generation().inProcess()) {
        return new InProcessCall(desk, pool, visit, invocation, watchdog, logs, threads, Optional.empty()).make();
      }
      slot = desk.acquire(pool, visit);
    } finally {
      if (pinned) {
        pool.unpin();
      }
    }
    if (slot == null) {
      return null;
    }
    if (!slot.empty() && (!slot.alive() || !slot.wake())) {
      slot.close();
      return null;
    }
    if (pool.hasReserve()) {
      desk.reserve().used(slot);
      desk.reserve().look(pool);
    }
    visit.begin();
    return Run.remote(visit, invocation, slot, watchdog, logs).here();
  }

  /** The registry may be being replaced at the moment; then it is waited for, as a backend is. */
  private FunctionRegistry registry() throws InterruptedException {
    FunctionRegistry now = registry;
    for (long end = Clock.in(desk.settings().backendWait()); now == null; now = registry) {
      if (stopping || Clock.now() > end) {
        throw Refusal.thrown(Refusal.missing("function registry"));
      }
      // So seldom, and for so short, that it is worth no signal.
      Thread.sleep(5);
    }
    return now;
  }

  private static List<Integer> variants(FunctionVersion version) {
    return IntStream.range(0, version.spec().variants().size()).boxed().toList();
  }

  private static InstarException notFound(Invocation invocation) {
    return new InstarException(ErrorCode.FUNCTION_NOT_FOUND, "There is no function " + invocation.function() + " on this node.");
  }

  /** Waits for the pool's preparation. Afterwards it is prepared, or retired. */
  private void prepare(Pool pool, Visit visit) throws InterruptedException {
    // The pool is in the table by now. A removal before that did not see it, but then the registry does not know the version any more.
    if (!published(pool.version())) {
      pool.retire();
      return;
    }
    visit.sit();
    Preparation preparation = pool.prepare(preparations);
    if (preparation == null) {
      return;
    }
    long began = Clock.now();
    try {
      await(pool, preparation, visit.deadline());
    } catch (TimeoutException e) {
      throw visit.timedOut();
    } finally {
      visit.prepared(Clock.now() - began);
    }
  }

  /** As {@link Preparation#await}; what the pool's backend refuses goes to another that runs its kind, where there is one. */
  private void await(Pool pool, Preparation preparation, long deadline) throws InterruptedException, TimeoutException {
    try {
      preparation.await(deadline);
    } catch (InstarException e) {
      if (!backends.passOn(pool.generation(), pool.variant(), e)) {
        throw e;
      }
      pool.retire();
    }
  }

  /** Whether the registry still has it; true when there is no registry to ask. */
  private boolean published(FunctionVersion version) {
    FunctionRegistry functions = registry;
    return functions == null
        || functions.find(version.name()).flatMap(f -> f.version(version.number())).filter(v -> v.uid().equals(version.uid())).isPresent();
  }

  @Override
  public void prepare(FunctionVersion version) throws InterruptedException {
    backends.checkPlacement(version);
    for (int i = 0; i < version.spec().variants().size(); i++) {
      BackendDescription backend = prepared(version, i).generation().description();
      if (!version.spec().secrets().isEmpty() && !backend.leases().contains(SecretLease.KIND)) {
        throw new InstarException(ErrorCode.BAD_REQUEST, "Functions on the backend '" + backend.name() + "' are given no secrets, and " + version.label() + " names "
            + String.join(", ", version.spec().secrets()) + ". Deploy it without, or as a container image.");
      }
      desk.lenders().check(backend.leases(), version);
    }
  }

  /** The pool of a variant, prepared. */
  private Pool prepared(FunctionVersion version, int index) throws InterruptedException {
    while (true) {
      if (stopping) {
        throw Refusal.thrown(Refusal.stopping());
      }
      Generation generation = backends.find(version, index);
      if (generation == null) {
        long wait = desk.settings().backendWait().toNanos();
        backends.await(version, List.of(index), Clock.now() + wait, wait);
        continue;
      }
      Pool pool = generation.pool(version, index);
      if (pool == null) {
        continue;
      }
      Preparation preparation = pool.prepare(preparations);
      if (preparation != null) {
        try {
          // Each preparation is bounded, so the wait for those before it is too.
          await(pool, preparation, Clock.NEVER);
        } catch (TimeoutException e) {
          throw new IllegalStateException(e);
        }
      }
      if (pool.prepared() != null) {
        return pool;
      }
    }
  }

  @Override
  public void forget(FunctionVersion version) {
    versionRemoved(version);
  }

  @Override
  public void versionRemoved(FunctionVersion version) {
    backends.all().forEach(generation -> generation.each(version, Pool::retire));
    desk.forgetCalls(version);
  }

  @Override
  public void versionDeactivated(FunctionVersion version) {
    backends.all().forEach(generation -> generation.each(version, pool -> pool.replaced(true)));
  }

  @Override
  public List<BackendStatus> backends() {
    return backends.statuses();
  }

  @Override
  public List<FunctionVersion> inUse() {
    return backends.all().stream().flatMap(generation -> generation.pools().stream()).filter(pool -> pool.prepared() != null && !pool.replaced()).map(Pool::version).distinct()
        .toList();
  }

  @Override
  public List<BackendAssignment> assignments() {
    return moves.all();
  }

  @Override
  public List<BackendAssignment> move(BackendMove move) throws InterruptedException {
    if (stopping) {
      throw Refusal.thrown(Refusal.stopping());
    }
    return moves.move(move);
  }

  @Override
  public Map<String, String> describe(FunctionVersion version) throws InterruptedException {
    if (!published(version)) {
      throw new InstarException(ErrorCode.VERSION_NOT_FOUND, "There is no " + version.label() + " on this node.");
    }
    while (true) {
      Backends.Route route = backends.find(version);
      Pool pool = prepared(version, route == null ? 0 : route.variant());
      if (!pool.pin()) {
        continue;
      }
      try {
        Map<String, String> facts = Backends.describe(pool.generation(), pool.variant());
        facts.putAll(pool.prepared().describe());
        Limits limits = version.spec().limits();
        // A backend may give less than the limit, and then says what.
        facts.putIfAbsent("memoryBytes", Long.toString(limits.memoryBytes()));
        facts.putIfAbsent("tableElements", Integer.toString(limits.tableElements()));
        facts.put("stackBytes", Long.toString((long) InProcessThreads.stackMib(desk.settings(), limits.stackBytes()) << 20));
        facts.put("timeoutMillis", Long.toString(Visit.shorter(limits.timeout(), desk.settings().maxCall()).toMillis()));
        facts.put("runTimeMillis", Long.toString(limits.runTime().toMillis()));
        facts.put("inputBytes", Long.toString(limits.inputBytes()));
        facts.put("outputBytes", Long.toString(limits.outputBytes()));
        facts.put("logBytes", Long.toString(limits.logBytes()));
        facts.put("openFiles", Integer.toString(limits.openFiles()));
        facts.putIfAbsent("fileBytes", Long.toString(limits.fileBytes()));
        facts.put("madeFiles", Integer.toString(limits.madeFiles()));
        facts.put("concurrency", Integer.toString(limits.concurrency()));
        Map<String, String> lent = desk.lenders().describe(pool.generation().description().leases(), version);
        String backend = Stream.of(facts.remove("limits"), lent.get("limits")).filter(Objects::nonNull).collect(Collectors.joining(", "));
        lent.forEach(facts::put);
        facts.remove("limits");
        if (pool.hasReserve()) {
          facts.put("ready", pool.reserve());
        }
        facts.put("limitsHonoured", "timeout, runTime, input, output, log, concurrency" + (pool.generation().inProcess() ? ", stack" : "")
            + (backend.isEmpty() ? "" : ", " + backend));
        return facts;
      } finally {
        pool.unpin();
      }
    }
  }

  /** On a thread of its own, because closing takes time that the watchdog has not got. */
  private void sweep() {
    Threads.startVirtual("instar-sweep", () -> {
      try {
        long now = Clock.now();
        for (Pool pool : desk.pools()) {
          pool.expire(now);
          pool.freeze(now);
          if (pool.hasReserve()) {
            desk.reserve().look(pool);
          }
        }
        // For those that have just lost their last sandbox.
        desk.shelf().trim(desk.settings().preparedBytes());
        checkpoints.look();
        moves.look();
      } catch (RuntimeException e) {
        LOG.error("Closing what has been idle too long failed", e);
      } finally {
        watchdog.arm(Clock.in(desk.settings().sweep()), this::sweep);
      }
    });
  }

  /** All parts of the node have come. One that is not needed to call functions may be missing. */
  void started() {
    FunctionRegistry functions = registry;
    SnapshotStore states = snapshots;
    if (functions != null && states != null) {
      ahead.begin(functions, states);
    }
    if (functions != null) {
      Threads.startVirtual("instar-ready", () -> readyAll(functions));
    }
  }

  /** Prepares what is to have sandboxes before it is called; they are started when it has been prepared. */
  private void readyAll(FunctionRegistry functions) {
    for (Function function : functions.list()) {
      Optional<FunctionVersion> version = function.version(function.active()).filter(active -> !active.spec().labels().getOrDefault(Readiness.LABEL, "0").equals("0"));
      try {
        if (version.isPresent()) {
          prepare(version.get());
        }
      } catch (InstarException e) {
        LOG.info("{} is not started ahead: {}", version.get().label(), e.getMessage());
      } catch (InterruptedException e) {
        return;
      }
    }
  }

  /** For tests: what must be back at nothing when no call is there. */
  Desk desk() {
    return desk;
  }

  WaitingRoom room() {
    return room;
  }

  Watchdog watchdog() {
    return watchdog;
  }

  InProcessThreads threads() {
    return threads;
  }

  Preparations preparations() {
    return preparations;
  }

  Ahead ahead() {
    return ahead;
  }
}
