package dev.instar.cgroups;

import dev.instar.api.cgroup.CgroupLimits;
import dev.instar.api.cgroup.CgroupSupport.Controller;
import dev.instar.api.cgroup.CgroupUsage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/**
 * A tree of version 1.
 *
 * @param names the kernel's names of its controllers
 */
record Version1(Path mount, Path base, Set<String> names) implements Hierarchy {
  private static final String WEIGHT = "blkio.weight";
  private static final String FAIR_WEIGHT = "blkio.bfq.weight";
  private static final long FREEZE_NANOS = TimeUnit.SECONDS.toNanos(2);

  @Override
  public Set<Controller> controllers() {
    Set<Controller> controllers = EnumSet.noneOf(Controller.class);
    for (String name : names) {
      switch (name) {
        case "memory" -> controllers.add(Controller.MEMORY);
        case "cpu" -> controllers.add(Controller.CPU);
        case "cpuset" -> controllers.add(Controller.CPUSET);
        case "pids" -> controllers.add(Controller.PIDS);
        case "blkio" -> {
          // Weights are the scheduler's of the disks, which kernels have or not.
          if (Files.exists(base.resolve(FAIR_WEIGHT)) || Files.exists(base.resolve(WEIGHT))) {
            controllers.add(Controller.IO);
          }
        }
        // cpuacct only counts, the freezer only stops.
        default -> { }
      }
    }
    return controllers;
  }

  @Override
  public void open() throws IOException {
    List<Path> missing = new ArrayList<>();
    for (Path path = base; !Files.isDirectory(path); path = path.getParent()) {
      missing.add(path);
    }
    for (Path path : missing.reversed()) {
      make(path);
    }
  }

  @Override
  public void make(Path lease) throws IOException {
    if (!Files.isDirectory(lease)) {
      Files.createDirectory(lease);
    }
    if (names.contains("cpuset")) {
      // Nothing enters a cpuset before it has processors and memory.
      for (String file : List.of("cpuset.cpus", "cpuset.mems")) {
        if (ControlFile.read(lease.resolve(file)).isEmpty()) {
          ControlFile.write(lease.resolve(file), ControlFile.read(lease.resolveSibling(file)));
        }
      }
    }
  }

  @Override
  public void limit(Path lease, CgroupLimits limits, int periodMicros) throws IOException {
    if (names.contains("memory") && limits.memoryBytes().isPresent()) {
      String bytes = Long.toString(limits.memoryBytes().getAsLong());
      Path both = lease.resolve("memory.memsw.limit_in_bytes");
      Path memory = lease.resolve("memory.limit_in_bytes");
      // Memory with swap is never less than memory alone.
      OptionalLong before = ControlFile.number(memory);
      boolean raise = before.isPresent() && before.getAsLong() < limits.memoryBytes().getAsLong();
      if (Files.exists(both) && raise) {
        ControlFile.limit("memory", both, bytes);
      }
      ControlFile.limit("memory", memory, bytes);
      if (Files.exists(both) && !raise) {
        ControlFile.limit("memory", both, bytes);
      }
    }
    if (names.contains("cpu") && limits.host().cpuMillis().isPresent()) {
      ControlFile.limit("cpu", lease.resolve("cpu.cfs_period_us"), Integer.toString(periodMicros));
      ControlFile.limit("cpu", lease.resolve("cpu.cfs_quota_us"), Long.toString(quota(limits.host().cpuMillis().getAsInt(), periodMicros)));
    }
    if (names.contains("cpu") && limits.host().cpuWeight().isPresent()) {
      // 1024 shares are what a weight of 100 is.
      ControlFile.limit("cpuWeight", lease.resolve("cpu.shares"), Long.toString(Math.max(2, limits.host().cpuWeight().getAsInt() * 1024L / 100)));
    }
    if (names.contains("cpuset") && limits.host().cpuset().isPresent()) {
      ControlFile.limit("cpuset", lease.resolve("cpuset.cpus"), limits.host().cpuset().get());
    }
    if (names.contains("pids") && limits.host().processes().isPresent()) {
      ControlFile.limit("processes", lease.resolve("pids.max"), Integer.toString(limits.host().processes().getAsInt()));
    }
    if (names.contains("blkio") && limits.host().ioWeight().isPresent()) {
      Path fair = lease.resolve(FAIR_WEIGHT);
      // Up to 1000 there, 100 being the usual one, too.
      ControlFile.limit("ioWeight", Files.exists(fair) ? fair : lease.resolve(WEIGHT),
          Integer.toString(Math.clamp(limits.host().ioWeight().getAsInt(), Files.exists(fair) ? 1 : 10, 1000)));
    }
  }

  /** The kernel takes no quota below a millisecond. */
  static long quota(int millis, int periodMicros) {
    return Math.max(1000, (long) millis * periodMicros / 1000);
  }

  @Override
  public Tally tally(Path lease) {
    OptionalLong none = OptionalLong.empty();
    boolean memory = names.contains("memory");
    boolean pids = names.contains("pids");
    OptionalLong throttled = names.contains("cpu") ? ControlFile.number(lease.resolve("cpu.stat"), "throttled_time") : none;
    OptionalLong cpu = names.contains("cpuacct") ? ControlFile.number(lease.resolve("cpuacct.usage")) : none;
    return new Tally(new CgroupUsage(
        memory ? ControlFile.number(lease.resolve("memory.usage_in_bytes")) : none,
        memory ? ControlFile.number(lease.resolve("memory.max_usage_in_bytes")) : none,
        memory ? sum(lease, "memory.oom_control", "oom_kill") : none,
        micros(cpu), micros(throttled),
        pids ? ControlFile.number(lease.resolve("pids.current")) : none,
        pids ? sum(lease, "pids.events", "max") : none), Optional.empty());
  }

  private static OptionalLong micros(OptionalLong nanos) {
    return nanos.isPresent() ? OptionalLong.of(nanos.getAsLong() / 1000) : nanos;
  }

  /** Version 1 counts such an event in the cgroup of the process that it befell, which may be below. */
  private static OptionalLong sum(Path lease, String file, String key) {
    OptionalLong sum = ControlFile.number(lease.resolve(file), key);
    try (Stream<Path> below = Files.list(lease)) {
      for (Path child : below.filter(Files::isDirectory).toList()) {
        OptionalLong events = sum(child, file, key);
        if (events.isPresent()) {
          sum = OptionalLong.of(sum.orElse(0) + events.getAsLong());
        }
      }
    } catch (IOException e) {
      // It has just been removed.
    }
    return sum;
  }

  @Override
  public void freeze(Path lease, boolean frozen) throws IOException {
    Path state = lease.resolve(Killing.FREEZER);
    if (!Files.exists(state)) {
      return;
    }
    String wanted = frozen ? "FROZEN" : "THAWED";
    long end = System.nanoTime() + FREEZE_NANOS;
    do {
      // What forks while it is being frozen may slip through; then it is asked again.
      ControlFile.write(state, wanted);
      if (ControlFile.read(state).equals(wanted)) {
        return;
      }
      Pause.brief();
    } while (System.nanoTime() < end);
    throw new IOException(lease + " is not " + wanted.toLowerCase(Locale.ROOT) + " within 2 s");
  }

  @Override
  public void restore() {
    // Nothing of others was changed.
  }
}
