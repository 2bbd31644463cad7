package dev.instar.network;

import dev.instar.api.network.EgressPolicy;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Which guest has which policy, and the chains of lists of destinations: one for all guests that have the same list, kept for a while when nobody has it. For one
 * thread at a time.
 */
final class Policies {
  /** How many chains are kept that nobody has. */
  private static final int IDLE = 64;

  /** Makes and unmakes chains. */
  interface Chains {
    void add(String name, EgressPolicy.Only list) throws IOException;

    void remove(String name) throws IOException;
  }

  /**
   * The policy of a guest, as a firewall has it.
   *
   * @param address of the guest
   * @param policy other than {@link EgressPolicy#INTERNET}
   * @param chain of its list; empty where it has none
   */
  record Entry(int address, EgressPolicy policy, String chain) {}

  /** Changes the firewall. */
  interface Change {
    /**
     * @param before what is to go
     * @param after what is to come
     */
    void make(List<Entry> before, List<Entry> after) throws IOException;
  }

  private final Chains chains;
  private final Map<Integer, Entry> entries = new TreeMap<>();
  private final Map<EgressPolicy.Only, String> names = new HashMap<>();
  private final Map<String, Integer> users = new HashMap<>();
  private final LinkedHashMap<EgressPolicy.Only, String> idle = new LinkedHashMap<>();
  private int last;

  Policies(Chains chains) {
    this.chains = chains;
  }

  /** Of all guests that have one of their own. */
  List<Entry> all() {
    return List.copyOf(entries.values());
  }

  /** The chains that there are, in use or not. */
  Map<String, EgressPolicy.Only> chains() {
    Map<String, EgressPolicy.Only> all = new TreeMap<>();
    names.forEach((list, name) -> all.put(name, list));
    return all;
  }

  /** Gives a guest a policy; where that fails, it has the former. */
  void set(int address, EgressPolicy policy, Change change) throws IOException {
    List<Entry> before = entries.containsKey(address) ? List.of(entries.get(address)) : List.of();
    if (before.isEmpty() ? policy instanceof EgressPolicy.Internet : before.getFirst().policy().equals(policy)) {
      return;
    }
    List<Entry> after = policy instanceof EgressPolicy.Internet ? List.of() : List.of(new Entry(address, policy, policy instanceof EgressPolicy.Only list ? chain(list) : ""));
    change.make(before, after);
    forget(before);
    for (Entry entry : after) {
      entries.put(address, entry);
      if (entry.policy() instanceof EgressPolicy.Only list) {
        users.merge(entry.chain(), 1, Integer::sum);
        idle.remove(list);
      }
    }
    trim();
  }

  /** Guests whose policies go. */
  void release(Collection<Integer> addresses, Change change) throws IOException {
    List<Entry> before = new ArrayList<>();
    addresses.forEach(address -> {
      if (entries.containsKey(address)) {
        before.add(entries.get(address));
      }
    });
    if (!before.isEmpty()) {
      change.make(before, List.of());
      forget(before);
      trim();
    }
  }

  private void forget(List<Entry> gone) {
    for (Entry entry : gone) {
      entries.remove(entry.address());
      if (entry.policy() instanceof EgressPolicy.Only list && users.merge(entry.chain(), -1, Integer::sum) == 0) {
        users.remove(entry.chain());
        idle.put(list, entry.chain());
      }
    }
  }

  private String chain(EgressPolicy.Only list) throws IOException {
    String name = names.get(list);
    if (name == null) {
      name = "list" + ++last;
      chains.add(name, list);
      names.put(list, name);
      idle.put(list, name);
    }
    return name;
  }

  private void trim() throws IOException {
    while (idle.size() > IDLE) {
      Iterator<Map.Entry<EgressPolicy.Only, String>> oldest = idle.entrySet().iterator();
      Map.Entry<EgressPolicy.Only, String> one = oldest.next();
      oldest.remove();
      names.remove(one.getKey());
      chains.remove(one.getValue());
    }
  }
}
