package dev.instar.api.operations;

import java.util.List;

/**
 * A feature that the distribution has or that was applied.
 *
 * @param name the artifact's part of its id
 * @param id {@code group:artifact:version}
 * @param bundles as it lists them, each {@code group:artifact:version}
 * @param present whether the node has all of its bundles
 * @param applied whether it was applied to the running node, so that it can be removed
 */
public record FeatureStatus(String name, String id, String description, List<String> bundles, boolean present, boolean applied) {
  public FeatureStatus {
    bundles = List.copyOf(bundles);
  }
}
