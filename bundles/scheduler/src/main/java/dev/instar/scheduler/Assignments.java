package dev.instar.scheduler;

import dev.instar.api.function.FunctionName;
import dev.instar.api.invocation.BackendAssignment;
import dev.instar.api.invocation.BackendScope;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;

/**
 * Which backend runs what another one would. Immutable, so that calls look into it without a lock; most nodes have none.
 *
 * <p>A call whose own backend has no assignment in the narrowest scope that has one for it goes to its own. Assignments are not followed from one to the next:
 * each says where calls go in the end.
 */
final class Assignments {
  private static final Comparator<BackendAssignment> WIDEST_FIRST = Comparator.comparingInt((BackendAssignment a) -> rank(a.scope()))
      .thenComparing(a -> key(a.scope())).thenComparing(BackendAssignment::own);
  static final Assignments NONE = new Assignments(List.of());

  /** Where a call goes, and, while that one's share still grows, where it may go instead. */
  record Target(String backend, Optional<String> instead) {}

  private final List<BackendAssignment> all;
  private final Map<String, Map<String, BackendAssignment>> byScope = new HashMap<>();

  Assignments(List<BackendAssignment> assignments) {
    all = assignments.stream().sorted(WIDEST_FIRST).toList();
    all.forEach(a -> byScope.computeIfAbsent(key(a.scope()), key -> new HashMap<>()).put(a.own(), a));
  }

  private static int rank(BackendScope scope) {
    return switch (scope) {
      case BackendScope.All _ -> 0;
      case BackendScope.User _ -> 1;
      case BackendScope.One _ -> 2;
    };
  }

  private static String key(BackendScope scope) {
    return switch (scope) {
      case BackendScope.All _ -> "";
      case BackendScope.User(String user) -> user;
      case BackendScope.One(FunctionName function) -> function.toString();
    };
  }

  boolean isEmpty() {
    return all.isEmpty();
  }

  List<BackendAssignment> all() {
    return all;
  }

  /** @param draw from 0 to 1, excluded: which calls are the first to go while a share grows */
  Target of(FunctionName function, String own, double draw, Instant now) {
    BackendAssignment found = find(function, own);
    if (found == null) {
      return new Target(own, Optional.empty());
    }
    double share = found.share(now);
    return share >= 1 ? new Target(found.to(), Optional.empty()) : draw < share ? new Target(found.to(), Optional.of(found.before())) : new Target(found.before(), Optional.of(found.to()));
  }

  /** Where the calls of a function are all to go; empty where that is its own backend. */
  Optional<String> last(FunctionName function, String own) {
    return Optional.ofNullable(find(function, own)).map(BackendAssignment::to).filter(to -> !to.equals(own));
  }

  private BackendAssignment find(FunctionName function, String own) {
    BackendAssignment found = get(function.toString(), own);
    if (found == null) {
      found = get(function.user(), own);
    }
    return found == null ? get("", own) : found;
  }

  private BackendAssignment get(String key, String own) {
    Map<String, BackendAssignment> there = byScope.get(key);
    return there == null ? null : there.get(own);
  }

  /** Where the calls of a scope go in the end that wider ones, and itself if wanted, say. */
  private String target(BackendScope scope, String own, boolean itself) {
    BackendAssignment found = itself ? get(key(scope), own) : null;
    if (found == null && scope instanceof BackendScope.One(FunctionName function)) {
      found = get(function.user(), own);
    }
    if (found == null && !(scope instanceof BackendScope.All)) {
      found = get("", own);
    }
    return found == null ? own : found.to();
  }

  /**
   * With the calls of a scope that {@code from} runs now assigned to {@code to}.
   *
   * @param owners whose calls are meant, see {@link #broughtTo}
   */
  Assignments with(BackendScope scope, Set<String> owners, String from, String to, Instant now, Duration ramp) {
    List<BackendAssignment> next = new ArrayList<>(all);
    next.removeIf(a -> a.scope().equals(scope) && owners.contains(a.own()));
    owners.forEach(own -> next.add(new BackendAssignment(scope, own, to, from, now, ramp)));
    return new Assignments(next);
  }

  /**
   * The backends whose calls {@code from} runs in a scope. Where earlier assignments brought calls to it, these are meant and not its own: so the way back is the same with
   * the names exchanged.
   */
  Set<String> broughtTo(BackendScope scope, String from) {
    Set<String> owners = new LinkedHashSet<>();
    for (BackendAssignment a : all) {
      if (!a.own().equals(from) && target(scope, a.own(), true).equals(from)) {
        owners.add(a.own());
      }
    }
    return owners.isEmpty() ? Set.of(from) : owners;
  }

  /** Where the calls of a scope all go, of those that are a backend's own. */
  String target(BackendScope scope, String own) {
    return target(scope, own, true);
  }

  /** Without those that say what would be so without them, once every call goes where they say. */
  Assignments pruned(Instant now) {
    List<BackendAssignment> kept = all.stream().filter(a -> a.share(now) < 1 || !target(a.scope(), a.own(), false).equals(a.to())).toList();
    return kept.size() == all.size() ? this : new Assignments(kept).pruned(now);
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Assignments assignments && all.equals(assignments.all);
  }

  @Override
  public int hashCode() {
    return Objects.hash(all);
  }

  @Override
  public String toString() {
    return all.toString();
  }
}
