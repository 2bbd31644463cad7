package dev.instar.cgroups;

import dev.instar.api.cgroup.CgroupLimits;
import dev.instar.api.cgroup.CgroupSupport.Controller;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Set;

/**
 * One tree of cgroups, with the directory of this node in it. What it does, it does to the directory of one lease.
 *
 * <p>Version 2 has one tree with all controllers, version 1 one for each controller or pair; where both are there, the one of version 2 has the controllers that no tree of
 * version 1 has taken.
 */
sealed interface Hierarchy permits Version1, Version2 {
  /** Where this node's cgroups are made: the parent's directory with the mark. */
  Path base();

  /** Where the hierarchy is mounted. */
  Path mount();

  /** What it limits. */
  Set<Controller> controllers();

  /** Makes the base, so that cgroups can be made in it that are held by the controllers. */
  void open() throws IOException;

  /** Makes the directory of a lease, whose parent is there. */
  void make(Path lease) throws IOException;

  /**
   * Writes the limits that are given and that it has the controller for.
   *
   * @throws LimitRefused for the first that the kernel does not take
   */
  void limit(Path lease, CgroupLimits limits, int periodMicros) throws IOException;

  /** What a lease has used, of what it counts. */
  Tally tally(Path lease);

  /** Stops and starts; nothing happens where it can't. */
  void freeze(Path lease, boolean frozen) throws IOException;

  /** Undoes what {@link #open} has done to what is not ours. When nothing of ours is there any more. */
  void restore();
}
