package dev.instar.api.lease;

import java.util.List;
import java.util.Optional;

/**
 * What is lent to one sandbox. Whoever gets it uses the leases and closes none of them.
 *
 * @param held in the order in which they were taken; one of a kind
 */
public record Leases(List<Lease> held) {
  /** Nothing is lent. */
  public static final Leases NONE = new Leases(List.of());

  public Leases {
    held = List.copyOf(held);
  }

  /** The lease of a kind, by the type of that kind; empty when the host has none to lend, or the backend did not ask for it. */
  public <T extends Lease> Optional<T> find(Class<T> type) {
    return held.stream().filter(type::isInstance).map(type::cast).findFirst();
  }
}
