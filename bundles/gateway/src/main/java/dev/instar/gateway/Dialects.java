package dev.instar.gateway;

import dev.instar.api.http.HttpDialect;
import dev.instar.api.http.Route;
import dev.instar.api.http.RouteHandler;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.slf4j.event.Level;

/**
 * The dialects that are there, and the table of their routes, which is replaced whole when one comes or goes. A request that finds no route, but would
 * have found one a moment ago, waits: its dialect is most likely being replaced.
 */
public final class Dialects {
  private static final Logger LOG = LoggerFactory.getLogger(Dialects.class);

  private record Offer(HttpDialect dialect, List<Route> routes, int ranking, long id, Use use) {}

  /** The exchanges that are in a dialect. */
  static final class Use {
    private final AtomicInteger running = new AtomicInteger();
    private volatile boolean over;

    /** False when the dialect has gone. */
    boolean enter() {
      running.incrementAndGet(); // before the look at over, so that whoever waits for the end counts this one
      if (over) {
        running.decrementAndGet();
        return false;
      }
      return true;
    }

    void leave() {
      running.decrementAndGet();
    }
  }

  /** What is served and what was until a moment ago, replaced together: a route that is being swapped is always in one of them. */
  private record Tables(Routes served, Routes departed, Map<RouteHandler, Use> uses) {}

  private record Departed(Offer offer, long atNanos) {}

  private static final Comparator<Offer> BEST_FIRST = Comparator.comparingInt(Offer::ranking).reversed().thenComparingLong(Offer::id);

  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();
  private final List<Offer> offers = new ArrayList<>();
  private final Set<HttpDialect> leftOut = Collections.newSetFromMap(new IdentityHashMap<>());
  private List<Departed> departed = List.of();
  private volatile Tables tables = new Tables(Routes.NONE, Routes.NONE, Map.of());

  /** Takes a dialect, or its changed ranking; its routes are read once. */
  public void add(HttpDialect dialect, Map<String, ?> properties) {
    int ranking = properties.get("service.ranking") instanceof Integer value ? value : 0;
    long id = properties.get("service.id") instanceof Long value ? value : Long.MAX_VALUE;
    lock.lock();
    try {
      List<Route> read = List.of();
      Use use = new Use();
      for (Offer known : List.copyOf(offers)) {
        if (known.dialect() == dialect) {
          offers.remove(known);
          read = known.routes();
          use = known.use();
        }
      }
      offers.add(new Offer(dialect, read.isEmpty() ? List.copyOf(dialect.routes()) : read, ranking, id, use));
      rebuild();
    } finally {
      lock.unlock();
    }
  }

  /** Lets go of a dialect. Returns when it has ended the exchanges that it has been given, or after {@code drain}. */
  public void remove(HttpDialect dialect, Duration drain) {
    List<Use> ending = new ArrayList<>();
    lock.lock();
    try {
      for (Offer known : List.copyOf(offers)) {
        if (known.dialect() == dialect) {
          offers.remove(known);
          ending.add(known.use());
          if (!leftOut.remove(dialect)) {
            List<Departed> all = new ArrayList<>(departed);
            all.add(new Departed(known, System.nanoTime()));
            departed = all;
          }
        }
      }
      rebuild();
    } finally {
      lock.unlock();
    }
    ending.forEach(use -> use.over = true);
    long deadline = System.nanoTime() + drain.toNanos();
    while (ending.stream().anyMatch(use -> use.running.get() > 0) && System.nanoTime() - deadline < 0 && !Thread.currentThread().isInterrupted()) {
      // Once a swap; not worth a lock on each exchange.
      LockSupport.parkNanos(5_000_000);
    }
    int left = ending.stream().mapToInt(use -> use.running.get()).sum();
    if (left > 0) {
      LOG.warn("The dialect {} goes while {} of its exchanges still run.", dialect.name(), left);
    }
  }

  /** Counts the exchanges of the dialect that a handler of {@link #match} is of. */
  Optional<Use> use(RouteHandler handler) {
    return Optional.ofNullable(tables.uses().get(handler));
  }

  /** What a path leads to now. */
  Optional<Routes.Match> match(List<String> segments) {
    return tables.served().match(segments);
  }

  /** What a path leads to; waits where its dialect went less than {@code waitNanos} ago. */
  Optional<Routes.Match> await(List<String> segments, long waitNanos) throws InterruptedException {
    Tables now = tables;
    Optional<Routes.Match> served = now.served().match(segments);
    if (served.isPresent() || now.departed().match(segments).isEmpty()) {
      return served;
    }
    lock.lock();
    try {
      while (true) {
        Optional<Routes.Match> match = tables.served().match(segments);
        long left = 0;
        for (Departed gone : departed) {
          if (table(List.of(gone.offer())).match(segments).isPresent()) {
            left = Math.max(left, gone.atNanos() + waitNanos - System.nanoTime());
          }
        }
        if (match.isPresent() || left <= 0) {
          forget(waitNanos);
          return match;
        }
        changed.awaitNanos(left);
      }
    } finally {
      lock.unlock();
    }
  }

  private void forget(long waitNanos) {
    long now = System.nanoTime();
    departed = departed.stream().filter(gone -> now - gone.atNanos() < waitNanos).toList();
    tables = new Tables(tables.served(), table(departed.stream().map(Departed::offer).toList()), tables.uses());
  }

  private void rebuild() {
    offers.sort(BEST_FIRST);
    Map<String, HttpDialect> taken = new HashMap<>();
    List<Offer> served = new ArrayList<>();
    for (Offer offer : offers) {
      String objection = objection(offer, taken);
      if (objection.isEmpty()) {
        leftOut.remove(offer.dialect());
        served.add(offer);
        offer.routes().forEach(route -> taken.put(Routes.key(route), offer.dialect()));
      } else if (leftOut.add(offer.dialect())) {
        boolean successor = served.stream().anyMatch(other -> other.dialect().name().equals(offer.dialect().name()));
        LOG.atLevel(successor ? Level.INFO : Level.ERROR).log("The dialect {} is left out: {}", offer.dialect().name(), objection);
      }
    }
    // What is served again, by whoever, is waited for no longer.
    departed = departed.stream().filter(gone -> !gone.offer().routes().stream().allMatch(route -> taken.containsKey(Routes.key(route)))).toList();
    Map<RouteHandler, Use> uses = new IdentityHashMap<>();
    served.forEach(offer -> offer.routes().forEach(route -> uses.put(route.handler(), offer.use())));
    tables = new Tables(table(served), table(departed.stream().map(Departed::offer).toList()), uses);
    changed.signalAll();
  }

  private static String objection(Offer offer, Map<String, HttpDialect> taken) {
    Set<String> own = new HashSet<>();
    for (Route route : offer.routes()) {
      try {
        String key = Routes.key(route);
        if (!own.add(key)) {
          return "it declares " + route.method() + " " + route.template() + " twice.";
        }
        if (taken.containsKey(key)) {
          return route.method() + " " + route.template() + " is served by the dialect " + taken.get(key).name() + " already.";
        }
      } catch (IllegalArgumentException e) {
        return e.getMessage() + ".";
      }
    }
    return "";
  }

  private static Routes table(List<Offer> offers) {
    Map<HttpDialect, List<Route>> routes = new IdentityHashMap<>();
    List<HttpDialect> order = new ArrayList<>();
    for (Offer offer : offers) {
      order.add(offer.dialect());
      routes.put(offer.dialect(), offer.routes());
    }
    return Routes.of(order, routes);
  }
}
