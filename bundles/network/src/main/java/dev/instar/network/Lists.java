package dev.instar.network;

import dev.instar.api.network.EgressPolicy;
import java.io.IOException;
import java.util.HashMap;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;

/** Chains of lists of destinations: one for all guests that have the same list, kept for a while when nobody has it. */
final class Lists {
  /** How many are kept that nobody has. */
  private static final int IDLE = 64;

  /** Makes and unmakes chains. */
  interface Chains {
    void add(String name, EgressPolicy.Only list) throws IOException;

    void remove(String name) throws IOException;
  }

  /** Sets the policy of a guest. */
  interface Change {
    /**
     * @param before the chain of the list that the guest has; empty where it has none
     * @param after that of the list that it gets
     */
    void make(String before, String after) throws IOException;
  }

  private static final class Entry {
    private final String name;
    private int users;

    Entry(String name) {
      this.name = name;
    }
  }

  private final Chains chains;
  private final Map<EgressPolicy.Only, Entry> used = new HashMap<>();
  private final LinkedHashMap<EgressPolicy.Only, Entry> idle = new LinkedHashMap<>();
  private int last;

  Lists(Chains chains) {
    this.chains = chains;
  }

  /** Changes a guest's policy, with the chains of lists that it had and gets; where that fails, it has the former. */
  void change(EgressPolicy before, EgressPolicy after, Change change) throws IOException {
    if (before.equals(after)) {
      return;
    }
    String chain = after instanceof EgressPolicy.Only list ? use(list) : "";
    try {
      change.make(before instanceof EgressPolicy.Only list ? of(list) : "", chain);
    } catch (IOException e) {
      if (after instanceof EgressPolicy.Only list) {
        release(list);
      }
      throw e;
    }
    if (before instanceof EgressPolicy.Only list) {
      release(list);
    }
  }

  /** The name of the chain, for one more guest. */
  private synchronized String use(EgressPolicy.Only list) throws IOException {
    Entry entry = used.get(list);
    if (entry == null) {
      entry = idle.remove(list);
      if (entry == null) {
        entry = new Entry("list" + ++last);
        chains.add(entry.name, list);
      }
      used.put(list, entry);
    }
    entry.users++;
    return entry.name;
  }

  /** The name of the chain that a guest has. */
  private synchronized String of(EgressPolicy.Only list) {
    return used.get(list).name;
  }

  /** One guest less. */
  private synchronized void release(EgressPolicy.Only list) throws IOException {
    Entry entry = used.get(list);
    if (--entry.users > 0) {
      return;
    }
    used.remove(list);
    idle.put(list, entry);
    if (idle.size() > IDLE) {
      Iterator<Entry> oldest = idle.values().iterator();
      String name = oldest.next().name;
      oldest.remove();
      chains.remove(name);
    }
  }
}
