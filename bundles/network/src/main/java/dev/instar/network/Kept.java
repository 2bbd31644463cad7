package dev.instar.network;

import dev.instar.api.InstarException;
import dev.instar.api.function.FunctionName;
import dev.instar.api.network.EgressPolicy;
import dev.instar.api.network.LeaseStatus;
import dev.instar.api.network.NetworkRequest;
import dev.instar.api.network.NetworkUsage;
import java.time.DateTimeException;
import java.time.Instant;
import java.util.Optional;
import java.util.Properties;

/** Leases that a bundle leaves open when it goes, as its successor reads of them. */
final class Kept {
  private static final int PARTS = 6;

  private Kept() {}

  static void put(Properties all, SlotLease lease) {
    NetworkRequest request = lease.request();
    all.setProperty(lease.id(), String.join(" ", request.function().toString(), request.egress().toString(), Long.toString(request.bitsPerSecond()),
        lease.address().getHostAddress(), lease.namespace().toString(), lease.since().toString()));
  }

  static Optional<LeaseStatus> read(String id, String text) {
    String[] parts = text.split(" ");
    try {
      return parts.length != PARTS ? Optional.empty() : Optional.of(new LeaseStatus(id,
          new NetworkRequest(FunctionName.parse(parts[0]), EgressPolicy.parse(parts[1]), Long.parseLong(parts[2])), parts[3], parts[4], Instant.parse(parts[5]),
          NetworkUsage.NONE));
    } catch (InstarException | NumberFormatException | DateTimeException e) {
      return Optional.empty();
    }
  }
}
