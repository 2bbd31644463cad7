package dev.instar.api.operations;

import dev.instar.api.InstarException;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import org.osgi.annotation.versioning.ProviderType;

/**
 * Changes which bundles a running node is made of.
 *
 * <p>Each change is first <em>planned</em>: which bundles come, go and start anew, why, and whom that touches. The plan is held against the framework's own
 * resolver, over the wirings that are; a change that would not resolve is refused and the refusal names the missing package or capability. Nothing
 * is installed for that. Refused, too, are what is no whole jar or no bundle, a version that is there or older than what is there, and whatever
 * would stop a part that stays for as long as the node runs: listener, API bundles, native holders, and what deployment itself stands on.
 *
 * <p>Then it is <em>made</em>: new bundles are installed, old ones stopped (which drains their calls), what is wired to them refreshed, the new ones
 * started, and the services of the old awaited of the new. A bundle that does not start, or does not offer in time what the old one did, is taken
 * back and the old one started again. What was deployed is on the disk when a change is done, and comes back with the next start of the node.
 *
 * <p>One change is made at a time; others wait for it for a while. Any thread may call any method. A refusal costs a look through the jar and some
 * milliseconds of resolving.
 */
@ProviderType
public interface Deployer {
  /** What the node is made of, by id. */
  List<BundleStatus> bundles();

  /** The features that are known, by name. */
  List<FeatureStatus> features();

  /**
   * What a change would do.
   *
   * @throws InstarException when it is refused
   * @throws IOException when the change's own stream cannot be read
   */
  Plan plan(Change change) throws IOException, InterruptedException;

  /**
   * Plans a change and begins to make it; does not wait for its end.
   *
   * @throws InstarException when it is refused; nothing has changed then
   * @throws IOException when the change's own stream cannot be read
   */
  Deployment begin(Change change) throws IOException, InterruptedException;

  /** One of the last changes, while it is remembered. */
  Optional<Deployment> find(String id);

  /** As {@link #find}, once it has ended or the limit has passed. */
  Optional<Deployment> await(String id, Duration limit) throws InterruptedException;
}
