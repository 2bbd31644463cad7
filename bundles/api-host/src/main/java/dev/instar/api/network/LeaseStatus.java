package dev.instar.api.network;

import java.time.Instant;
import java.util.Objects;

/**
 * One open lease, for people.
 *
 * @param id of the lease
 * @param request what was asked for
 * @param address of the guest
 * @param namespace where the namespace is bound
 * @param since when it was taken
 * @param usage what has gone through
 */
public record LeaseStatus(String id, NetworkRequest request, String address, String namespace, Instant since, NetworkUsage usage) {
  public LeaseStatus {
    Objects.requireNonNull(id);
    Objects.requireNonNull(request);
    Objects.requireNonNull(address);
    Objects.requireNonNull(namespace);
    Objects.requireNonNull(since);
    Objects.requireNonNull(usage);
  }
}
