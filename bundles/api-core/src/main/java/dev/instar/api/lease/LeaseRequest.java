package dev.instar.api.lease;

import dev.instar.api.function.FunctionVersion;
import java.time.Instant;
import java.util.Objects;

/**
 * Who wants to borrow.
 *
 * @param sandboxId unique on this node for as long as it runs
 * @param backend the name of the sandbox's backend
 * @param version what runs in the sandbox; its limits win over what the provider is configured to give
 * @param deadline when the start of the sandbox must have ended
 */
public record LeaseRequest(String sandboxId, String backend, FunctionVersion version, Instant deadline) {
  public LeaseRequest {
    Objects.requireNonNull(sandboxId);
    Objects.requireNonNull(backend);
    Objects.requireNonNull(version);
    Objects.requireNonNull(deadline);
  }
}
