package dev.instar.api.operations;

import java.io.InputStream;

/** A change of the bundles that the node is made of. Streams are read once, by the call that is given the change; it does not close them. */
public sealed interface Change {
  /** Adds a bundle; there must be none of its symbolic name. */
  record Install(InputStream jar) implements Change {}

  /**
   * Puts another version in a bundle's place.
   *
   * @param bundle symbolic name, or id
   */
  record Update(String bundle, InputStream jar) implements Change {}

  /** Starts a bundle that is stopped. */
  record Start(String bundle) implements Change {}

  /** Stops a bundle, until it is started again. */
  record Stop(String bundle) implements Change {}

  /** Takes away what was deployed; where that replaced a bundle of the distribution, that one comes back. A bundle of the distribution goes itself. */
  record Uninstall(String bundle) implements Change {}

  /** Adds what a feature (OSGi Feature Service, JSON) lists and the node has not got, from the distribution and what is deployed. */
  record ApplyFeature(InputStream json) implements Change {}

  /** The same for a feature that the distribution has. */
  record ApplyShippedFeature(String name) implements Change {}

  /** Takes away what applying a feature has added and no other feature lists. */
  record RemoveFeature(String name) implements Change {}
}
