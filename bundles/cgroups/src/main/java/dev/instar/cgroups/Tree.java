package dev.instar.cgroups;

import dev.instar.api.cgroup.CgroupLimits;
import dev.instar.api.cgroup.CgroupSupport;
import dev.instar.api.cgroup.CgroupSupport.Controller;
import dev.instar.api.cgroup.CgroupSupport.Mode;
import dev.instar.api.sandbox.Probe;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;

/**
 * The hierarchies in which this node has cgroups, with the directory of this run in each.
 *
 * @param problems what the host refused, and what to do
 */
record Tree(Mode mode, List<Hierarchy> hierarchies, List<Probe.Missing> problems) {
  private static final String REMEDY = "run the node as root, or as a systemd service with Delegate=yes and ProtectControlGroups=no,"
      + " or give it a cgroup that its user owns and name that as 'parent' of " + Config.PID;

  /** The directories that {@link #open} is going to make. */
  static List<Path> bases(Mounts mounts, Settings settings, Mark mark) {
    return all(mounts, settings, mark).stream().map(Hierarchy::base).toList();
  }

  private static List<Hierarchy> all(Mounts mounts, Settings settings, Mark mark) {
    List<Hierarchy> all = new ArrayList<>();
    for (Mounts.Mount mount : mounts.version1()) {
      all.add(new Version1(mount.point(), parent(mount, settings).resolve(mark.name()), mount.controllers()));
    }
    mounts.version2().ifPresent(mount -> all.add(new Version2(mount.point(), parent(mount, settings), mark.name(), settings.parent().isEmpty())));
    return all;
  }

  private static Path parent(Mounts.Mount mount, Settings settings) {
    return settings.parent().map(path -> mount.point().resolve(path.replaceFirst("^/+", "")).normalize()).orElse(mount.own());
  }

  /** Makes the directory of this run in each hierarchy that lets it. */
  static Tree open(Mounts mounts, Settings settings, Mark mark) {
    List<Hierarchy> open = new ArrayList<>();
    List<Probe.Missing> problems = new ArrayList<>();
    for (Hierarchy hierarchy : all(mounts, settings, mark)) {
      try {
        if (!hierarchy.base().startsWith(hierarchy.mount())) {
          throw new IOException("it is outside of " + hierarchy.mount());
        }
        hierarchy.open();
        open.add(hierarchy);
      } catch (IOException e) {
        problems.add(new Probe.Missing("the right to make cgroups in " + hierarchy.base().getParent() + " (" + ControlFile.reason(e) + ")", REMEDY));
      }
    }
    if (mounts.mode() == Mode.NONE) {
      problems.add(new Probe.Missing("cgroups: none are mounted here", "mount them: mount -t cgroup2 none /sys/fs/cgroup"));
    }
    return new Tree(mounts.mode(), List.copyOf(open), List.copyOf(problems));
  }

  Set<Controller> controllers() {
    Set<Controller> controllers = EnumSet.noneOf(Controller.class);
    hierarchies.forEach(hierarchy -> controllers.addAll(hierarchy.controllers()));
    return controllers;
  }

  CgroupSupport support() {
    List<Probe.Missing> missing = new ArrayList<>(problems);
    Set<Controller> controllers = controllers();
    Optional<Version2> version2 = version2();
    boolean freezes = version2.filter(Version2::freezes).isPresent() || hierarchies.stream().anyMatch(h -> h instanceof Version1 one && one.names().contains("freezer"));
    boolean kills = version2.filter(Version2::kills).isPresent();
    if (!hierarchies.isEmpty()) {
      for (Controller controller : EnumSet.complementOf(EnumSet.copyOf(with(controllers)))) {
        missing.add(new Probe.Missing("the controller " + name(controller), version2.isPresent() && mode == Mode.V2
            ? "have the cgroups above the node pass it on (cgroup.subtree_control; for systemd Delegate=yes), or boot a kernel that has it"
            : "mount it (mount -t cgroup -o " + name(controller) + "), or boot a kernel that has it"));
      }
    }
    return new CgroupSupport(mode, controllers, freezes, kills, version2.isPresent(), where(), missing);
  }

  /** EnumSet.copyOf takes no empty set of another kind. */
  private static EnumSet<Controller> with(Set<Controller> controllers) {
    EnumSet<Controller> set = EnumSet.noneOf(Controller.class);
    set.addAll(controllers);
    return set;
  }

  private String name(Controller controller) {
    return controller == Controller.IO && mode != Mode.V2 ? "blkio" : controller.name().toLowerCase(Locale.ROOT);
  }

  private Optional<String> where() {
    if (hierarchies.isEmpty()) {
      return Optional.empty();
    }
    List<String> different = hierarchies.stream().map(Tree::relative).distinct().toList();
    return Optional.of(different.size() == 1 ? different.getFirst() : hierarchies.stream().map(hierarchy -> hierarchy.base().toString()).reduce((a, b) -> a + ", " + b).orElseThrow());
  }

  private static String relative(Hierarchy hierarchy) {
    return "/" + hierarchy.mount().relativize(hierarchy.base());
  }

  /** The path from the root of every hierarchy; empty where they differ. */
  Optional<String> path(String lease) {
    List<String> different = hierarchies.stream().map(Tree::relative).distinct().toList();
    return different.size() == 1 ? Optional.of(different.getFirst() + "/" + lease) : Optional.empty();
  }

  Optional<Version2> version2() {
    return hierarchies.stream().filter(Version2.class::isInstance).map(Version2.class::cast).findFirst();
  }

  /** The one that a directory is in. */
  Optional<Hierarchy> of(Path directory) {
    return hierarchies.stream().filter(hierarchy -> directory.startsWith(hierarchy.mount())).findFirst();
  }

  List<Path> directories(String lease) {
    return hierarchies.stream().map(hierarchy -> hierarchy.base().resolve(lease)).toList();
  }

  /** Makes the directories of a lease; what fails leaves none. */
  void make(String lease) throws IOException {
    for (Hierarchy hierarchy : hierarchies) {
      try {
        make(hierarchy, lease);
      } catch (IOException e) {
        Killing.remove(directories(lease));
        throw e;
      }
    }
  }

  private static void make(Hierarchy hierarchy, String lease) throws IOException {
    if (!Files.isDirectory(hierarchy.base())) {
      // A predecessor in a swap has just found it empty, and tidied up.
      hierarchy.open();
    }
    hierarchy.make(hierarchy.base().resolve(lease));
  }

  /** @throws LimitRefused */
  void limit(List<Path> lease, CgroupLimits limits, int periodMicros) throws IOException {
    for (Path directory : lease) {
      Optional<Hierarchy> hierarchy = of(directory);
      if (hierarchy.isPresent()) {
        hierarchy.get().limit(directory, limits, periodMicros);
      }
    }
  }

  /** The first of the limits for which there is no controller, as functions name it. */
  Optional<String> unheld(CgroupLimits limits) {
    Set<Controller> controllers = controllers();
    return Optional.ofNullable(
        limits.memoryBytes().isPresent() && !controllers.contains(Controller.MEMORY) ? "memory"
        : limits.host().cpuMillis().isPresent() && !controllers.contains(Controller.CPU) ? "cpu"
        : limits.host().cpuWeight().isPresent() && !controllers.contains(Controller.CPU) ? "cpuWeight"
        : limits.host().cpuset().isPresent() && !controllers.contains(Controller.CPUSET) ? "cpuset"
        : limits.host().processes().isPresent() && !controllers.contains(Controller.PIDS) ? "processes"
        : limits.host().ioWeight().isPresent() && !controllers.contains(Controller.IO) ? "ioWeight" : null);
  }

  /** Removes the directories of this run where nothing is in them any more. False while something is. */
  boolean close() {
    boolean empty = true;
    for (Hierarchy hierarchy : hierarchies) {
      try {
        Files.deleteIfExists(hierarchy.base());
        hierarchy.restore();
      } catch (IOException e) {
        empty = false;
      }
    }
    return empty;
  }
}
