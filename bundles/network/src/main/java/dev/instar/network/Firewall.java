package dev.instar.network;

import dev.instar.api.network.EgressPolicy;
import java.io.IOException;
import java.util.Collection;

/**
 * Filters and translates what comes from guests of one generation. A guest without a policy of its own is one of {@link EgressPolicy#INTERNET}. It knows what
 * it has put in place, so that it can do so again. Thread-safe.
 */
interface Firewall {
  /** For people. */
  String name();

  /** Puts everything in place, anew where something of it is there: the rules of all, and for each guest what it was told. */
  void install(Rules rules) throws IOException;

  /** Guests of a block can only send under the address that they were given. */
  void bind(Block block, int firstSlot) throws IOException;

  /** From now on this policy holds for the guest. */
  void egress(int address, EgressPolicy policy) throws IOException;

  /** These guests have no policies of their own any more; again is as good as once. */
  void release(Collection<Integer> addresses) throws IOException;

  /** Whether all is still there that was put in place. */
  boolean isWhole() throws IOException;

  /** Whether something of this firewall may be in a table of nftables. */
  boolean mayUse(String table);

  /** Takes all away that bears the name of this generation, however much of it there is. */
  void remove() throws IOException;
}
