package dev.instar.network;

import dev.instar.api.network.EgressPolicy;
import java.io.IOException;

/**
 * Filters and translates what comes from guests of one generation. A guest without a policy of its own is one of {@link EgressPolicy#INTERNET}.
 * Thread-safe.
 */
interface Firewall {
  /** For people. */
  String name();

  /** Puts everything in place that does not depend on a lease, in one transaction. */
  void install(Rules rules) throws IOException;

  /** Guests of a block can only send under the address that they were given. */
  void bind(Block block, int firstSlot) throws IOException;

  /** @param before what holds now */
  void egress(int address, EgressPolicy before, EgressPolicy policy) throws IOException;

  /** Takes all away that bears the name of this generation, however much of it there is. */
  void remove() throws IOException;
}
