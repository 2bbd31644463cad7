package dev.instar.api.invocation;

import dev.instar.api.function.FunctionVersion;
import java.util.List;
import java.util.Map;
import org.osgi.annotation.versioning.ProviderType;

/** What an operator wants to know of the backends. Provided by the scheduler. */
@ProviderType
public interface BackendDirectory {
  /** Every generation that is active or drains, in the order of name and generation. */
  List<BackendStatus> backends();

  /**
   * How a version is run, for {@code describe}: backend, entry convention, what a reset does, limits in force. Keys are
   * stable, values plain text. Prepares the version if that has not happened.
   */
  Map<String, String> describe(FunctionVersion version) throws InterruptedException;

  /** What is prepared for calls of active versions; for a successor, which prepares it before it takes calls. */
  List<FunctionVersion> inUse();

  /** Which calls are run by another backend than their own, the narrowest scope last. */
  List<BackendAssignment> assignments();

  /**
   * Moves calls to another backend, for good: it outlasts the node's restart. What runs goes on to its end where it is; functions that are in use are prepared by
   * the new backend before it gets its first call. To move them the other way takes it back. Assignments of narrower scopes stay as they are.
   *
   * <p>While the backend that calls are assigned to is away they wait, and are not run by another, whose isolation may be weaker.
   *
   * @return what is assigned then
   * @throws dev.instar.api.InstarException BACKEND_NOT_FOUND; FUNCTION_NOT_FOUND; CONFLICT, BAD_REQUEST when that backend can't run here, or none of what the other
   *     runs; what preparing one of the functions names
   */
  List<BackendAssignment> move(BackendMove move) throws InterruptedException;
}
