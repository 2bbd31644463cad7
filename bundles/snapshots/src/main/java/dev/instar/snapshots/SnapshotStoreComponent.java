package dev.instar.snapshots;

import dev.instar.api.Digest;
import dev.instar.api.InstarException;
import dev.instar.api.Threads;
import dev.instar.api.data.AreaLock;
import dev.instar.api.data.DataDirectory;
import dev.instar.api.data.DurableFiles;
import dev.instar.api.snapshot.GcPolicy;
import dev.instar.api.snapshot.GcResult;
import dev.instar.api.snapshot.OpenLayer;
import dev.instar.api.snapshot.SnapshotBuilder;
import dev.instar.api.snapshot.SnapshotInfo;
import dev.instar.api.snapshot.SnapshotKey;
import dev.instar.api.snapshot.SnapshotLayer;
import dev.instar.api.snapshot.SnapshotLease;
import dev.instar.api.snapshot.SnapshotStore;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Predicate;
import java.util.stream.Stream;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Deactivate;
import org.osgi.service.component.annotations.Modified;
import org.osgi.service.component.annotations.Reference;
import org.osgi.service.metatype.annotations.Designate;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The snapshot store on the data directory.
 *
 * <pre>
 *   snapshots/layers/ab12…/             a layer by its id, see {@link StoredLayer}; it comes and goes by one rename of its directory
 *   snapshots/building/&lt;random&gt;/       being made or removed; swept at the start
 *   snapshots/users/ab12…               who holds it
 *   snapshots/damaged/ab12…-&lt;time&gt;/    set aside, the newest few, for an operator to look at
 * </pre>
 *
 * <p>One lock guards what is known of the layers; under it are renames and small documents only. Content is written, read, hashed and deleted outside.
 *
 * <p>In a swap two of these live on one directory. Only the one that has the area's lock sweeps and collects, so the newer one does not collect while
 * the older one may have layers open; each of them finds what the other published only at its own start, or by {@link #open} under its id.
 */
@Component(immediate = true, service = SnapshotStore.class, configurationPid = SnapshotStoreComponent.PID)
@Designate(ocd = SnapshotsConfig.class)
public final class SnapshotStoreComponent implements SnapshotStore {
  static final String PID = "dev.instar.snapshots";
  private static final Logger LOG = LoggerFactory.getLogger(SnapshotStoreComponent.class);
  private static final int KEPT_DAMAGED = 8;
  private static final Duration USE_GRAIN = Duration.ofMinutes(1);

  private final Path area;
  private final Path layersDirectory;
  private final Path building;
  private final Path damagedDirectory;
  private final Users users;
  private final ReentrantLock lock = new ReentrantLock();
  private final Map<Digest, Entry> entries = new HashMap<>();
  /** The same entries by their keys: a node that starts looks for each of its functions. */
  private final Map<Digest, List<Entry>> byKey = new HashMap<>();
  private final CountDownLatch loaded = new CountDownLatch(1);
  private volatile Limits limits;
  private Optional<AreaLock> owned;
  private boolean stopped;

  /**
   * How much is kept, and taken in.
   *
   * @param policy what is collected after each publication and import
   * @param importBytes what one archive may hold when it is unpacked
   * @param bytesPerSecond how fast a layer is written
   */
  public record Limits(GcPolicy policy, long importBytes, long bytesPerSecond) {
    /** As fast as the disk is. */
    public Limits(GcPolicy policy, long importBytes) {
      this(policy, importBytes, Long.MAX_VALUE);
    }
  }

  /** What is known of one layer; guarded by the lock. */
  private static final class Entry {
    final StoredLayer stored;
    final Digest key;
    final long bytes;
    Instant lastUsed;
    Set<String> users;
    int leases;

    Entry(StoredLayer stored, long bytes, Instant lastUsed, Set<String> users) {
      this.stored = stored;
      this.key = stored.layer().key().digest();
      this.bytes = bytes;
      this.lastUsed = lastUsed;
      this.users = users;
    }

    SnapshotLayer layer() {
      return stored.layer();
    }

    Instant lastUsed() {
      return lastUsed;
    }
  }

  /** Returns before all layers have been read; what comes too early waits. */
  @Activate
  public SnapshotStoreComponent(@Reference DataDirectory data, SnapshotsConfig config) {
    this(limits(config), data);
  }

  /** For use without OSGi: returns when all is known that is there. */
  public SnapshotStoreComponent(DataDirectory data, Limits limits) {
    this(limits, data);
    lock();
    lock.unlock();
  }

  SnapshotStoreComponent(Limits limits, DataDirectory data) {
    this.limits = limits;
    area = data.area("snapshots");
    layersDirectory = area.resolve("layers");
    building = area.resolve("building");
    damagedDirectory = area.resolve("damaged");
    users = new Users(area.resolve("users"));
    List<Path> there = new ArrayList<>();
    owned = AreaLock.tryTake(area);
    try {
      for (Path directory : List.of(layersDirectory, building, damagedDirectory, area.resolve("users"))) {
        DurableFiles.createDirectories(directory);
      }
      if (owned.isPresent()) {
        sweep();
      }
      try (DirectoryStream<Path> listed = Files.newDirectoryStream(layersDirectory)) {
        listed.forEach(there::add);
      }
    } catch (IOException e) {
      owned.ifPresent(AreaLock::close);
      throw Failures.failed("The snapshot store cannot be opened", e);
    }
    // Beside the rest of the node's start, which has one thread: of a thousand layers it was a quarter.
    Threads.startPlatform("instar-snapshots-read", () -> {
      try {
        load(there);
      } finally {
        loaded.countDown();
      }
    });
  }

  private void load(List<Path> directories) {
    for (Path directory : directories) {
      try {
        load(directory).ifPresent(this::enter);
      } catch (IOException | RuntimeException | Error e) {
        // One layer is no reason to be without a store.
        LOG.warn("The snapshot layer {} is left alone, it cannot be read: {}", directory.getFileName(), String.valueOf(e.getMessage()));
      }
    }
    try {
      if (owned.isPresent()) {
        users.keep(name -> Files.exists(layersDirectory.resolve(name)));
      }
    } catch (IOException | DirectoryIteratorException e) {
      LOG.warn("What is said of snapshot layers that have gone cannot be deleted: {}", e.toString());
    }
  }

  /** Takes the lock, once all is known that was there at the start. */
  private void lock() {
    boolean interrupted = false;
    while (loaded.getCount() > 0) {
      try {
        loaded.await();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
    lock.lock();
  }

  private static Limits limits(SnapshotsConfig config) {
    return new Limits(new GcPolicy(Duration.ofHours(config.max$_$age$_$hours()), (long) config.budget$_$mib() << 20), (long) config.max$_$import$_$mib() << 20,
        (long) config.store$_$mib$_$per$_$second() << 20);
  }

  @Modified
  void configure(SnapshotsConfig config) {
    configure(limits(config));
  }

  void configure(Limits changed) {
    limits = changed;
    collect(changed.policy());
  }

  /** Gives the area back to whoever wants to sweep and collect. */
  @Deactivate
  public void stop() {
    lock();
    try {
      stopped = true;
      owned.ifPresent(AreaLock::close);
      owned = Optional.empty();
    } finally {
      lock.unlock();
    }
  }

  private void sweep() throws IOException {
    try (DirectoryStream<Path> found = Files.newDirectoryStream(building)) {
      for (Path path : found) {
        DurableFiles.deleteTree(path);
      }
    }
    DurableFiles.sweep(area.resolve("users"));
  }

  private void enter(Entry entry) {
    entries.put(entry.layer().id(), entry);
    byKey.computeIfAbsent(entry.key, key -> new ArrayList<>(1)).add(entry);
  }

  private void forget(Entry entry) {
    entries.remove(entry.layer().id());
    byKey.computeIfPresent(entry.key, (key, same) -> {
      same.remove(entry);
      return same.isEmpty() ? null : same;
    });
  }

  /** The layer in a directory, or nothing, and then it has been set aside. */
  private Optional<Entry> load(Path directory) throws IOException {
    try {
      StoredLayer stored = StoredLayer.load(directory, this::damaged);
      return Optional.of(new Entry(stored, stored.storedBytes(), Files.getLastModifiedTime(directory.resolve(StoredLayer.MANIFEST)).toInstant(),
          users.read(stored.layer().id())));
    } catch (Manifest.InvalidException e) {
      LOG.warn("The snapshot layer {} is refused and set aside: {}", directory.getFileName(), e.getMessage());
      setAside(directory);
      return Optional.empty();
    }
  }

  private void damaged(StoredLayer stored) {
    lock();
    try {
      Entry entry = entries.get(stored.layer().id());
      if (entry != null && entry.stored == stored) {
        forget(entry);
        LOG.warn("The snapshot layer {} is damaged and set aside; its functions are initialised anew", stored.layer().id());
        setAside(stored.directory());
        users.delete(stored.layer().id());
      }
    } catch (IOException e) {
      LOG.warn("The damaged snapshot layer {} cannot be set aside", stored.layer().id(), e);
    } finally {
      lock.unlock();
    }
  }

  private void setAside(Path directory) throws IOException {
    if (Files.notExists(directory, LinkOption.NOFOLLOW_LINKS)) {
      // Somebody has deleted it: nothing is left to look at.
      return;
    }
    DurableFiles.createDirectories(damagedDirectory);
    Path target = damagedDirectory.resolve(directory.getFileName() + "-" + System.currentTimeMillis() + "-" + UUID.randomUUID().toString().substring(0, 8));
    DurableFiles.move(directory, target);
    List<Path> kept;
    try (Stream<Path> all = Files.list(damagedDirectory)) {
      kept = all.sorted(Comparator.comparing((Path p) -> p.getFileName().toString().replaceFirst("^[^-]*-", "")).reversed()).toList();
    }
    for (Path old : kept.subList(Math.min(KEPT_DAMAGED, kept.size()), kept.size())) {
      DurableFiles.deleteTree(old);
    }
  }

  @Override
  public SnapshotBuilder base(SnapshotKey key, String creator) {
    return writer(Optional.empty(), key, creator, () -> {});
  }

  @Override
  public SnapshotBuilder diff(Digest parent, SnapshotKey key, String creator) {
    Lease below = lease(parent);
    try {
      if (!key.extendsKey(below.layers().getLast().layer().key())) {
        throw Failures.mismatch(parent, "is of another backend, version or machine than the layer that shall lie on it, or has other images");
      }
      if (below.layers().size() == Archive.MAX_LAYERS) {
        throw Failures.conflict(parent, "has " + (Archive.MAX_LAYERS - 1) + " layers below it, which is the most; make a new base");
      }
      return writer(Optional.of(parent), key, creator, below::close);
    } catch (RuntimeException e) {
      below.close();
      throw e;
    }
  }

  private LayerWriter writer(Optional<Digest> parent, SnapshotKey key, String creator, Runnable closed) {
    if (!Manifest.isCreator(creator)) {
      throw Failures.badRequest("The creator of a snapshot is named by up to 200 printable ASCII characters.");
    }
    try {
      return new LayerWriter(building.resolve(UUID.randomUUID().toString()), parent, key, creator, this::publish, new Pace(limits.bytesPerSecond()),
          closed);
    } catch (IOException e) {
      throw Failures.failed("The snapshot cannot be stored", e);
    }
  }

  private SnapshotLayer publish(Path directory, SnapshotLayer layer) {
    // Open, or it might be the first to go.
    try (Lease fresh = place(directory, layer)) {
      collect(limits.policy());
      return layer;
    }
  }

  /** Puts a layer among the others, and opens it. */
  private Lease place(Path directory, SnapshotLayer layer) {
    lock();
    try {
      if (known(layer.id()).isPresent()) {
        return lease(layer.id());
      }
      if (layer.parent().isPresent() && known(layer.parent().get()).isEmpty()) {
        throw Failures.notFound(layer.parent().get());
      }
      Path target = layersDirectory.resolve(layer.id().hex());
      if (!Files.isDirectory(layersDirectory)) {
        // Somebody has deleted the whole area under a running node.
        DurableFiles.createDirectories(layersDirectory);
      }
      DurableFiles.move(directory, target);
      load(target).ifPresent(this::enter);
      return lease(layer.id());
    } catch (IOException e) {
      throw Failures.failed("The snapshot cannot be stored", e);
    } finally {
      lock.unlock();
    }
  }

  /** A layer by its id, if need be from the disk: another instance may have published it. Called under the lock. */
  private Optional<Entry> known(Digest id) {
    Entry entry = entries.get(id);
    Path directory = layersDirectory.resolve(id.hex());
    if (entry != null || !Files.isDirectory(directory)) {
      return Optional.ofNullable(entry);
    }
    try {
      Optional<Entry> loaded = load(directory);
      loaded.ifPresent(this::enter);
      return loaded;
    } catch (IOException e) {
      throw Failures.failed("The snapshot layer " + id + " cannot be read", e);
    }
  }

  @Override
  public Optional<SnapshotLayer> find(SnapshotKey key) {
    Digest wanted = key.digest();
    lock();
    try {
      return byKey.getOrDefault(wanted, List.of()).stream().filter(this::isWhole).map(Entry::layer)
          .max(Comparator.comparing(SnapshotLayer::created).thenComparing(layer -> layer.id().value()));
    } finally {
      lock.unlock();
    }
  }

  private boolean isWhole(Entry entry) {
    Entry at = entry;
    while (at != null && at.layer().parent().isPresent()) {
      at = entries.get(at.layer().parent().get());
    }
    return at != null;
  }

  @Override
  public SnapshotLease open(Digest id, SnapshotKey expected) {
    Lease lease = lease(id);
    if (!lease.layers().getLast().layer().key().digest().equals(expected.digest())) {
      lease.close();
      throw Failures.mismatch(id, "was made for another backend, version, machine or image");
    }
    return lease;
  }

  private Lease lease(Digest id) {
    lock();
    try {
      List<Entry> chain = new ArrayList<>();
      for (Optional<Digest> next = Optional.of(id); next.isPresent(); next = chain.getFirst().layer().parent()) {
        Digest wanted = next.get();
        chain.addFirst(known(wanted).orElseThrow(() -> Failures.notFound(wanted)));
      }
      chain.forEach(e -> {
        e.leases++;
        used(e);
      });
      return new Lease(chain);
    } finally {
      lock.unlock();
    }
  }

  private void used(Entry entry) {
    Instant now = Instant.now();
    if (Duration.between(entry.lastUsed, now).abs().compareTo(USE_GRAIN) > 0) {
      entry.lastUsed = now;
      try {
        Files.setLastModifiedTime(entry.stored.directory().resolve(StoredLayer.MANIFEST), FileTime.from(now));
      } catch (IOException e) {
        LOG.debug("The use of the snapshot layer {} cannot be noted", entry.layer().id(), e);
      }
    }
  }

  private final class Lease implements SnapshotLease {
    private final List<Entry> chain;
    private final AtomicBoolean open = new AtomicBoolean(true);

    Lease(List<Entry> chain) {
      this.chain = List.copyOf(chain);
    }

    @Override
    public List<OpenLayer> layers() {
      return chain.stream().<OpenLayer>map(e -> e.stored).toList();
    }

    List<StoredLayer> stored() {
      return chain.stream().map(e -> e.stored).toList();
    }

    @Override
    public void close() {
      if (open.getAndSet(false)) {
        lock();
        try {
          chain.forEach(e -> e.leases--);
        } finally {
          lock.unlock();
        }
      }
    }
  }

  @Override
  public List<SnapshotInfo> list() {
    lock();
    try {
      return entries.values().stream().map(SnapshotStoreComponent::info)
          .sorted(Comparator.comparing((SnapshotInfo i) -> i.layer().created()).reversed().thenComparing(i -> i.layer().id().value())).toList();
    } finally {
      lock.unlock();
    }
  }

  @Override
  public Optional<SnapshotInfo> inspect(Digest id) {
    lock();
    try {
      return Optional.ofNullable(entries.get(id)).map(SnapshotStoreComponent::info);
    } finally {
      lock.unlock();
    }
  }

  private static SnapshotInfo info(Entry e) {
    return new SnapshotInfo(e.layer(), e.bytes, e.lastUsed, e.users, e.leases);
  }

  @Override
  public void verify(Digest id) {
    try (Lease lease = lease(id)) {
      lease.stored().forEach(StoredLayer::verifyAll);
    }
  }

  @Override
  public void hold(Digest id, String user) {
    if (!Users.isUser(user)) {
      throw Failures.badRequest("The user of a snapshot is named by 1 to 200 printable ASCII characters.");
    }
    lock();
    try {
      Entry entry = known(id).orElseThrow(() -> Failures.notFound(id));
      Set<String> more = new HashSet<>(entry.users);
      if (more.add(user)) {
        users.write(id, more);
        entry.users = Set.copyOf(more);
      }
    } finally {
      lock.unlock();
    }
  }

  @Override
  public void release(String user) {
    lock();
    try {
      for (Entry entry : entries.values()) {
        Set<String> fewer = new HashSet<>(entry.users);
        if (fewer.remove(user)) {
          users.write(entry.layer().id(), fewer);
          entry.users = Set.copyOf(fewer);
        }
      }
    } finally {
      lock.unlock();
    }
  }

  @Override
  public boolean remove(Digest id) {
    Path gone;
    lock();
    try {
      Optional<Entry> entry = known(id);
      if (entry.isEmpty()) {
        return false;
      }
      if (entry.get().leases > 0) {
        throw Failures.conflict(id, "is open");
      }
      if (hasChild(id)) {
        throw Failures.conflict(id, "has another layer on it; remove that first");
      }
      gone = takeOut(entry.get());
    } finally {
      lock.unlock();
    }
    discard(gone);
    return true;
  }

  private boolean hasChild(Digest id) {
    return entries.values().stream().anyMatch(e -> e.layer().parent().filter(id::equals).isPresent());
  }

  /** Makes a layer vanish at once, for good; its files are for the caller to delete. Called under the lock. */
  private Path takeOut(Entry entry) {
    Path gone = building.resolve(UUID.randomUUID().toString());
    try {
      DurableFiles.move(entry.stored.directory(), gone);
    } catch (IOException e) {
      throw Failures.failed("The snapshot layer " + entry.layer().id() + " cannot be removed", e);
    }
    forget(entry);
    users.delete(entry.layer().id());
    return gone;
  }

  private static void discard(Path gone) {
    try {
      DurableFiles.deleteTree(gone);
    } catch (IOException e) {
      LOG.warn("{} cannot be removed; the next start tries again", gone, e);
    }
  }

  @Override
  public GcPolicy policy() {
    return limits.policy();
  }

  @Override
  public GcResult collect(GcPolicy policy) {
    List<Digest> removed = new ArrayList<>();
    List<Path> gone = new ArrayList<>();
    long freed = 0;
    long kept;
    lock();
    try {
      // One that has stopped may still publish what was being written; it would keep the lock for ever.
      if (owned.isEmpty() && !stopped) {
        owned = AreaLock.tryTake(area);
      }
      kept = entries.values().stream().mapToLong(e -> e.bytes).sum();
      if (owned.isPresent()) {
        Instant oldest = Instant.now().minus(policy.unusedFor());
        while (true) {
          boolean over = kept > policy.budgetBytes();
          Predicate<Entry> goes = e -> over || !isWhole(e) || e.users.isEmpty() && e.lastUsed.isBefore(oldest);
          Set<Digest> parents = new HashSet<>();
          entries.values().forEach(e -> e.layer().parent().ifPresent(parents::add));
          Optional<Entry> next = entries.values().stream().filter(e -> e.leases == 0 && !parents.contains(e.layer().id())).filter(goes)
              .min(Comparator.comparing(this::isWhole).thenComparing(e -> !e.users.isEmpty()).thenComparing(Entry::lastUsed));
          if (next.isEmpty()) {
            break;
          }
          gone.add(takeOut(next.get()));
          removed.add(next.get().layer().id());
          freed += next.get().bytes;
          kept -= next.get().bytes;
        }
      }
    } finally {
      lock.unlock();
      gone.forEach(SnapshotStoreComponent::discard);
    }
    if (!removed.isEmpty()) {
      LOG.info("Removed {} snapshot layers with {} bytes", removed.size(), freed);
    }
    return new GcResult(removed, freed, kept);
  }

  @Override
  public void exportTo(Digest id, OutputStream archive) throws IOException {
    try (Lease lease = lease(id)) {
      Archive.write(lease.stored(), archive);
    }
  }

  @Override
  public SnapshotLayer importFrom(InputStream archive) throws IOException {
    List<Lease> placed = new ArrayList<>();
    try {
      SnapshotLayer top = Archive.read(archive, limits.importBytes(), layer -> new LayerWriter(building.resolve(UUID.randomUUID().toString()),
          layer.parent(), layer.key(), layer.creator(), (directory, whole) -> {
            placed.add(place(directory, whole));
            return whole;
          }, Pace.FREE, () -> {}));
      collect(limits.policy());
      return top;
    } finally {
      placed.forEach(Lease::close);
    }
  }
}
