package dev.instar.api.cgroup;

import dev.instar.api.sandbox.Probe;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * What a host can do for cgroups.
 *
 * @param mode which interface it has
 * @param controllers those that leases are held by
 * @param freezes whether leases can be frozen and thawed
 * @param kills whether one word to the kernel kills all in a lease; where not, a loop does
 * @param clones whether a process can be made inside a lease ({@code CLONE_INTO_CGROUP})
 * @param parent below which cgroup the leases are, for people; empty where there can't be any
 * @param missing what this host can't do that others can, each with a remedy; where {@link #usable} is false the first says why
 */
public record CgroupSupport(Mode mode, Set<Controller> controllers, boolean freezes, boolean kills, boolean clones, Optional<String> parent,
    List<Probe.Missing> missing) {
  public CgroupSupport {
    controllers = Set.copyOf(controllers);
    missing = List.copyOf(missing);
  }

  /** Which interface. */
  public enum Mode {
    /** Version 2 alone. */
    V2,
    /** Version 1 alone. */
    V1,
    /** Controllers on version 1, and a version 2 tree beside them. */
    HYBRID,
    /** None. */
    NONE
  }

  /** What can be limited and counted. */
  public enum Controller { MEMORY, CPU, CPUSET, PIDS, IO }

  /** Whether there are leases at all. */
  public boolean usable() {
    return parent.isPresent();
  }
}
