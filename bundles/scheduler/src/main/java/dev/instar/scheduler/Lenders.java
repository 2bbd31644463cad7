package dev.instar.scheduler;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.lease.Lease;
import dev.instar.api.lease.LeaseProvider;
import dev.instar.api.lease.LeaseRequest;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Consumer;

/** Who lends what sandboxes need of the host. Providers come and go seldom; a start reads one volatile field. */
final class Lenders {
  private record Arrival(LeaseProvider provider, String kind, int ranking) {}

  /** Under the monitor, in the order in which they came. */
  private final List<Arrival> arrivals = new ArrayList<>();
  private volatile Map<String, LeaseProvider> byKind = Map.of();

  synchronized void add(LeaseProvider provider, int ranking) {
    arrivals.add(new Arrival(provider, provider.kind(), ranking));
    choose();
  }

  synchronized void remove(LeaseProvider provider) {
    arrivals.removeIf(arrival -> arrival.provider() == provider);
    choose();
  }

  private void choose() {
    Map<String, LeaseProvider> best = new TreeMap<>();
    Map<String, Integer> rankings = new TreeMap<>();
    for (Arrival arrival : arrivals) {
      if (arrival.ranking() >= rankings.getOrDefault(arrival.kind(), Integer.MIN_VALUE)) {
        rankings.put(arrival.kind(), arrival.ranking());
        best.put(arrival.kind(), arrival.provider());
      }
    }
    byKind = Collections.unmodifiableMap(best);
  }

  /**
   * Takes one lease of each kind that its provider has any of.
   *
   * @param taken told of each at once, so that it has an owner whatever happens to the next
   * @param until how long to wait for a provider that is not there
   * @throws InstarException what a provider refused with; NOT_READY when there is none
   */
  void take(Set<String> kinds, LeaseRequest request, long until, Consumer<Lease> taken) throws InterruptedException {
    // The same order always: who waits for the second of two kinds never holds what another needs first.
    for (String kind : new TreeSet<>(kinds)) {
      take(kind, request, until, taken);
    }
  }

  private void take(String kind, LeaseRequest request, long until, Consumer<Lease> taken) throws InterruptedException {
    while (true) {
      LeaseProvider provider = await(kind, until);
      try {
        provider.take(request).ifPresent(taken);
        return;
      } catch (InstarException e) {
        if (e.code() != ErrorCode.NOT_READY || provider == byKind.get(kind) && Clock.now() > until) {
          throw e;
        }
        // It is going: its successor is here, or comes.
        Thread.sleep(5);
      }
    }
  }

  private LeaseProvider await(String kind, long until) throws InterruptedException {
    LeaseProvider provider = byKind.get(kind);
    for (; provider == null; provider = byKind.get(kind)) {
      if (Clock.now() > until) {
        throw Refusal.thrown(Refusal.noLender(kind));
      }
      // It is being replaced, which is seldom and short.
      Thread.sleep(5);
    }
    return provider;
  }

  /** Asks those who would lend, for a version that is being deployed. One that is away just now is not waited for: it refuses the start then. */
  void check(Set<String> kinds, FunctionVersion version) {
    for (String kind : new TreeSet<>(kinds)) {
      LeaseProvider provider = byKind.get(kind);
      if (provider != null) {
        provider.check(version);
      }
    }
  }

  /** What leases of these kinds would hold a sandbox of the version to. */
  Map<String, String> describe(Set<String> kinds, FunctionVersion version) {
    Map<String, String> facts = new TreeMap<>();
    for (String kind : new TreeSet<>(kinds)) {
      LeaseProvider provider = byKind.get(kind);
      if (provider != null) {
        provider.describe(version).forEach((name, value) -> facts.merge(name, value, (a, b) -> name.equals("limits") ? a + ", " + b : b));
      }
    }
    return facts;
  }
}
