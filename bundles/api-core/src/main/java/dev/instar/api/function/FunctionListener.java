package dev.instar.api.function;

import org.osgi.annotation.versioning.ConsumerType;

/** A service that wants to hear of versions that go (whiteboard). Called after the change is durable; must not block for long. */
@ConsumerType
public interface FunctionListener {
  /** No new call will ask for this version; its idle sandboxes and prepared state can go. */
  void versionRemoved(FunctionVersion version);

  /** Another version answers calls now; idle sandboxes of this one are only needed for calls that name it. */
  default void versionDeactivated(FunctionVersion version) {}
}
