package dev.instar.api.invocation;

import dev.instar.api.function.FunctionVersion;
import org.osgi.annotation.versioning.ProviderType;

/** Prepares a version ahead of its first call. Provided by the scheduler; used by the registry before it publishes. */
@ProviderType
public interface Preparer {
  /**
   * Has every variant prepared by the backend that would run it, once, however many ask at the same time, and keeps the result
   * for the calls that follow.
   *
   * @throws dev.instar.api.InstarException BAD_REQUEST, SECRET_NOT_FOUND, MODULE_REFUSED, IMAGE_NOT_FOUND, BACKEND_UNAVAILABLE, and what a backend's prepare names
   */
  void prepare(FunctionVersion version) throws InterruptedException;

  /** Lets go of what {@link #prepare} made, for a version that was not published after all. */
  void forget(FunctionVersion version);
}
