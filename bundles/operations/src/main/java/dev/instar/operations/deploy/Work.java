package dev.instar.operations.deploy;

import dev.instar.api.operations.Plan.Step;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import org.osgi.framework.Bundle;

/**
 * A change in terms of the framework.
 *
 * @param what it is, for people
 * @param kept bundles that a feature lists and the node has
 * @param edit what it changes in what is stored
 */
record Work(String what, List<Replacement> replacements, List<Bundle> starts, List<Bundle> stops, List<Step> kept, Consumer<Deployed.Draft> edit) {
  /**
   * A bundle that comes, goes, or comes for another.
   *
   * @param start whether what comes is started
   */
  record Replacement(Optional<Bundle> former, Optional<BundleJar> next, boolean start) {}

  Work {
    replacements = List.copyOf(replacements);
    starts = List.copyOf(starts);
    stops = List.copyOf(stops);
    kept = List.copyOf(kept);
  }

  List<Bundle> formers() {
    return replacements.stream().flatMap(r -> r.former().stream()).toList();
  }

  List<BundleJar> jars() {
    return replacements.stream().flatMap(r -> r.next().stream()).toList();
  }
}
