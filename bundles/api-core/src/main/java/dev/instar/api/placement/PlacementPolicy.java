package dev.instar.api.placement;

import dev.instar.api.function.FunctionVersion;
import java.util.List;
import org.osgi.annotation.versioning.ConsumerType;

/**
 * Decides which variant of a function takes a call, where more than one can. Third parties implement this, register it as an OSGi service, and
 * pass the suite {@code dev.instar.tck.placement.PlacementPolicySuite}.
 *
 * <h2>Life cycle</h2>
 * The policy with the highest service ranking decides; without one the first candidate takes the call. It may come, go and be replaced at any time: calls
 * that have been placed stay where they are. A policy keeps nothing of a function, or drops it by itself.
 *
 * <h2>Threads and cost</h2>
 * {@link #choose} comes from any thread, concurrently, for each call of a function of several variants (functions of one variant, the usual case, ask
 * nobody). It must not block, and takes no more than some microseconds.
 *
 * <h2>Failures</h2>
 * A policy that throws, or names a place that is not in the list, is logged, and the first candidate takes the call.
 */
@ConsumerType
public interface PlacementPolicy {
  /**
   * A variant that could take the call now.
   *
   * @param variant its index among the variants of the version
   * @param kind what its image holds, as in {@link dev.instar.api.function.Variant#kind}
   * @param backend who would run it
   * @param prepared whether a sandbox could start without preparing the function (compiling, unpacking) first
   * @param idle sandboxes that wait for a call of it
   * @param busy sandboxes in which calls of it run
   */
  record Candidate(int variant, String kind, String backend, boolean prepared, int idle, int busy) {}

  /**
   * Looks at a version that is being deployed, of one variant or several, so that its deployer is told of a label that says nothing to this policy.
   *
   * @throws dev.instar.api.InstarException BAD_REQUEST, naming label, value and what it may be
   */
  default void check(FunctionVersion version) {}

  /**
   * Chooses.
   *
   * @param version whose call it is; its labels may say what its deployer wants
   * @param candidates two or more, the version's preferred one first; numbers are those of a moment ago
   * @return the place in {@code candidates}, from 0, of the one that takes the call
   */
  int choose(FunctionVersion version, List<Candidate> candidates);
}
