package dev.instar.launcher.node;

import java.nio.file.Path;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Optional;
import java.util.Set;

/**
 * What a node is started with.
 *
 * @param data where it keeps what it keeps
 * @param config the folder of its configuration files
 * @param port instead of the file's; 0 takes a free one
 * @param bind instead of the file's
 * @param features switched on beside the node itself
 * @param properties of the framework, over those of the distribution
 */
public record NodeOptions(Path data, Path config, OptionalInt port, Optional<String> bind, Set<String> features, Map<String, String> properties) {
  public NodeOptions {
    features = Set.copyOf(features);
    properties = Map.copyOf(properties);
  }
}
