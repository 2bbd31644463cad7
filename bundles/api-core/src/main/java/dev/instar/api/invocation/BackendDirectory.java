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
}
