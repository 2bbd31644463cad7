package dev.instar.functions;

import dev.instar.api.Digest;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import dev.instar.api.Threads;
import dev.instar.api.data.AreaLock;
import dev.instar.api.data.DataDirectory;
import dev.instar.api.data.DurableFiles;
import dev.instar.api.function.Function;
import dev.instar.api.function.FunctionListener;
import dev.instar.api.function.FunctionName;
import dev.instar.api.function.FunctionRegistry;
import dev.instar.api.function.FunctionSpec;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.function.Image;
import dev.instar.api.function.Readiness;
import dev.instar.api.function.Variant;
import dev.instar.api.image.ImageStore;
import dev.instar.api.invocation.Preparer;
import dev.instar.api.log.FunctionLogs;
import dev.instar.api.network.NetworkRequest;
import java.io.IOException;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.function.Consumer;
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
 * The registry of functions, durable.
 *
 * <p>The table in memory is what {@link #find} reads; a change is made under its function's own lock in the order check, prepare, write to
 * disk, put into the table, tell the listeners. All that outlasts this object is on disk, so another one may take over at any moment.
 * The services that it uses while publishing may be away during a swap; it waits for them for a while and never goes away itself.
 *
 * <p><b>When it is swapped itself</b>, two of these are there for a moment, and each change must be seen by both. Only the one that holds the
 * area's lock has a table and makes changes. The newer one answers questions from disk and lets changes wait until the older one has
 * finished its own and gone; then it reads the table.
 */
@Component(immediate = true, service = FunctionRegistry.class, configurationPid = DurableRegistry.PID)
@Designate(ocd = FunctionsConfig.class)
public final class DurableRegistry implements FunctionRegistry {
  static final String PID = "dev.instar.functions";
  private static final Logger LOG = LoggerFactory.getLogger(DurableRegistry.class);
  private static final int UID_BYTES = 16;
  /** How long a stop waits for changes that are being made, which may be compiling. */
  private static final Duration DRAIN = Duration.ofSeconds(10);
  private static final Duration AFTER_START = Duration.ofMinutes(1);
  /** A removal lists all images: not while everything else of the node starts. */
  private static final Duration WHILE_STARTING = Duration.ofSeconds(15);
  private static final Duration COLLECT_EVERY = Duration.ofMinutes(10);

  private final FunctionStore store;
  private final CountDownLatch loaded = new CountDownLatch(1);
  /** Held for reading while a change is made, from its first check to its end. */
  private final ReadWriteLock changes = new ReentrantReadWriteLock();
  /** Held for reading while a change is written and put into the table. */
  private final ReadWriteLock commits = new ReentrantReadWriteLock();
  private final AtomicBoolean collectSoon = new AtomicBoolean();
  private final ImageUse imageUse;
  private final NameLocks locks = new NameLocks();
  private final Slot<ImageStore> images = new Slot<>();
  private final Slot<Preparer> preparer = new Slot<>();
  private final Slot<FunctionLogs> logs = new Slot<>();
  private final List<FunctionListener> listeners = new CopyOnWriteArrayList<>();
  private final SecureRandom random = new SecureRandom();
  private final ScheduledExecutorService collector = Executors.newSingleThreadScheduledExecutor(work -> Threads.platform("instar-functions-collect", work));
  private volatile Map<FunctionName, Entry> functions = Map.of();
  private volatile Optional<AreaLock> owned = Optional.empty();
  private volatile Thread takeOver = Threads.virtual("instar-functions-take-over", () -> {});
  private volatile boolean stopping;
  private volatile Settings settings;

  /** Returns before the table has been read, which a thousand functions take a tenth of a node's start for; until then it is as in a swap. */
  @Activate
  public DurableRegistry(@Reference DataDirectory data, FunctionsConfig config) {
    this(data, Settings.of(config), true);
  }

  /** For use without OSGi: returns when the table has been read. */
  public DurableRegistry(DataDirectory data, Settings settings) {
    this(data, settings, false);
  }

  DurableRegistry(DataDirectory data, Settings settings, boolean later) {
    this.settings = settings;
    Path area = data.area("functions");
    store = new FunctionStore(area);
    imageUse = new ImageUse(() -> functions.values(), store, System::nanoTime);
    Optional<AreaLock> free = AreaLock.tryTake(area);
    if (free.isPresent() && later) {
      takeOver = Threads.startVirtual("instar-functions-read", () -> takeOver(free::get));
    } else if (free.isPresent()) {
      own(free.get());
    } else {
      LOG.info("Another registry is still here; this one takes over when it has gone");
      takeOver = Threads.startVirtual("instar-functions-take-over", () -> takeOver(() -> AreaLock.take(area)));
    }
  }

  private void own(AreaLock lock) {
    long begin = System.nanoTime();
    try {
      functions = store.load();
    } catch (IOException | RuntimeException e) {
      lock.close();
      throw e instanceof IOException io ? failed("The functions cannot be read", io) : (RuntimeException) e;
    }
    owned = Optional.of(lock);
    loaded.countDown();
    LOG.info("{} functions, read in {} ms", functions.size(), TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - begin));
    // After a swap, calls may still run that read images of versions which our predecessor removed; after a start of the node there are none.
    boolean nodeStarts = ProcessHandle.current().info().startInstant().map(t -> t.isAfter(Instant.now().minus(AFTER_START))).orElse(false);
    if (stopping) {
      return;
    }
    collector.scheduleWithFixedDelay(this::collect, (nodeStarts ? WHILE_STARTING : settings.imageGrace()).toMillis(),
        COLLECT_EVERY.toMillis(), TimeUnit.MILLISECONDS);
  }

  private interface Taking {
    AreaLock take() throws InterruptedException;
  }

  private void takeOver(Taking area) {
    try {
      own(area.take());
    } catch (InterruptedException e) {
      // Stopped while it waited.
    } catch (RuntimeException e) {
      LOG.error("This registry cannot take over; functions can be called but not changed", e);
    }
  }

  @Modified
  void configure(FunctionsConfig config) {
    settings = Settings.of(config);
  }

  /** Lets changes that are being made come to their end, and gives the area back. */
  @Deactivate
  public void stop() {
    stopping = true;
    collector.shutdownNow();
    try {
      takeOver.interrupt();
      takeOver.join();
      if (!changes.writeLock().tryLock(DRAIN.toMillis(), TimeUnit.MILLISECONDS)) {
        LOG.warn("Changes of functions still go on after {} s; they are refused when they come to be written", DRAIN.toSeconds());
      }
      if (!collector.awaitTermination(DRAIN.toMillis(), TimeUnit.MILLISECONDS)) {
        LOG.warn("A removal of unused images still runs");
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    commits.writeLock().lock();
    try {
      owned.ifPresent(AreaLock::close);
      owned = Optional.empty();
    } finally {
      commits.writeLock().unlock();
    }
  }

  @Reference(cardinality = ReferenceCardinality.OPTIONAL, policy = ReferencePolicy.DYNAMIC, policyOption = ReferencePolicyOption.GREEDY)
  public void setImages(ImageStore service) {
    images.set(service);
  }

  public void unsetImages(ImageStore service) {
    images.clear(service);
  }

  @Reference(cardinality = ReferenceCardinality.OPTIONAL, policy = ReferencePolicy.DYNAMIC, policyOption = ReferencePolicyOption.GREEDY)
  public void setPreparer(Preparer service) {
    preparer.set(service);
  }

  public void unsetPreparer(Preparer service) {
    preparer.clear(service);
  }

  @Reference(cardinality = ReferenceCardinality.OPTIONAL, policy = ReferencePolicy.DYNAMIC, policyOption = ReferencePolicyOption.GREEDY)
  public void setLogs(FunctionLogs service) {
    logs.set(service);
  }

  public void unsetLogs(FunctionLogs service) {
    logs.clear(service);
  }

  @Reference(cardinality = ReferenceCardinality.MULTIPLE, policy = ReferencePolicy.DYNAMIC, policyOption = ReferencePolicyOption.GREEDY)
  public void addListener(FunctionListener listener) {
    listeners.add(listener);
  }

  public void removeListener(FunctionListener listener) {
    listeners.remove(listener);
  }

  @Override
  public Optional<Function> find(FunctionName name) {
    return loaded.getCount() == 0 ? Optional.ofNullable(functions.get(name)).map(Entry::function) : store.read(name).map(Entry::function);
  }

  @Override
  public List<Function> list() {
    return (loaded.getCount() == 0 ? functions : store.readAll()).values().stream().map(Entry::function)
        .sorted((a, b) -> a.name().compareTo(b.name())).toList();
  }

  @Override
  public FunctionVersion publish(FunctionName name, FunctionSpec spec, boolean activate) throws InterruptedException {
    try (var _ = change(); var _ = locks.takeInterruptibly(name); var _ = imageUse.pend(spec.variants())) {
      // A label that is wrong is told to whoever deploys, by whatever way, and not to each caller.
      NetworkRequest.of(name, spec.labels());
      Readiness.least(spec.labels());
      checkImages(spec);
      Optional<Entry> before = Optional.ofNullable(functions.get(name));
      FunctionVersion candidate = new FunctionVersion(name, before.map(Entry::next).orElse(1), uid(), Instant.now(), spec);
      Preparer by = prepared(candidate);
      boolean published = false;
      try {
        Change change = before.map(b -> added(b, candidate, activate)).orElseGet(() -> new Change(
            new Entry(new Function(name, List.of(candidate), candidate.number(), Optional.empty()), candidate.number() + 1), Optional.empty(),
                List.of()));
        apply(change);
        published = true;
        return candidate;
      } finally {
        if (!published) {
          forget(by, candidate);
        }
      }
    }
  }

  private Preparer preparer(FunctionVersion candidate) throws InterruptedException {
    return preparer.await(settings.serviceWait()).orElseThrow(() -> new InstarException(Problem.of(ErrorCode.BACKEND_UNAVAILABLE,
        "The scheduler, which prepares " + candidate.label() + ", is not here. Try again in a moment.").retryAfter(Duration.ofSeconds(5))));
  }

  /** A scheduler that stops in the midst of it is followed by the one that takes its place. @return who has prepared it */
  private Preparer prepared(FunctionVersion candidate) throws InterruptedException {
    Preparer next = preparer(candidate);
    while (true) {
      Preparer by = next;
      boolean prepared = false;
      try {
        by.prepare(candidate);
        prepared = true;
        return by;
      } catch (InstarException e) {
        next = e.code() == ErrorCode.NOT_READY ? preparer(candidate) : by;
        if (next == by) {
          throw e;
        }
      } finally {
        if (!prepared) {
          forget(by, candidate);
        }
      }
    }
  }

  private ImageStore images() throws InterruptedException {
    return images.await(settings.serviceWait()).orElseThrow(() -> new InstarException(Problem.of(ErrorCode.NOT_READY,
        "The content store is not here. Try again in a moment.").retryAfter(Duration.ofSeconds(5))));
  }

  private void checkImages(FunctionSpec spec) throws InterruptedException {
    ImageStore in = images();
    for (Variant variant : spec.variants()) {
      Image image = in.find(variant.digest()).orElseThrow(() -> new InstarException(ErrorCode.IMAGE_NOT_FOUND,
          "There is no image " + variant.digest() + ". Upload it first.", Map.of("digest", variant.digest().value())));
      if (!image.kind().equals(variant.kind())) {
        throw new InstarException(ErrorCode.BAD_REQUEST, "The image " + variant.digest() + " is of the kind '" + image.kind()
            + "'; the variant says '" + shown(variant.kind()) + "'.");
      }
    }
  }

  private static String shown(String text) {
    String safe = text.replaceAll("[^ -~]", "?");
    return safe.length() > 80 ? safe.substring(0, 80) + "..." : safe;
  }

  private String uid() {
    byte[] bytes = new byte[UID_BYTES];
    random.nextBytes(bytes);
    return HexFormat.of().formatHex(bytes);
  }

  private static void forget(Preparer by, FunctionVersion candidate) {
    try {
      by.forget(candidate);
    } catch (RuntimeException e) {
      LOG.warn("What was prepared for {}, which is not published, may not have been released", candidate.label(), e);
    }
  }

  @Override
  public Function activate(FunctionName name, int number) {
    try (var _ = changeUninterruptibly(); var _ = locks.take(name)) {
      Entry before = existing(name);
      existing(before.function(), number);
      return activated(before, number);
    }
  }

  @Override
  public Function rollBack(FunctionName name) {
    try (var _ = changeUninterruptibly(); var _ = locks.take(name)) {
      Entry before = existing(name);
      return activated(before, before.function().previous().orElseThrow(() -> new InstarException(ErrorCode.CONFLICT,
          name + " has no version that was active before " + before.function().active() + "; activate one by its number.")));
    }
  }

  @Override
  public Function removeVersion(FunctionName name, int number) {
    try (var _ = changeUninterruptibly(); var _ = locks.take(name)) {
      Entry before = existing(name);
      FunctionVersion version = existing(before.function(), number);
      if (number == before.function().active()) {
        throw new InstarException(ErrorCode.CONFLICT, "Version " + number + " of " + name
            + " is active. Activate another one first, or remove the function.");
      }
      List<FunctionVersion> left = before.function().versions().stream().filter(v -> v.number() != number).toList();
      Entry after = new Entry(new Function(name, left, before.function().active(), before.function().previous().filter(p -> p != number)),
          before.next());
      return apply(new Change(after, Optional.empty(), List.of(version)));
    }
  }

  @Override
  public void removeImage(Digest digest) throws InterruptedException {
    try (var _ = change()) {
      imageUse.remove(images(), digest);
    } catch (IOException e) {
      throw failed("The image " + digest + " cannot be removed", e);
    }
  }

  @Override
  public void remove(FunctionName name) {
    try (var _ = changeUninterruptibly(); var _ = locks.take(name)) {
      Function function = existing(name).function();
      retire(function.versions());
      commit(name + " cannot be removed", () -> {
        store.delete(name);
        functions.remove(name);
      });
      function.versions().forEach(v -> tell(l -> l.versionRemoved(v)));
      logs.now().ifPresent(l -> l.remove(name));
    }
  }

  private Entry existing(FunctionName name) {
    return Optional.ofNullable(functions.get(name)).orElseThrow(() -> new InstarException(ErrorCode.FUNCTION_NOT_FOUND, "There is no function "
        + name + "."));
  }

  private static FunctionVersion existing(Function function, int number) {
    return function.version(number).orElseThrow(() -> new InstarException(ErrorCode.VERSION_NOT_FOUND, function.name() + " has no version " + number
        + ". It has " + function.versions().stream().map(v -> Integer.toString(v.number())).reduce((a, b) -> a + ", " + b).orElse("none") + "."));
  }

  /**
   * @param after what holds from now on
   * @param deactivated the version that no longer answers calls
   * @param removed versions that are gone
   */
  private record Change(Entry after, Optional<FunctionVersion> deactivated, List<FunctionVersion> removed) {}

  private Function activated(Entry before, int number) {
    Function function = before.function();
    if (number == function.active()) {
      return function;
    }
    Entry after = new Entry(new Function(function.name(), function.versions(), number, Optional.of(function.active())), before.next());
    return apply(new Change(after, Optional.of(function.activeVersion()), List.of()));
  }

  private Change added(Entry before, FunctionVersion candidate, boolean activate) {
    Function old = before.function();
    int active = activate ? candidate.number() : old.active();
    Optional<Integer> previous = activate ? Optional.of(old.active()) : old.previous();
    List<FunctionVersion> versions = new ArrayList<>(old.versions());
    List<FunctionVersion> removed = new ArrayList<>();
    while (versions.size() >= settings.maxVersions()) {
      Optional<Integer> rollBackTo = previous;
      // What a roll-back returns to goes only when there is nothing else to go.
      Optional<FunctionVersion> oldest = versions.stream().filter(v -> v.number() != active && !rollBackTo.equals(Optional.of(v.number())))
          .findFirst()
          .or(() -> versions.stream().filter(v -> v.number() != active).findFirst());
      FunctionVersion goes = oldest.orElseThrow(() -> new InstarException(ErrorCode.CONFLICT, old.name()
          + " has as many versions as are kept. Remove one."));
      versions.remove(goes);
      removed.add(goes);
      previous = previous.filter(p -> p != goes.number());
    }
    versions.add(candidate);
    return new Change(new Entry(new Function(old.name(), versions, active, previous), candidate.number() + 1),
        activate ? Optional.of(old.activeVersion()).filter(v -> !removed.contains(v)) : Optional.empty(), removed);
  }

  private Function apply(Change change) {
    Function function = change.after().function();
    retire(change.removed());
    commit(function.name() + " cannot be written", () -> {
      store.save(change.after());
      functions.put(function.name(), change.after());
    });
    change.deactivated().ifPresent(v -> tell(l -> l.versionDeactivated(v)));
    change.removed().forEach(v -> tell(l -> l.versionRemoved(v)));
    return function;
  }

  private interface DiskAction {
    void run() throws IOException;
  }

  private void commit(String otherwise, DiskAction action) {
    commits.readLock().lock();
    try {
      if (owned.isEmpty()) {
        throw notReady();
      }
      action.run();
    } catch (IOException e) {
      throw failed(otherwise, e);
    } finally {
      commits.readLock().unlock();
    }
  }

  /** Opens a change: waits until this registry has the table. Closed on the same thread. */
  private NameLocks.Lease change() throws InterruptedException {
    if (stopping || !loaded.await(settings.serviceWait().toMillis(), TimeUnit.MILLISECONDS)) {
      throw notReady();
    }
    changes.readLock().lockInterruptibly();
    return changes.readLock()::unlock;
  }

  private NameLocks.Lease changeUninterruptibly() {
    boolean interrupted = Thread.interrupted();
    try {
      while (true) {
        try {
          return change();
        } catch (InterruptedException e) {
          interrupted = true;
        }
      }
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  private static InstarException notReady() {
    return new InstarException(Problem.of(ErrorCode.NOT_READY, "The registry of functions is being replaced. Try again in a moment.")
        .retryAfter(Duration.ofSeconds(1)));
  }

  private void retire(List<FunctionVersion> versions) {
    Duration grace = settings.imageGrace();
    Optional<Duration> stay = versions.stream().map(v -> imageUse.retire(v, grace)).max(Duration::compareTo);
    // One at a time: a removal that comes meanwhile is found by it or by the regular one.
    if (stay.isPresent() && !collectSoon.getAndSet(true)) {
      try {
        collector.schedule(() -> {
          collectSoon.set(false);
          collect();
        }, stay.get().toMillis() + 1, TimeUnit.MILLISECONDS);
      } catch (RejectedExecutionException e) {
        // We are stopping; the next registry collects.
      }
    }
  }

  private void tell(Consumer<FunctionListener> what) {
    for (FunctionListener listener : listeners) {
      try {
        what.accept(listener);
      } catch (RuntimeException | LinkageError e) {
        LOG.error("{} failed on a change of a function", listener.getClass().getName(), e);
      }
    }
  }

  void collect() {
    try {
      Optional<ImageStore> from = images.await(settings.serviceWait());
      if (from.isPresent()) {
        imageUse.collect(from.get(), settings.imageGrace());
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (Throwable e) {
      // An Error too: the executor would run this no more, and images would pile up until the node ends.
      LOG.warn("Unused images were not removed; it is tried again later", e);
    }
  }

  private static InstarException failed(String what, IOException e) {
    if (DurableFiles.isNoSpace(e)) {
      return new InstarException(Problem.of(ErrorCode.NO_SPACE, what
          + ": the data directory's file system is full. Remove functions or give it more room."), e);
    }
    LOG.error("{}", what, e);
    return new InstarException(Problem.of(ErrorCode.INTERNAL, what + "; the node's log says why."), e);
  }
}
