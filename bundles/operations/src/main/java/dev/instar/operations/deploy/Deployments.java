package dev.instar.operations.deploy;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import dev.instar.api.Threads;
import dev.instar.api.function.FunctionRegistry;
import dev.instar.api.operations.BundleStatus;
import dev.instar.api.operations.Change;
import dev.instar.api.operations.Deployer;
import dev.instar.api.operations.Deployment;
import dev.instar.api.operations.Deployment.State;
import dev.instar.api.operations.FeatureStatus;
import dev.instar.api.operations.Plan;
import dev.instar.operations.BundleSignature;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import org.osgi.framework.Bundle;
import org.osgi.framework.BundleContext;
import org.osgi.framework.startlevel.BundleStartLevel;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Deactivate;
import org.osgi.service.component.annotations.Modified;
import org.osgi.service.component.annotations.Reference;
import org.osgi.service.component.annotations.ReferenceCardinality;
import org.osgi.service.component.annotations.ReferencePolicy;
import org.osgi.service.component.annotations.ReferencePolicyOption;
import org.osgi.service.component.runtime.ServiceComponentRuntime;
import org.osgi.service.metatype.annotations.Designate;
import org.osgi.service.resolver.Resolver;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The changes of the node's bundles: one at a time, each planned, made, verified and written down. */
@Component(immediate = true, service = {Deployer.class, Deployments.class}, configurationPid = DeployerConfig.PID)
@Designate(ocd = DeployerConfig.class)
public final class Deployments implements Deployer {
  private static final Logger LOG = LoggerFactory.getLogger(Deployments.class);
  /** So many changes are remembered. */
  private static final int REMEMBERED = 64;
  /** For a change that is being made when the node stops. */
  private static final Duration CLOSE = Duration.ofSeconds(20);

  private BundleContext context;
  private Bundles bundles;
  private Store store;
  private Distribution distribution;
  private final Semaphore place = new Semaphore(1, true);
  private final Map<String, Kept> remembered = new LinkedHashMap<>();
  private long count;
  private volatile long done;
  private volatile DeployerConfig config;
  private volatile Thread worker;

  @Reference
  Resolver resolver;

  @Reference(cardinality = ReferenceCardinality.OPTIONAL, policy = ReferencePolicy.DYNAMIC, policyOption = ReferencePolicyOption.GREEDY)
  volatile FunctionRegistry registry;

  @Reference(cardinality = ReferenceCardinality.OPTIONAL, policy = ReferencePolicy.DYNAMIC, policyOption = ReferencePolicyOption.GREEDY)
  volatile ServiceComponentRuntime components;

  private record Kept(Deployment deployment, long began) {}

  /**
   * Finds out what was deployed; the launcher has installed it by now. A method and no constructor: with one that takes the configuration, a change
   * of that would replace the component in the middle of a deployment.
   */
  @Activate
  void activate(BundleContext given, DeployerConfig initial) throws IOException {
    context = given;
    config = initial;
    bundles = new Bundles(context);
    Path root = Path.of(Objects.requireNonNull(context.getProperty("instar.data"), "the framework property instar.data is missing")).resolve("deployed");
    store = new Store(root);
    distribution = new Distribution(Optional.ofNullable(context.getProperty("instar.home")).map(Path::of), root.resolve("jars"));
    new Return(bundles, store).check();
  }

  @Modified
  void modified(DeployerConfig changed) {
    config = changed;
  }

  @Deactivate
  void close() {
    Thread running = worker;
    if (running != null) {
      try {
        running.join(CLOSE);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
  }

  @Override
  public List<BundleStatus> bundles() {
    Deployed state = store.state();
    return bundles.all().stream().map(bundle -> {
      String name = bundle.getSymbolicName() == null ? bundle.getLocation() : bundle.getSymbolicName();
      BundleStartLevel level = bundle.adapt(BundleStartLevel.class);
      Deployed.Entry entry = state.bundles().get(name);
      return new BundleStatus(bundle.getBundleId(), name, bundle.getVersion().toString(), Bundles.state(bundle), level == null ? 0 : level.getStartLevel(),
          entry != null && entry.version().equals(bundle.getVersion()) ? entry.origin() : "distribution", bundles.stays(bundle));
    }).toList();
  }

  @Override
  public List<FeatureStatus> features() {
    Map<String, FeatureStatus> found = new TreeMap<>();
    Catalogue catalogue = distribution.catalogue();
    Map<String, Deployed.Applied> applied = store.state().features();
    for (FeatureFile feature : distribution.features()) {
      boolean present = feature.bundles().stream().allMatch(id -> catalogue.find(id).flatMap(item -> bundles.named(item.name())).isPresent());
      found.put(feature.name(), new FeatureStatus(feature.name(), feature.id(), feature.description(), feature.bundles(), present, applied.containsKey(feature.name())));
    }
    for (Deployed.Applied feature : applied.values()) {
      boolean present = feature.names().stream().allMatch(name -> bundles.named(name).isPresent());
      found.put(feature.name(), new FeatureStatus(feature.name(), feature.id(), feature.description(), feature.bundles(), present, true));
    }
    return List.copyOf(found.values());
  }

  /** Finds a piece of work under the place of the one change that is made. */
  @FunctionalInterface
  interface Task {
    Work work(Changes changes) throws IOException;
  }

  @Override
  public Plan plan(Change change) throws IOException, InterruptedException {
    try (Changes changes = changes()) {
      changes.receive(change);
      take();
      try {
        return planner().plan(changes.of(change));
      } finally {
        place.release();
      }
    }
  }

  @Override
  public Deployment begin(Change change) throws IOException, InterruptedException {
    try (Changes changes = changes()) {
      changes.receive(change);
      return begin(changes, all -> all.of(change));
    }
  }

  Deployment begin(Task task) throws IOException, InterruptedException {
    try (Changes changes = changes()) {
      return begin(changes, task);
    }
  }

  private Deployment begin(Changes changes, Task task) throws IOException, InterruptedException {
    take();
    boolean running = false;
    try {
      Work work = task.work(changes);
      Plan plan = planner().plan(work);
      List<Work.Replacement> kept = new ArrayList<>();
      for (Work.Replacement one : work.replacements()) {
        kept.add(new Work.Replacement(one.former(), one.next().isPresent() ? Optional.of(store.keep(one.next().get())) : Optional.empty(), one.start()));
      }
      Work durable = new Work(work.what(), kept, work.starts(), work.stops(), work.kept(), work.edit());
      Deployment begun = remember(new Deployment(nextId(), work.what(), plan, State.RUNNING, Optional.empty(), List.of(), Duration.ZERO), System.nanoTime());
      Thread thread = Threads.platform("instar-deploy", () -> make(begun, durable));
      worker = thread;
      thread.start();
      running = true;
      return begun;
    } finally {
      if (!running) {
        place.release();
      }
    }
  }

  /** Whether an operator has stopped a bundle. */
  public boolean stopped(String name) {
    return store.state().stopped().contains(name);
  }

  /** Counts up with each change that was made. */
  long done() {
    return done;
  }

  Store.Received receive(Path file) throws IOException {
    try (InputStream in = Files.newInputStream(file)) {
      return store.receive(in, config.max$_$bundle$_$bytes());
    }
  }

  void discard(Store.Received received) {
    store.discard(received.file());
  }

  /** Whether what was deployed is what the node has. */
  boolean runs(Deployed.Entry entry) {
    return bundles.named(entry.name()).filter(b -> b.getVersion().equals(entry.version())).isPresent();
  }

  /** What has been deployed. */
  Deployed state() {
    return store.state();
  }

  private Changes changes() {
    return new Changes(bundles, store, distribution, config.max$_$bundle$_$bytes(),
        Optional.of(config.trusted$_$signers().strip()).filter(file -> !file.isEmpty()).map(file -> BundleSignature.trusting(Path.of(file))));
  }

  private Planner planner() {
    return new Planner(context, bundles, resolver, () -> {
      FunctionRegistry functions = registry;
      return functions == null ? List.of() : functions.list();
    });
  }

  private void take() throws InterruptedException {
    if (!place.tryAcquire(config.wait$_$ms(), TimeUnit.MILLISECONDS)) {
      throw new InstarException(Problem.of(ErrorCode.NODE_BUSY, "Another change of the node's bundles has been going on for " + Duration.ofMillis(config.wait$_$ms()).toSeconds()
          + " s. Try again when it has ended.").retryAfter(Duration.ofSeconds(5)));
    }
  }

  private void make(Deployment begun, Work work) {
    long began = System.nanoTime();
    LOG.info("Begins: {}", begun.what());
    Deployment ended;
    try {
      Making making = new Making(context, bundles, new Components(() -> Optional.ofNullable(components)), Duration.ofMillis(config.start$_$ms()));
      List<String> notes = making.run(work, () -> store.write(store.state().with(work.edit())));
      ended = new Deployment(begun.id(), begun.what(), begun.plan(), State.DONE, Optional.empty(), notes, Duration.ofNanos(System.nanoTime() - began));
      done++;
      LOG.info("Done in {} ms: {}", ended.took().toMillis(), begun.what());
    } catch (InstarException e) {
      LOG.error("Not done: {}: {}", begun.what(), e.problem().detail(), e.getCause());
      ended = new Deployment(begun.id(), begun.what(), begun.plan(), State.ROLLED_BACK, Optional.of(e.problem()), List.of(), Duration.ofNanos(System.nanoTime() - began));
    } catch (IOException | InterruptedException | RuntimeException | Error e) {
      LOG.error("Not done: {}", begun.what(), e);
      ended = new Deployment(begun.id(), begun.what(), begun.plan(), State.ROLLED_BACK, Optional.of(Problem.of(ErrorCode.INTERNAL, "The change failed: " + e + ". The node's log says more.")), List.of(),
          Duration.ofNanos(System.nanoTime() - began));
    }
    try {
      Set<Path> inUse = new HashSet<>();
      for (Bundle bundle : bundles.all()) {
        Distribution.file(bundle).ifPresent(inUse::add);
      }
      store.sweep(inUse);
    } catch (RuntimeException e) {
      // A disk that fails while it is listed, say. The next change sweeps again.
      LOG.warn("Jars that are no longer used could not be looked for", e);
    }
    worker = null;
    place.release();
    // Last, so that whoever has seen the end finds the place free.
    remember(ended, began);
  }

  private synchronized String nextId() {
    return Long.toString(System.currentTimeMillis(), 36) + "-" + ++count;
  }

  private synchronized Deployment remember(Deployment deployment, long began) {
    remembered.put(deployment.id(), new Kept(deployment, began));
    if (remembered.size() > REMEMBERED) {
      remembered.remove(remembered.keySet().iterator().next());
    }
    notifyAll();
    return deployment;
  }

  @Override
  public synchronized Optional<Deployment> find(String id) {
    return Optional.ofNullable(remembered.get(id)).map(Deployments::now);
  }

  private static Deployment now(Kept kept) {
    Deployment d = kept.deployment();
    return d.state() != State.RUNNING ? d : new Deployment(d.id(), d.what(), d.plan(), d.state(), d.problem(), d.notes(), Duration.ofNanos(System.nanoTime() - kept.began()));
  }

  @Override
  public synchronized Optional<Deployment> await(String id, Duration limit) throws InterruptedException {
    long end = System.nanoTime() + limit.toNanos();
    while (true) {
      Optional<Deployment> found = find(id);
      long left = end - System.nanoTime();
      if (found.isEmpty() || found.get().state() != State.RUNNING || left <= 0) {
        return found;
      }
      TimeUnit.NANOSECONDS.timedWait(this, left);
    }
  }
}
