package dev.instar.cgroups;

import dev.instar.api.cgroup.CgroupSupport.Mode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;

/** Which hierarchies of cgroups this process sees, and where in them it is; as proc(5) and cgroups(7) have it. */
record Mounts(List<Mount> version1, Optional<Mount> version2) {
  /** What of version 1 limits, counts or stops processes. The others' are left alone. */
  private static final Set<String> OF_USE = Set.of("memory", "cpu", "cpuacct", "cpuset", "pids", "blkio", "freezer");

  /**
   * @param point where it is mounted
   * @param controllers of version 1; none of version 2
   * @param own the directory of the cgroup that this process is in
   */
  record Mount(Path point, Set<String> controllers, Path own) {}

  static Mounts read() throws IOException {
    return of(Files.readString(Path.of("/proc/self/mountinfo")), Files.readString(Path.of("/proc/self/cgroup")));
  }

  static Mounts of(String mountinfo, String cgroup) {
    List<Mount> version1 = new ArrayList<>();
    Set<String> seen = new HashSet<>();
    Optional<Mount> version2 = Optional.empty();
    for (String line : mountinfo.lines().toList()) {
      // 41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:1 - cgroup2 cgroup2 rw
      int dash = line.indexOf(" - ");
      if (dash < 0) {
        continue;
      }
      String[] mount = line.substring(0, dash).split(" ");
      String[] system = line.substring(dash + 3).split(" ");
      Path point = Path.of(plain(mount[4]));
      Path root = Path.of(plain(mount[3]));
      if (system[0].equals("cgroup2") && version2.isEmpty()) {
        version2 = Optional.of(new Mount(point, Set.of(), own(point, root, cgroup, "")));
      } else if (system[0].equals("cgroup")) {
        Set<String> controllers = new TreeSet<>(Arrays.asList(system[2].split(",")));
        controllers.retainAll(OF_USE);
        if (!controllers.isEmpty() && seen.addAll(controllers)) {
          version1.add(new Mount(point, Set.copyOf(controllers), own(point, root, cgroup, controllers.iterator().next())));
        }
      }
    }
    return new Mounts(List.copyOf(version1), version2);
  }

  /** Where in a hierarchy this process is: the root where it is outside of what is mounted. */
  private static Path own(Path point, Path root, String cgroup, String controller) {
    for (String line : cgroup.lines().toList()) {
      String[] parts = line.split(":", 3);
      if (parts.length == 3 && Arrays.asList(parts[1].split(",")).contains(controller)) {
        Path path = Path.of(parts[2]);
        return path.startsWith(root) && !parts[2].startsWith("/..") ? point.resolve(root.relativize(path)).normalize() : point;
      }
    }
    return point;
  }

  /** Spaces and the like stand there in octal. */
  private static String plain(String escaped) {
    return escaped.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\");
  }

  Mode mode() {
    return version1.isEmpty() ? version2.isPresent() ? Mode.V2 : Mode.NONE : version2.isPresent() ? Mode.HYBRID : Mode.V1;
  }
}
