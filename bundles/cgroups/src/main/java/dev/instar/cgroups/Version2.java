package dev.instar.cgroups;

import dev.instar.api.cgroup.CgroupLimits;
import dev.instar.api.cgroup.CgroupPressure;
import dev.instar.api.cgroup.CgroupSupport.Controller;
import dev.instar.api.cgroup.CgroupUsage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The tree of version 2. A controller holds what is below a cgroup when the cgroup passes it on ({@code cgroup.subtree_control}), and but for the root a cgroup that passes one
 * on has no processes itself. So where the parent is the node's own cgroup, the node moves itself (and what it has started) into a cgroup beside the leases.
 */
final class Version2 implements Hierarchy {
  private static final Logger LOG = LoggerFactory.getLogger(Version2.class);
  private static final Map<String, Controller> NAMES = new LinkedHashMap<>();
  private static final String WEIGHT = "io.weight";
  private static final String FAIR_WEIGHT = "io.bfq.weight";
  private static final long FREEZE_NANOS = TimeUnit.SECONDS.toNanos(2);
  /** Where the node is while its own cgroup passes controllers on. */
  static final String SELF = "instar-self";

  static {
    NAMES.put("memory", Controller.MEMORY);
    NAMES.put("cpu", Controller.CPU);
    NAMES.put("cpuset", Controller.CPUSET);
    NAMES.put("pids", Controller.PIDS);
    NAMES.put("io", Controller.IO);
  }

  private final Path mount;
  private final Path parent;
  private final Path base;
  private final boolean own;
  /** What the parent has been told to pass on, and did not before. */
  private final Set<String> switchedOn = new LinkedHashSet<>();
  private volatile Set<Controller> controllers = Set.of();
  private boolean moved;

  /** @param own whether the parent is the cgroup that the node is in */
  Version2(Path mount, Path parent, String name, boolean own) {
    this.mount = mount;
    this.parent = own && parent.endsWith(SELF) ? parent.getParent() : parent;
    this.base = this.parent.resolve(name);
    this.own = own;
    // A predecessor in this run may have moved it.
    this.moved = own && parent.endsWith(SELF);
  }

  @Override
  public Path base() {
    return base;
  }

  @Override
  public Path mount() {
    return mount;
  }

  @Override
  public Set<Controller> controllers() {
    return controllers;
  }

  @Override
  public synchronized void open() throws IOException {
    List<Path> missing = new ArrayList<>();
    for (Path path = parent; !Files.isDirectory(path); path = path.getParent()) {
      missing.add(path);
    }
    for (Path path : missing.reversed()) {
      Files.createDirectory(path);
    }
    // From the root down: each has only what the one above passes on.
    for (Path path : missing.reversed()) {
      passOn(path.getParent());
    }
    Set<String> passed = passOn(parent);
    if (!Files.isDirectory(base)) {
      Files.createDirectory(base);
    }
    passed.retainAll(passOn(base));
    Set<Controller> found = EnumSet.noneOf(Controller.class);
    passed.forEach(name -> found.add(NAMES.get(name)));
    if (!Files.exists(base.resolve(WEIGHT)) && !Files.exists(base.resolve(FAIR_WEIGHT))) {
      // Weights are the scheduler's of the disks, which kernels have or not.
      found.remove(Controller.IO);
    }
    controllers = found;
  }

  /** Has a cgroup pass on what it has of use. @return what it passes on */
  private Set<String> passOn(Path cgroup) throws IOException {
    Set<String> has = words(cgroup.resolve("cgroup.controllers"));
    has.retainAll(NAMES.keySet());
    Set<String> passes = words(cgroup.resolve("cgroup.subtree_control"));
    Set<String> wanted = new LinkedHashSet<>(has);
    wanted.removeAll(passes);
    if (!wanted.isEmpty() && own && cgroup.equals(parent) && Files.exists(parent.resolve("cgroup.type"))) {
      moveAside();
    }
    for (String name : wanted) {
      try {
        ControlFile.write(cgroup.resolve("cgroup.subtree_control"), "+" + name);
        passes.add(name);
        if (cgroup.equals(parent)) {
          switchedOn.add(name);
        }
      } catch (IOException e) {
        LOG.info("{} does not pass the controller {} on: {}", cgroup, name, ControlFile.reason(e));
      }
    }
    passes.retainAll(NAMES.keySet());
    return passes;
  }

  private static Set<String> words(Path file) throws IOException {
    Set<String> words = new LinkedHashSet<>(Arrays.asList(ControlFile.read(file).split("\\s+")));
    words.remove("");
    return words;
  }

  /** Out of the parent, if nobody else is in it. */
  private void moveAside() throws IOException {
    List<Long> inside = Members.of(parent);
    Set<Long> ours = new LinkedHashSet<>();
    ours.add(ProcessHandle.current().pid());
    ProcessHandle.current().descendants().forEach(process -> ours.add(process.pid()));
    if (inside.isEmpty() || !ours.containsAll(inside)) {
      return;
    }
    Path self = parent.resolve(SELF);
    if (!Files.isDirectory(self)) {
      Files.createDirectory(self);
    }
    moved = true;
    for (long pid : inside) {
      Members.add(self, pid);
    }
    LOG.info("The node has moved from {} to {}, so that {} can hold sandboxes to limits", parent, self, parent);
  }

  @Override
  public synchronized void restore() {
    for (String name : switchedOn) {
      try {
        ControlFile.write(parent.resolve("cgroup.subtree_control"), "-" + name);
      } catch (IOException e) {
        // Somebody else uses it by now.
        LOG.debug("{} goes on to pass {} on: {}", parent, name, ControlFile.reason(e));
      }
    }
    switchedOn.clear();
    if (moved) {
      try {
        for (long pid : Members.of(parent.resolve(SELF))) {
          Members.add(parent, pid);
        }
        Files.deleteIfExists(parent.resolve(SELF));
        moved = false;
      } catch (IOException e) {
        LOG.debug("The node stays in {}: {}", parent.resolve(SELF), ControlFile.reason(e));
      }
    }
  }

  @Override
  public void make(Path lease) throws IOException {
    Files.createDirectory(lease);
  }

  @Override
  public void limit(Path lease, CgroupLimits limits, int periodMicros) throws IOException {
    if (limits.memoryBytes().isPresent() && controllers.contains(Controller.MEMORY)) {
      ControlFile.limit("memory", lease.resolve("memory.max"), Long.toString(limits.memoryBytes().getAsLong()));
      if (Files.exists(lease.resolve("memory.swap.max"))) {
        ControlFile.limit("memory", lease.resolve("memory.swap.max"), "0");
      }
    }
    if (controllers.contains(Controller.CPU)) {
      if (limits.host().cpuMillis().isPresent()) {
        ControlFile.limit("cpu", lease.resolve("cpu.max"), Version1.quota(limits.host().cpuMillis().getAsInt(), periodMicros) + " " + periodMicros);
      }
      if (limits.host().cpuWeight().isPresent()) {
        ControlFile.limit("cpuWeight", lease.resolve("cpu.weight"), Integer.toString(limits.host().cpuWeight().getAsInt()));
      }
    }
    if (limits.host().cpuset().isPresent() && controllers.contains(Controller.CPUSET)) {
      ControlFile.limit("cpuset", lease.resolve("cpuset.cpus"), limits.host().cpuset().get());
    }
    if (limits.host().processes().isPresent() && controllers.contains(Controller.PIDS)) {
      ControlFile.limit("processes", lease.resolve("pids.max"), Integer.toString(limits.host().processes().getAsInt()));
    }
    if (limits.host().ioWeight().isPresent() && controllers.contains(Controller.IO)) {
      Path fair = lease.resolve(FAIR_WEIGHT);
      int weight = limits.host().ioWeight().getAsInt();
      ControlFile.limit("ioWeight", Files.exists(fair) ? fair : lease.resolve(WEIGHT), Integer.toString(Files.exists(fair) ? Math.min(weight, 1000) : weight));
    }
  }

  @Override
  public Tally tally(Path lease) {
    // Every cgroup of version 2 counts processor time; where there is a controller of version 1 for that, it is the same number.
    return new Tally(new CgroupUsage(ControlFile.number(lease.resolve("memory.current")), ControlFile.number(lease.resolve("memory.peak")),
        ControlFile.number(lease.resolve("memory.events"), "oom_kill"), ControlFile.number(lease.resolve("cpu.stat"), "usage_usec"),
        ControlFile.number(lease.resolve("cpu.stat"), "throttled_usec"), ControlFile.number(lease.resolve("pids.current")), most(lease)), pressure(lease));
  }

  /** Kernels before 6.11 count a refusal in the cgroup of the process that was refused, those after in all above it too. */
  private static OptionalLong most(Path lease) {
    OptionalLong most = ControlFile.number(lease.resolve("pids.events"), "max");
    try (Stream<Path> below = Files.list(lease)) {
      for (Path child : below.filter(Files::isDirectory).toList()) {
        OptionalLong events = most(child);
        if (events.isPresent() && events.getAsLong() > most.orElse(-1)) {
          most = events;
        }
      }
    } catch (IOException e) {
      // It has just been removed.
    }
    return most;
  }

  private static Optional<CgroupPressure> pressure(Path lease) {
    Optional<Double> cpu = some(lease.resolve("cpu.pressure"));
    Optional<Double> memory = some(lease.resolve("memory.pressure"));
    Optional<Double> io = some(lease.resolve("io.pressure"));
    return cpu.isEmpty() || memory.isEmpty() || io.isEmpty() ? Optional.empty() : Optional.of(new CgroupPressure(cpu.get(), memory.get(), io.get()));
  }

  /** Of a line such as {@code some avg10=0.00 avg60=0.00 avg300=0.00 total=0}. */
  private static Optional<Double> some(Path file) {
    try {
      return ControlFile.read(file).lines().filter(line -> line.startsWith("some avg10=")).findFirst()
          .map(line -> Double.valueOf(line.substring("some avg10=".length(), line.indexOf(" avg60"))));
    } catch (IOException | RuntimeException e) {
      return Optional.empty();
    }
  }

  @Override
  public void freeze(Path lease, boolean frozen) throws IOException {
    ControlFile.write(lease.resolve("cgroup.freeze"), frozen ? "1" : "0");
    long end = System.nanoTime() + FREEZE_NANOS;
    while (ControlFile.number(lease.resolve("cgroup.events"), "frozen").orElse(0) != (frozen ? 1 : 0)) {
      if (System.nanoTime() > end) {
        throw new IOException(lease + " is not " + (frozen ? "frozen" : "thawed") + " within 2 s");
      }
      Pause.brief();
    }
  }

  /** Whether the kernel has the word (Linux 5.14). */
  boolean kills() {
    return Files.exists(base.resolve(Killing.WORD));
  }

  boolean freezes() {
    return Files.exists(base.resolve("cgroup.freeze"));
  }
}
