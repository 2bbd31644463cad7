package dev.instar.scheduler;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Threads;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.function.Variant;
import dev.instar.api.invocation.BackendStatus;
import dev.instar.api.placement.PlacementPolicy;
import dev.instar.api.sandbox.BackendDescription;
import dev.instar.api.sandbox.Probe;
import dev.instar.api.sandbox.SandboxBackend;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Which backends are here, and which of them runs a version. Arrivals and departures are rare and take the monitor; calls read
 * {@link Routes}, an immutable table that is replaced whole, and take the monitor only when it has nothing for them and they wait.
 */
final class Backends {
  private static final Logger LOG = LoggerFactory.getLogger(Backends.class);
  /** A probe may take a second by contract; who takes longer is not waited for, and used when it has answered. */
  private static final long PROBE_SECONDS = 5;
  private static final int RAMP_STEPS = 20;
  /** In one of the steps. What is called more seldom has warmed nothing when the time is over. */
  private static final int RAMP_CALLS = 5;
  /** What a killed call may take to end: a second by contract, two for the close of its sandbox, and some for a busy machine. */
  private static final long KILL_SECONDS = 5;

  /**
   * Where calls go.
   *
   * @param byName the newest open generation of each backend
   * @param ranked the same, highest service ranking first, then by name, so that a swap does not change the order
   * @param assignments who runs what another would
   */
  private record Routes(Map<String, Generation> byName, List<Generation> ranked, Assignments assignments) {
    /** The backend that would run it if nothing were assigned: the one that it names, else the first for its kind; null when there is none. */
    String own(Variant variant) {
      if (variant.backend().isPresent()) {
        return variant.backend().get();
      }
      String refusing = null;
      for (Generation generation : ranked) {
        if (generation.description().kinds().contains(variant.kind())) {
          if (!generation.refuses(variant.digest())) {
            return generation.name();
          }
          refusing = refusing == null ? generation.name() : refusing;
        }
      }
      return refusing;
    }

    Generation named(String name, Variant variant) {
      Generation named = byName.get(name);
      return named != null && named.description().kinds().contains(variant.kind()) ? named : null;
    }
  }

  /**
   * @param variant the index of the version's variant that it runs
   * @param instead where it may go while it is not prepared in {@code generation}; null for nowhere
   */
  record Route(Generation generation, int variant, Generation instead) {}

  private final Desk desk;
  private final Consumer<Generation> warm;
  private final long started = Clock.now();
  private volatile PlacementPolicy policy;
  private volatile PlacementPolicy faulty;
  private volatile Routes routes = new Routes(Map.of(), List.of(), Assignments.NONE);

  // All below: under the monitor.
  private final List<Generation> generations = new ArrayList<>();
  private final Map<String, Long> counters = new HashMap<>();
  private final Map<String, BackendDescription> known = new HashMap<>();
  private Assignments assignments = Assignments.NONE;
  private boolean closed;

  /** @param warm has a generation that is about to take calls prepare what the one before it has; may take a while */
  Backends(Desk desk, Consumer<Generation> warm) {
    this.desk = desk;
    this.warm = warm;
  }

  /** Takes a backend in: counts its generation, probes it, and sends calls there if it is usable. */
  Generation arrived(SandboxBackend backend, int ranking) {
    BackendDescription description = backend.describe();
    Generation generation;
    synchronized (this) {
      generation = new Generation(desk, backend, description, counters.merge(description.name(), 1L, Long::sum), ranking);
      generations.add(generation);
    }
    CompletableFuture<Void> probed = new CompletableFuture<>();
    Threads.startPlatform("instar-probe-" + description.name(), () -> {
      Probe usable = probe(backend);
      if (usable instanceof Probe.Usable) {
        warm.accept(generation);
      }
      Generation before = named(generation.name());
      generation.probe(usable);
      if (before != null && generation.open()) {
        ramp(before, generation, desk.settings().ramp());
      }
      route();
      probed.complete(null);
    });
    long seconds = PROBE_SECONDS + Scheduler.WARM.toSeconds() + desk.settings().ramp().toSeconds();
    try {
      // Waited for, so that a backend takes calls by the time its registration returns, and the old one of a swap can go.
      probed.get(seconds, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (Exception e) {
      LOG.warn("The probe of {} has not ended in {} s; it gets calls when it has", generation, seconds);
    }
    if (generation.probe() instanceof Probe.Missing missing) {
      LOG.info("{} is here but can't run: {}. {}", generation, missing.what(), missing.remedy());
    } else {
      LOG.info("{} is here, for {}", generation, description.kinds());
    }
    return generation;
  }

  /**
   * Gives a growing share of the calls to the new one while the old one still makes the others: its code is new to the JVM, which interprets it first, and compiles it as it
   * is used. Returns when all may go there: at the end of the time, or when the old
   * one leaves, or when there are no calls that could warm anything.
   */
  private void ramp(Generation before, Generation next, Duration time) {
    Succession succession = new Succession(before, Clock.now(), time.toNanos());
    next.succeeds(succession);
    route();
    long seen = before.servedCalls() + next.servedCalls();
    try {
      while (before.open() && next.open() && Clock.now() < succession.end()) {
        Thread.sleep(time.dividedBy(RAMP_STEPS));
        long now = before.servedCalls() + next.servedCalls();
        if (now - seen < RAMP_CALLS) {
          break;
        }
        seen = now;
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } finally {
      next.succeeds(null);
    }
  }

  /** Asks it anew, and does not wait for it: until it has answered, what it said before holds. */
  void probeAgain(Generation generation) {
    Threads.startPlatform("instar-probe-" + generation.name(), () -> {
      Probe before = generation.probe();
      Probe now = probe(generation.backend());
      generation.probe(now);
      if (!now.equals(before)) {
        LOG.info("{}: {}", generation, switch (now) {
          case Probe.Usable usable -> usable.detail();
          case Probe.Missing missing -> missing.what() + ". " + missing.remedy();
        });
        route();
      }
    });
  }

  private static Probe probe(SandboxBackend backend) {
    try {
      return backend.probe();
    } catch (Throwable e) {
      LOG.error("A backend's probe failed", e);
      return new Probe.Missing("its probe failed: " + e, "See the node's log.");
    }
  }

  /**
   * Sends calls elsewhere at once, lets those that run end, kills those that don't, and closes everything of this generation. Returns
   * when nothing of the backend is in use (or it won't let go: that is logged).
   */
  void departed(Generation generation, long drainNanos) {
    leave(List.of(generation));
    generation.retireAll();
    drain(List.of(generation), Clock.now() + drainNanos);
    synchronized (this) {
      generations.remove(generation);
    }
    LOG.info("{} has gone", generation);
  }

  /** The same for all, for the scheduler's own end; who waits for a backend is sent away. */
  void close(long drainNanos) {
    List<Generation> all;
    synchronized (this) {
      closed = true;
      all = List.copyOf(generations);
      notifyAll();
    }
    leave(all);
    all.forEach(Generation::retireAll);
    drain(all, Clock.now() + drainNanos);
  }

  /** One step with the routes, and for {@link #statuses}: once somebody has seen a generation drain, no call begins there any more. */
  private synchronized void leave(List<Generation> leaving) {
    leaving.forEach(Generation::leave);
    route();
  }

  private void drain(List<Generation> leaving, long deadline) {
    boolean empty = true;
    for (Generation generation : leaving) {
      empty &= generation.awaitEmpty(deadline);
    }
    if (empty) {
      return;
    }
    for (Generation generation : leaving) {
      BackendStatus status = generation.status();
      LOG.warn("{} did not drain in time: killing {} calls", generation, status.inFlight());
      generation.kill(Slot.Cause.DRAINED);
    }
    // Whoever asked for the drain may have been interrupted; the kill is waited for all the same.
    boolean interrupted = Thread.interrupted();
    long end = Clock.now() + TimeUnit.SECONDS.toNanos(KILL_SECONDS);
    for (Generation generation : leaving) {
      if (!generation.awaitEmpty(end)) {
        LOG.error("{} does not let go of {} sandboxes after their kill", generation, generation.status().inFlight());
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private synchronized void route() {
    Map<String, Generation> newest = new HashMap<>();
    for (Generation generation : generations) {
      if (generation.open()) {
        newest.merge(generation.name(), generation, (a, b) -> a.number() > b.number() ? a : b);
        known.put(generation.name(), generation.description());
      }
    }
    routes = new Routes(Map.copyOf(newest),
        newest.values().stream().sorted(Comparator.comparingInt((Generation g) -> -g.ranking()).thenComparing(Generation::name)).toList(), assignments);
    notifyAll();
  }

  /** Where a call of the version goes: to the one variant that a backend can run now, or of several to the one that the policy chooses. Null when there is none. */
  Route find(FunctionVersion version) {
    Routes now = routes;
    PlacementPolicy chooser = policy;
    List<Variant> variants = version.spec().variants();
    if (variants.size() == 1) {
      return turn(find(now, version, 0), version);
    }
    List<Route> found = new ArrayList<>();
    for (int i = 0; i < variants.size() && (found.isEmpty() || chooser != null); i++) {
      Route route = find(now, version, i);
      if (route != null) {
        found.add(route);
      }
    }
    return found.isEmpty() ? null : turn(found.get(found.size() == 1 ? 0 : choose(chooser, version, found)), version);
  }

  /** While calls move from one generation to the next, the part that has not moved yet goes to the old one, if that has the function. */
  private static Route turn(Route route, FunctionVersion version) {
    Succession succession = route == null ? null : route.generation().succession();
    if (succession == null || !succession.before().open() || ThreadLocalRandom.current().nextDouble() < succession.share(Clock.now())) {
      return route;
    }
    Pool there = succession.before().present(version, route.variant());
    return there == null || there.prepared() == null ? route : new Route(succession.before(), route.variant(), route.instead());
  }

  private int choose(PlacementPolicy chooser, FunctionVersion version, List<Route> found) {
    try {
      int chosen = chooser.choose(version, found.stream().map(route -> candidate(version, route)).toList());
      if (chosen >= 0 && chosen < found.size()) {
        return chosen;
      }
      failed(chooser, version, "it chose " + chosen + " of " + found.size());
    } catch (RuntimeException | LinkageError e) {
      failed(chooser, version, "it threw " + e);
    }
    return 0;
  }

  private static PlacementPolicy.Candidate candidate(FunctionVersion version, Route route) {
    Generation generation = route.generation();
    String kind = version.spec().variants().get(route.variant()).kind();
    Pool pool = generation.present(version, route.variant());
    return pool == null ? new PlacementPolicy.Candidate(route.variant(), kind, generation.name(), false, 0, 0)
        : new PlacementPolicy.Candidate(route.variant(), kind, generation.name(), pool.prepared() != null, pool.idleCount(), pool.busyCount());
  }

  /** Told once for each policy: it may be for each call. */
  private void failed(PlacementPolicy chooser, FunctionVersion version, String how) {
    if (faulty != chooser) {
      faulty = chooser;
      LOG.warn("The placement policy {} failed for {}: {}. Such calls go to the first variant that can run.", chooser.getClass().getName(), version.name(), how);
    }
  }

  /** Who decides from now on; null for nobody. */
  /** Asks the policy about a version that is being deployed. */
  void checkPlacement(FunctionVersion version) {
    PlacementPolicy chooser = policy;
    try {
      if (chooser != null) {
        chooser.check(version);
      }
    } catch (InstarException e) {
      throw e;
    } catch (RuntimeException e) {
      LOG.warn("The placement policy {} failed for {}", chooser.getClass().getName(), version.name(), e);
    }
  }

  void policy(PlacementPolicy chooser) {
    policy = chooser;
    faulty = null;
  }

  /**
   * To be told when a backend has refused a module: where another one runs its kind and has not refused it, calls go there from now on.
   *
   * @return whether there is such a one
   */
  boolean passOn(Generation refusing, Variant variant, InstarException refusal) {
    if (refusal.code() != ErrorCode.MODULE_REFUSED || variant.backend().isPresent()) {
      return false;
    }
    boolean other = routes.ranked().stream().anyMatch(g -> g != refusing && g.description().kinds().contains(variant.kind()) && !g.refuses(variant.digest()));
    if (other) {
      refusing.refuse(variant.digest());
    }
    return other;
  }

  /** Where a variant would run now. Null when nowhere. */
  Generation find(FunctionVersion version, int variant) {
    Route route = find(routes, version, variant);
    return route == null ? null : route.generation();
  }

  private static Route find(Routes now, FunctionVersion version, int index) {
    Variant variant = version.spec().variants().get(index);
    String own = now.own(variant);
    if (own == null) {
      return null;
    }
    if (now.assignments().isEmpty()) {
      Generation generation = now.named(own, variant);
      return generation == null ? null : new Route(generation, index, null);
    }
    Assignments.Target target = now.assignments().of(version.name(), own, ThreadLocalRandom.current().nextDouble(), Instant.now());
    Generation first = now.named(target.backend(), variant);
    Generation instead = target.instead().map(name -> now.named(name, variant)).orElse(null);
    return first != null ? new Route(first, index, instead) : instead == null ? null : new Route(instead, index, null);
  }

  /** The backend that would run it if nothing were assigned; empty when there is none. */
  Optional<String> own(Variant variant) {
    return Optional.ofNullable(routes.own(variant));
  }

  /** The one that takes the calls of a backend now. Null when it takes none. */
  Generation named(String backend) {
    return routes.byName().get(backend);
  }

  /** Whether a backend of this name is here, or has been since the node started. */
  synchronized boolean knows(String backend) {
    return known.containsKey(backend) || generations.stream().anyMatch(g -> g.name().equals(backend));
  }

  /** What a backend says that it is, or said when it was here last. Null when it was never here. */
  synchronized BackendDescription description(String backend) {
    return generations.stream().filter(g -> g.name().equals(backend)).map(Generation::description).findFirst().orElse(known.get(backend));
  }

  /** Sends calls where these say, at once. */
  synchronized void assign(Assignments changed) {
    assignments = changed;
    route();
  }

  /**
   * Waits until one of the variants can run.
   *
   * @throws InstarException BACKEND_UNAVAILABLE at the deadline, and at once when no such backend has been here since the node started
   *     (but in the first moments, when it may be about to come); NOT_READY when the scheduler stops
   */
  void await(FunctionVersion version, List<Integer> indices, long deadline, long patienceNanos) throws InterruptedException {
    List<Variant> variants = indices.stream().map(version.spec().variants()::get).toList();
    long until = Math.min(deadline, Clock.now() + patienceNanos);
    synchronized (this) {
      while (true) {
        if (closed) {
          throw Refusal.thrown(Refusal.stopping());
        }
        if (indices.stream().anyMatch(index -> find(version, index) != null)) {
          return;
        }
        boolean away = variants.stream().anyMatch(this::wasHere) || indices.stream().anyMatch(index -> assigned(version, index).isPresent());
        long end = away ? until : Math.min(until, started + patienceNanos);
        long millis = (end - Clock.now() + 999_999) / 1_000_000;
        if (millis <= 0) {
          throw Refusal.thrown(Refusal.noBackend(why(version, indices, away), away));
        }
        wait(millis);
      }
    }
  }

  private boolean wasHere(Variant variant) {
    return known.values().stream()
        .anyMatch(d -> d.kinds().contains(variant.kind()) && variant.backend().map(d.name()::equals).orElse(true));
  }

  /** The backend that the calls of a variant are assigned to, if that is another than its own. */
  private Optional<String> assigned(FunctionVersion version, int index) {
    String own = routes.own(version.spec().variants().get(index));
    return own == null ? Optional.empty() : routes.assignments().last(version.name(), own);
  }

  private String why(FunctionVersion version, List<Integer> indices, boolean away) {
    for (int index : indices) {
      Optional<String> assigned = assigned(version, index);
      if (assigned.isPresent()) {
        return "The calls of " + version.name() + " are assigned to the backend '" + assigned.get() + "', which is not here at the moment. Bring it back, or move them with"
            + " 'instar backends swap'.";
      }
    }
    Variant first = version.spec().variants().get(indices.getFirst());
    String wanted = first.backend().map(name -> "the backend '" + name + "' for images of kind '" + first.kind() + "'")
        .orElse("a backend for images of kind '" + first.kind() + "'");
    for (Generation generation : generations) {
      if (generation.probe() instanceof Probe.Missing missing && generation.description().kinds().contains(first.kind())
          && first.backend().map(generation.name()::equals).orElse(true)) {
        return "This node needs " + wanted + "; " + generation.name() + " is here but can't run: " + missing.what() + ". " + missing.remedy();
      }
    }
    return away ? "This node had " + wanted + ", which has gone. Where it is being replaced it comes back in a moment: try again. Else install it, or deploy the function in another form."
        : "This node has not got " + wanted + ". Install it, or deploy the function in another form.";
  }

  synchronized List<BackendStatus> statuses() {
    return generations.stream().sorted(Comparator.comparing(Generation::name).thenComparingLong(Generation::number)).map(Generation::status).toList();
  }

  /** Every generation, those that drain too. */
  synchronized List<Generation> all() {
    return List.copyOf(generations);
  }

  /** What an operator sees of where a version runs. */
  static Map<String, String> describe(Generation generation, Variant variant) {
    Map<String, String> facts = new LinkedHashMap<>();
    facts.put("backend", generation.name());
    facts.put("generation", Long.toString(generation.number()));
    facts.put("engine", generation.description().version());
    facts.put("isolation", generation.description().isolation().name().toLowerCase(Locale.ROOT));
    facts.put("kind", variant.kind());
    facts.put("digest", variant.digest().value());
    return facts;
  }
}
