package dev.instar.api.network;

import dev.instar.api.InstarException;
import dev.instar.api.sandbox.Probe;
import java.util.List;
import org.osgi.annotation.versioning.ConsumerType;

/**
 * Gives sandboxes networks of their own. Third parties implement this, register it as an OSGi service, and pass the suite
 * {@code dev.instar.tck.network.NetworkAllocatorSuite}.
 *
 * <h2>Vocabulary</h2>
 * A <i>slot</i> is a network namespace with an interface, an address and a route, made before anybody wants it. A <i>lease</i> is one slot in the
 * hands of one sandbox. The <i>mark</i> of a node is in the name of everything that it makes on its host.
 *
 * <h2>Life cycle</h2>
 * <pre>
 *   probe ──Usable──▶ lease(request) ──▶ NetworkLease ──close, once──▶ the slot serves the next
 * </pre>
 * The scheduler owns leases, see {@link dev.instar.api.lease}: whoever implements this offers a {@code LeaseProvider} of the kind
 * {@link NetworkLease#KIND}, too, which takes what {@link NetworkRequest#of} makes of a version's labels. What was used never serves the next as it is:
 * sockets, processes and settings that one sandbox left in its namespace are out of reach for all that come after.
 *
 * <h2>Replacement</h2>
 * A lease stays what it is when the bundle that gave it is replaced: namespace, address, policy and counters hold until it is closed, and closing
 * it leaves nothing. A lease that is still open when the node ends is taken down with it. What a killed node left is swept by the next start on its
 * data directory, by its mark; nothing else on the host is touched. A host-wide setting that had to be changed is put back, too.
 *
 * <h2>What goes where</h2>
 * By default no packet of a function reaches the node, another function, a link-local or a metadata address. The node itself reaches every function.
 * {@link EgressPolicy} says what else goes out.
 *
 * <h2>Threads and cost</h2>
 * All methods come from any thread, concurrently. lease: well below a millisecond while there are slots, else as long as it takes to make some.
 * probe: may take a second. status: reads counters of all leases.
 *
 * <h2>Failures</h2>
 * Only {@link InstarException}: NETWORK_UNAVAILABLE when the probe says what is missing, NODE_BUSY when all slots are leased and no more may be made.
 */
@ConsumerType
public interface NetworkAllocator {
  /** Whether this host lets it make networks, and if not, which one missing thing would make it work. Never throws. */
  Probe probe();

  /** @throws InstarException NETWORK_UNAVAILABLE, NODE_BUSY, BAD_REQUEST when the request cannot be met here, naming what of it */
  NetworkLease lease(NetworkRequest request) throws InterruptedException;

  /** For people: the pool, and what is leased. */
  Status status();

  /**
   * A moment's view.
   *
   * @param mark the mark of the node
   * @param free slots that nobody has
   * @param most how many slots there may be, those of leases included
   * @param taken how many leases there were since the start
   * @param networks address ranges that slots are made in, e.g. {@code 10.62.0.0/16}
   * @param leases those that are open, the oldest first
   */
  record Status(String mark, int free, int most, long taken, List<String> networks, List<LeaseStatus> leases) {
    public Status {
      networks = List.copyOf(networks);
      leases = List.copyOf(leases);
    }
  }
}
