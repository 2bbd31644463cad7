package dev.instar.api.cgroup;

import java.util.List;
import org.osgi.annotation.versioning.ConsumerType;

/**
 * Lends cgroups to sandboxes, on hosts with version 2 of the interface, version 1, or both side by side (<i>hybrid</i>: the controllers on version 1, a version 2
 * tree without any beside them). Third parties implement this, register it as an OSGi service together with a
 * {@link dev.instar.api.lease.LeaseProvider} of the kind {@link #KIND}, and pass the suite {@code dev.instar.tck.cgroup.CgroupManagerSuite}.
 *
 * <h2>Vocabulary</h2>
 * The manager makes all its cgroups below one <i>parent</i>, in each <i>hierarchy</i> (of which version 2 has one, version 1 one for each
 * controller or pair of them). A <i>lease</i> stands for one cgroup, whatever number of directories it is. A cgroup bears the node's <i>mark</i>: the
 * names of its directories say for which data directory and which run of the node it was made.
 *
 * <h2>Life cycle</h2>
 * <pre>
 *   pool ──lease(request): limits written──▶ lent ──close: all in it killed──▶ removed, never lent again
 *     ▲ made ahead, empty                     └ enter, freeze, thaw, kill, adjust, usage
 * </pre>
 * A cgroup serves one lease. What its counters say is that sandbox's; and a version 2 cgroup that was killed once may go on to kill what is cloned into it.
 * <p>At the start of a node the manager kills and removes what a killed predecessor on the same data directory has left, and nothing else. A manager that
 * stops because its bundle is replaced removes its pool and leaves the leases, which its successor in the same process finds by their mark and lists as its own. When the
 * node stops everything is removed.
 *
 * <h2>Threads and cost</h2>
 * All methods, of leases too, come from any thread, virtual ones too, concurrently. {@link #lease} writes a handful of small files, less than a millisecond where the
 * pool has one; a close takes as long as the kernel needs to end what is inside. {@link #probe} looks at the host anew.
 *
 * <h2>Privilege</h2>
 * Without the right to make cgroups a manager refuses each lease, and its probe tells what is missing; everything else goes on.
 */
@ConsumerType
public interface CgroupManager {
  /** The kind of its leases, see {@link dev.instar.api.lease.LeaseProvider#kind}. */
  String KIND = "cgroup";

  /** What this host can do. Never throws. */
  CgroupSupport probe();

  /**
   * Lends a cgroup that holds whatever enters it to the limits, from its first instruction on. A limit whose controller the host has not got, and that was asked for,
   * refuses the lease.
   *
   * @throws dev.instar.api.InstarException NOT_READY when this host lends none (with what is missing) or the manager is stopping; BAD_REQUEST for limits that this host can't
   *     hold to, naming them; NODE_BUSY when as many are lent as may
   * @throws InterruptedException when the thread was interrupted; nothing is lent then
   */
  CgroupLease lease(CgroupRequest request) throws InterruptedException;

  /** Those that are lent now, by this manager and its predecessors in this run of the node, oldest first. */
  List<CgroupLease> leases();
}
