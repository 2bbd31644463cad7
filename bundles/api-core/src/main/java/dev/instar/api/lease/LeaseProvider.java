package dev.instar.api.lease;

import dev.instar.api.InstarException;
import dev.instar.api.function.FunctionVersion;
import java.util.Map;
import java.util.Optional;
import org.osgi.annotation.versioning.ConsumerType;

/**
 * Lends one kind of thing to sandboxes. Registered as a service; of several of one kind that with the highest ranking lends, and the newest among equals.
 *
 * <p><b>Threads.</b> All methods come from any thread, virtual ones too, concurrently. <b>Cost.</b> {@link #take} is on the way of every cold start: a provider
 * keeps a pool of what takes longer than a millisecond to make. {@link #describe} does no work. <b>Its end.</b> When the service is unregistered, what is lent
 * stays lent; a take that is under way ends with a lease that is of use, or with NOT_READY, and is then made again with the provider's successor.
 */
@ConsumerType
public interface LeaseProvider {
  /** The kind that it lends. Constant while it is registered. */
  String kind();

  /**
   * Looks at what a version asks for when it is deployed, so that its deployer is told and not its callers.
   *
   * @throws InstarException BAD_REQUEST or another code, naming field, value and range, when {@link #take} would refuse the version's sandboxes here
   */
  default void check(FunctionVersion version) {}

  /**
   * Lends one.
   *
   * @return empty when this host has none of the kind to lend; what is missing, the provider's own service tells
   * @throws InstarException NODE_BUSY when all are lent, BAD_REQUEST when the version's limits ask for what this host can't do, NOT_READY
   * @throws InterruptedException when the sandbox is not wanted any more; nothing is lent then
   */
  Optional<? extends Lease> take(LeaseRequest request) throws InterruptedException;

  /**
   * What a sandbox of the version would be held to by its lease, for {@code describe}. Names and values are for people and stable; of them {@code limits} is
   * the names of those of the version's limits that hold through the lease, with commas between. Empty when it lends nothing.
   */
  Map<String, String> describe(FunctionVersion version);
}
