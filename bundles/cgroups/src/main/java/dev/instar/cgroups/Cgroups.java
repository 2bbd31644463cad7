package dev.instar.cgroups;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import dev.instar.api.cgroup.CgroupLease;
import dev.instar.api.cgroup.CgroupLimits;
import dev.instar.api.cgroup.CgroupManager;
import dev.instar.api.cgroup.CgroupRequest;
import dev.instar.api.cgroup.CgroupSupport;
import dev.instar.api.cgroup.CgroupSupport.Controller;
import dev.instar.api.data.DataDirectory;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.function.HostLimits;
import dev.instar.api.function.Limits;
import dev.instar.api.lease.Lease;
import dev.instar.api.lease.LeaseProvider;
import dev.instar.api.lease.LeaseRequest;
import java.io.IOException;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.osgi.framework.Bundle;
import org.osgi.framework.BundleContext;
import org.osgi.framework.Constants;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Deactivate;
import org.osgi.service.component.annotations.Modified;
import org.osgi.service.component.annotations.Reference;
import org.osgi.service.metatype.annotations.Designate;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Lends cgroups.
 *
 * <pre>
 *   {@link Mounts} what the host has ─▶ {@link Tree} of {@link Version1} and {@link Version2}, bearing the {@link Mark} ─▶ {@link Pool} ─▶ {@link Lent}, with a {@link Note} on disk
 * </pre>
 * The notes of a run of the node are in a directory with the name of its mark, and with them where it has made cgroups: that is what the sweep of the next start goes by.
 */
@Component(immediate = true, configurationPid = Config.PID, service = {CgroupManager.class, LeaseProvider.class})
@Designate(ocd = Config.class)
public final class Cgroups implements CgroupManager, LeaseProvider {
  private static final Logger LOG = LoggerFactory.getLogger(Cgroups.class);
  /** Among the notes: the directories in which this run of the node has cgroups. */
  private static final String BASES = "bases";

  private final Path area;
  private final Path notes;
  private final Mark mark;
  /** All that this one has lent or found, by name. */
  private final Map<String, Lent> known = new ConcurrentHashMap<>();
  private volatile Settings settings;
  private volatile Tree tree;
  private volatile Pool pool;
  private volatile boolean stopped;

  /** For Declarative Services. */
  @Activate
  public Cgroups(@Reference DataDirectory data, Config config, BundleContext context) throws IOException {
    this(data.area("cgroups"), Mark.of(data.root()), Settings.of(config));
    load(context.getBundle());
  }

  /** @param area of the data directory, for notes */
  Cgroups(Path area, Mark mark, Settings settings) throws IOException {
    this.area = area;
    this.mark = mark;
    notes = Files.createDirectories(area.resolve(mark.name()));
    begin(settings);
    CgroupSupport support = tree.support();
    if (support.usable()) {
      LOG.info("cgroups ({}) hold sandboxes to limits of {}, below {}", name(support.mode()), names(support.controllers()), support.parent().orElseThrow());
    } else {
      LOG.info("cgroups can't be used here: {}. {}", support.missing().getFirst().what(), support.missing().getFirst().remedy());
    }
  }

  /** What is lent outlives this bundle, and then finds no class that is not loaded. */
  private static void load(Bundle bundle) {
    load(Collections.list(bundle.findEntries("dev/instar/cgroups", "*.class", false)).stream().map(URL::getPath).map(path -> path.substring(path.lastIndexOf('/') + 1)).toList());
  }

  static void load(List<String> files) {
    for (String file : files) {
      try {
        Class.forName(Cgroups.class.getPackageName() + "." + file.replace(".class", ""), true, Cgroups.class.getClassLoader());
      } catch (ClassNotFoundException e) {
        throw new IllegalStateException(e);
      }
    }
  }

  private static String name(CgroupSupport.Mode mode) {
    return mode.name().toLowerCase(Locale.ROOT);
  }

  private static String names(Set<Controller> controllers) {
    return controllers.stream().sorted().map(controller -> controller.name().toLowerCase(Locale.ROOT)).collect(Collectors.joining(", "));
  }

  private synchronized void begin(Settings now) throws IOException {
    Mounts mounts = Mounts.read();
    List<Path> bases = Tree.bases(mounts, now, mark);
    // Before anything is made: a node that is killed in between has said where to look.
    remember(bases);
    sweep(bases);
    settings = now;
    tree = Tree.open(mounts, now, mark);
    pool = new Pool(tree, tree.hierarchies().isEmpty() ? 0 : now.pool(), this::tidy);
  }

  /** Edited configuration: holds for what is lent from now on, without a restart. */
  @Modified
  void modified(Config config) throws IOException {
    apply(Settings.of(config));
  }

  synchronized void apply(Settings changed) throws IOException {
    Pool before = pool;
    Tree old = tree;
    begin(changed);
    before.close();
    if (!Tree.bases(Mounts.read(), changed, mark).equals(old.hierarchies().stream().map(Hierarchy::base).toList())) {
      old.close();
    }
  }

  /** Leaves what is lent to its borrowers and this bundle's successor, unless the whole node stops. */
  @Deactivate
  void stop(BundleContext context) {
    stop(context.getBundle(Constants.SYSTEM_BUNDLE_LOCATION).getState() == Bundle.STOPPING);
  }

  synchronized void stop(boolean node) {
    stopped = true;
    pool.close();
    if (node) {
      all().forEach(Lent::close);
    }
    // Nothing happens while a successor has something there.
    if (tree.close() && node && here(notes).stream().noneMatch(file -> Note.read(file).isPresent())) {
      tidyBases();
      delete(notes);
    }
  }

  /** Those of parents that were configured earlier in this run. */
  private void tidyBases() {
    try {
      for (String base : bases(notes)) {
        Files.deleteIfExists(Path.of(base));
      }
    } catch (IOException e) {
      LOG.warn("A directory of cgroups can't be removed: {}", e.getMessage());
    }
  }

  private void remember(List<Path> bases) throws IOException {
    Set<String> all = new TreeSet<>(bases(notes));
    if (all.addAll(bases.stream().map(Path::toString).toList())) {
      Files.writeString(notes.resolve(BASES), all.stream().map(path -> path + "\n").collect(Collectors.joining()));
    }
  }

  private static List<String> bases(Path notes) throws IOException {
    try {
      return Files.readAllLines(notes.resolve(BASES));
    } catch (NoSuchFileException e) {
      return List.of();
    }
  }

  /** Ends and removes what runs of the node before this one have left: they have ended, since this one has the lock of their data directory. */
  private void sweep(List<Path> bases) throws IOException {
    for (Path before : here(area)) {
      if (!Files.isDirectory(before) || !mark.isPredecessors(before.getFileName().toString())) {
        continue;
      }
      boolean gone = true;
      for (String base : bases(before)) {
        Path path = Path.of(base);
        // Only what bears the mark, whatever a note says.
        if (mark.isPredecessors(path.getFileName().toString())) {
          gone &= swept(path);
        }
      }
      if (gone) {
        delete(before);
      }
    }
    // Beside ours, where the notes were lost.
    for (Path base : bases) {
      for (Path beside : here(base.getParent())) {
        if (Files.isDirectory(beside) && mark.isPredecessors(beside.getFileName().toString())) {
          swept(beside);
        }
      }
    }
  }

  private static boolean swept(Path base) {
    if (!Files.exists(base)) {
      return true;
    }
    Optional<IOException> failure = Killing.remove(List.of(base));
    if (failure.isPresent()) {
      LOG.warn("{} of an earlier run of this node can't be removed: {}", base, failure.get().getMessage());
    } else {
      LOG.info("{} of an earlier run of this node was removed", base);
    }
    return failure.isEmpty();
  }

  private static void delete(Path directory) {
    try {
      for (Path file : here(directory)) {
        Files.deleteIfExists(file);
      }
      Files.deleteIfExists(directory);
    } catch (IOException e) {
      LOG.warn("The notes {} can't be removed", directory, e);
    }
  }

  private static List<Path> here(Path directory) {
    try (Stream<Path> files = Files.list(directory)) {
      return files.toList();
    } catch (IOException e) {
      return List.of();
    }
  }

  @Override
  public CgroupSupport probe() {
    return tree.support();
  }

  @Override
  public CgroupLease lease(CgroupRequest request) throws InterruptedException {
    if (Thread.interrupted()) {
      throw new InterruptedException();
    }
    Tree now = tree;
    if (stopped) {
      throw notReady("The cgroups of this node are stopping. Try again in a moment.");
    }
    if (now.hierarchies().isEmpty()) {
      throw notReady("This host lends no cgroups: " + now.support().missing().getFirst().what() + ". " + now.support().missing().getFirst().remedy());
    }
    now.unheld(request.limits()).ifPresent(limit -> {
      throw Lent.unheld(limit);
    });
    Pool from = pool;
    String name = from.take();
    Lent lent = lent(name, from.tree(), new Note(request, from.tree().directories(name), from.tree().path(name), System.currentTimeMillis(), false));
    try {
      lent.begin();
    } catch (LimitRefused e) {
      lent.close();
      throw Lent.refused(e);
    } catch (IOException e) {
      lent.close();
      throw new InstarException(Problem.of(ErrorCode.NODE_BUSY, "This host gives no further cgroup: " + ControlFile.reason(e) + ".").retryAfter(Duration.ofSeconds(1)), e);
    }
    known.put(name, lent);
    if (stopped) {
      // Else nobody would remove it when the node stops at this moment.
      known.remove(name);
      lent.close();
      throw notReady("The cgroups of this node are stopping. Try again in a moment.");
    }
    return lent;
  }

  private static InstarException notReady(String detail) {
    return new InstarException(Problem.of(ErrorCode.NOT_READY, detail).retryAfter(Duration.ofSeconds(1)));
  }

  @Override
  public List<CgroupLease> leases() {
    return List.copyOf(all());
  }

  private List<Lent> all() {
    Set<String> there = new TreeSet<>();
    for (Path file : here(notes)) {
      String name = file.getFileName().toString();
      // One that can't be read is being written anew, and known.
      Optional<Note> note = Note.read(file);
      if (note.isEmpty() || !note.get().closed()) {
        there.add(name);
        note.ifPresent(found -> known.computeIfAbsent(name, n -> lent(n, tree, found)));
      }
    }
    known.keySet().retainAll(there);
    List<Lent> all = new ArrayList<>(known.values());
    all.sort(Comparator.comparingLong(Lent::taken).thenComparing(Lent::name));
    return all;
  }

  /** After a lease was removed. Where this one has stopped, or goes on elsewhere, nobody else may be there to tidy up. */
  private void removed(Tree of) {
    if (stopped || of != tree) {
      of.close();
    }
  }

  private Lent lent(String name, Tree of, Note note) {
    return new Lent(name, notes.resolve(name), of, settings.periodMicros(), note, () -> removed(of));
  }

  /** Forgets what was given back, and tries again to remove of it what did not go. */
  private void tidy() {
    known.values().removeIf(Lent::closed);
    for (Path file : here(notes)) {
      Note.read(file).filter(Note::closed).ifPresent(note -> lent(file.getFileName().toString(), tree, note).remove());
    }
  }

  // ---- for the scheduler

  @Override
  public String kind() {
    return KIND;
  }

  @Override
  public Optional<? extends Lease> take(LeaseRequest request) throws InterruptedException {
    if (!stopped && tree.hierarchies().isEmpty()) {
      return Optional.empty();
    }
    return Optional.of(lease(new CgroupRequest(request.sandboxId(), request.version().label(), limits(request.version()))));
  }

  /** By taking one: what the kernel takes on this host, it alone knows. */
  @Override
  public void check(FunctionVersion version) {
    if (stopped || tree.hierarchies().isEmpty() || version.spec().limits().host().equals(HostLimits.NONE)) {
      return;
    }
    try {
      lease(new CgroupRequest("check-" + version.uid(), version.label(), limits(version))).close();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** What a function's own limits and the configured ones come to. What nobody asked of this function is left out where the host can't hold it. */
  private CgroupLimits limits(FunctionVersion version) {
    Limits asked = version.spec().limits();
    Set<Controller> controllers = tree.controllers();
    HostLimits defaults = settings.defaults();
    boolean cpu = controllers.contains(Controller.CPU);
    HostLimits held = new HostLimits(cpu ? defaults.cpuMillis() : OptionalInt.empty(), cpu ? defaults.cpuWeight() : OptionalInt.empty(),
        controllers.contains(Controller.CPUSET) ? defaults.cpuset() : Optional.empty(), controllers.contains(Controller.PIDS) ? defaults.processes() : OptionalInt.empty(),
        controllers.contains(Controller.IO) ? defaults.ioWeight() : OptionalInt.empty());
    return new CgroupLimits(controllers.contains(Controller.MEMORY) ? OptionalLong.of(asked.memoryBytes()) : OptionalLong.empty(), asked.host().or(held));
  }

  @Override
  public Map<String, String> describe(FunctionVersion version) {
    Tree now = tree;
    if (now.hierarchies().isEmpty()) {
      return Map.of();
    }
    CgroupLimits limits = limits(version);
    Map<String, String> facts = new TreeMap<>();
    List<String> held = new ArrayList<>();
    facts.put("cgroup", name(now.mode()));
    limits.memoryBytes().ifPresent(value -> fact(facts, held, "memory", "memoryBytes", Long.toString(value)));
    limits.host().cpuMillis().ifPresent(value -> fact(facts, held, "cpu", "cpuMillis", Integer.toString(value)));
    limits.host().cpuWeight().ifPresent(value -> fact(facts, held, "cpuWeight", "cpuWeight", Integer.toString(value)));
    limits.host().cpuset().ifPresent(value -> fact(facts, held, "cpuset", "cpuset", value));
    limits.host().processes().ifPresent(value -> fact(facts, held, "processes", "processes", Integer.toString(value)));
    limits.host().ioWeight().ifPresent(value -> fact(facts, held, "ioWeight", "ioWeight", Integer.toString(value)));
    facts.put("limits", String.join(", ", held));
    return facts;
  }

  private static void fact(Map<String, String> facts, List<String> held, String limit, String name, String value) {
    held.add(limit);
    facts.put(name, value);
  }
}
