package dev.instar.scheduler;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import dev.instar.api.Threads;
import dev.instar.api.data.DataDirectory;
import dev.instar.api.function.Function;
import dev.instar.api.function.FunctionName;
import dev.instar.api.function.FunctionRegistry;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.invocation.BackendAssignment;
import dev.instar.api.invocation.BackendMove;
import dev.instar.api.invocation.BackendScope;
import dev.instar.api.sandbox.Probe;
import java.io.IOException;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Moves calls from one backend to another and keeps what was moved. Moves are made one at a time. */
final class Moves {
  private static final Logger LOG = LoggerFactory.getLogger(Moves.class);
  /** A call that has just chosen the old backend has its pool by then. */
  private static final Duration SETTLED = Duration.ofMillis(100);

  private final Backends backends;
  private final Preparations preparations;
  private final Watchdog watchdog;
  private final Supplier<FunctionRegistry> registry;
  private final ReentrantLock one = new ReentrantLock();
  private volatile Assignments assignments = Assignments.NONE;
  // Below: under the monitor.
  private Optional<AssignmentFile> file = Optional.empty();
  private FileTime read = FileTime.fromMillis(0);

  /** @param registry gives null while there is none */
  Moves(Backends backends, Preparations preparations, Watchdog watchdog, Supplier<FunctionRegistry> registry) {
    this.backends = backends;
    this.preparations = preparations;
    this.watchdog = watchdog;
    this.registry = registry;
  }

  List<BackendAssignment> all() {
    return assignments.all();
  }

  /** Takes what an earlier scheduler has kept there. */
  synchronized void keep(DataDirectory data) {
    try {
      file = Optional.of(new AssignmentFile(data));
      reread();
    } catch (IOException e) {
      LOG.error("Which backends calls are assigned to could not be read; they go to their own", e);
    }
  }

  /** In a swap of the scheduler the one that goes may have written something still. And what has come to its end and says nothing is forgotten. */
  synchronized void look() {
    try {
      if (file.isPresent()) {
        reread();
      }
    } catch (IOException e) {
      LOG.error("Which backends calls are assigned to could not be read again", e);
    }
    set(assignments.pruned(Instant.now()));
  }

  private void reread() throws IOException {
    FileTime written = file.get().written();
    if (!written.equals(read)) {
      set(file.get().read());
      read = written;
    }
  }

  private void set(Assignments changed) {
    if (!changed.equals(assignments)) {
      assignments = changed;
      backends.assign(changed);
    }
  }

  List<BackendAssignment> move(BackendMove move) throws InterruptedException {
    one.lockInterruptibly();
    try {
      Generation to = check(move);
      owners(move);
      prepare(move, to);
      List<BackendAssignment> changed = assign(move);
      LOG.info("Calls of {} move from {} to {} within {} s", shown(move.scope()), move.from(), move.to(), move.ramp().toSeconds());
      watchdog.arm(Clock.in(move.ramp().plus(SETTLED)), () -> Threads.startVirtual("instar-move", () -> leave(move)));
      return changed;
    } finally {
      one.unlock();
    }
  }

  private synchronized List<BackendAssignment> assign(BackendMove move) {
    Assignments changed = assignments.with(move.scope(), owners(move), move.from(), move.to(), Instant.now(), move.ramp()).pruned(Instant.now());
    try {
      if (file.isPresent()) {
        file.get().write(changed);
        read = file.get().written();
      }
    } catch (IOException e) {
      throw new InstarException(Problem.of(ErrorCode.NO_SPACE, "The move could not be written down, and was not made: " + e.getMessage() + "."), e);
    }
    set(changed);
    return changed.all();
  }

  /** Of one function it is known whose its calls are; of many it is as the operator sees it. */
  private Set<String> owners(BackendMove move) {
    FunctionRegistry functions = registry.get();
    if (!(move.scope() instanceof BackendScope.One(FunctionName name)) || functions == null) {
      Set<String> brought = assignments.broughtTo(move.scope(), move.from());
      if (brought.contains(move.from()) || functions == null || anyOwn(move.scope(), brought, functions)) {
        return brought;
      }
      // An earlier assignment that no function is under: to take it back alone would move nothing.
      Set<String> all = new TreeSet<>(brought);
      all.add(move.from());
      return all;
    }
    Set<String> own = new TreeSet<>();
    functions.find(name).stream().flatMap(function -> function.activeVersion().spec().variants().stream()).forEach(variant -> backends.own(variant).ifPresent(own::add));
    Set<String> there = own.stream().filter(backend -> assignments.target(move.scope(), backend).equals(move.from())).collect(Collectors.toSet());
    if (there.isEmpty()) {
      throw new InstarException(ErrorCode.CONFLICT, "The calls of " + name + " are not run by '" + move.from() + "'"
          + own.stream().map(backend -> assignments.target(move.scope(), backend)).distinct().collect(Collectors.joining("' and '", " but by '", "'")) + ".");
    }
    return there;
  }

  private boolean anyOwn(BackendScope scope, Set<String> owners, FunctionRegistry functions) {
    return functions.list().stream().filter(function -> scope.covers(function.name())).flatMap(function -> function.activeVersion().spec().variants().stream())
        .anyMatch(variant -> backends.own(variant).filter(owners::contains).isPresent());
  }

  private static String shown(BackendScope scope) {
    return switch (scope) {
      case BackendScope.All _ -> "all functions";
      case BackendScope.User(String user) -> "the user " + user;
      case BackendScope.One(FunctionName function) -> function.toString();
    };
  }

  private Generation check(BackendMove move) {
    if (move.from().equals(move.to())) {
      throw new InstarException(ErrorCode.BAD_REQUEST, "From '" + move.from() + "' to itself is no move; name two backends.");
    }
    // One that is gone for good, and was not there since the start: its calls must be able to leave.
    boolean left = !backends.knows(move.from()) && assignments.all().stream().anyMatch(a -> a.to().equals(move.from()));
    for (String name : List.of(move.from(), move.to())) {
      if (!backends.knows(name) && !(left && name.equals(move.from()))) {
        throw new InstarException(ErrorCode.BACKEND_NOT_FOUND, "This node has no backend '" + printable(name) + "'; it has: "
            + String.join(", ", backends.all().stream().map(Generation::name).distinct().sorted().toList()) + ".");
      }
    }
    FunctionRegistry functions = registry.get();
    if (move.scope() instanceof BackendScope.One(FunctionName name) && functions != null && functions.find(name).isEmpty()) {
      throw new InstarException(ErrorCode.FUNCTION_NOT_FOUND, "There is no function " + name + " on this node.");
    }
    Generation to = backends.named(move.to());
    if (to == null) {
      String why = backends.all().stream().filter(g -> g.name().equals(move.to())).map(Generation::probe)
          .map(probe -> probe instanceof Probe.Missing missing ? ": " + missing.what() + ". " + missing.remedy() : ".").findFirst().orElse(".");
      throw new InstarException(ErrorCode.CONFLICT, "The backend '" + move.to() + "' takes no calls now" + why);
    }
    Set<String> kinds = new TreeSet<>();
    for (String name : left ? owners(move) : Set.of(move.from())) {
      if (backends.knows(name)) {
        kinds.addAll(backends.description(name).kinds());
      }
    }
    if (!kinds.isEmpty() && Collections.disjoint(kinds, to.description().kinds())) {
      throw new InstarException(ErrorCode.CONFLICT, "The backend '" + move.to() + "' runs images of kind " + String.join(", ", to.description().kinds().stream().sorted().toList())
          + ", and '" + move.from() + "' of kind " + String.join(", ", kinds) + ": nothing that the one runs could run in the other.");
    }
    return to;
  }

  private static String printable(String name) {
    String safe = name.replaceAll("[^ -~]", "?");
    return safe.length() > 63 ? safe.substring(0, 63) + "…" : safe;
  }

  /** What is in use is prepared before it moves, so that its next call waits for nothing; where one of them can't be, nothing moves. */
  private void prepare(BackendMove move, Generation to) throws InterruptedException {
    List<Pool> used = used(move);
    List<Pool> begun = new ArrayList<>();
    List<Preparation> waiting = new ArrayList<>();
    for (Pool pool : used) {
      if (to.description().kinds().contains(pool.variant().kind()) && active(pool.version())) {
        Pool next = to.pool(pool.version(), pool.index());
        if (next == null) {
          throw new InstarException(Problem.of(ErrorCode.CONFLICT, "The backend '" + move.to() + "' has just gone; nothing was moved."));
        }
        Preparation preparation = next.prepare(preparations);
        if (preparation != null) {
          begun.add(next);
          waiting.add(preparation);
        }
      }
    }
    for (int i = 0; i < waiting.size(); i++) {
      try {
        waiting.get(i).await(Clock.NEVER);
      } catch (TimeoutException e) {
        throw new IllegalStateException(e);
      } catch (InstarException e) {
        Problem problem = e.problem();
        throw new InstarException(new Problem(problem.code(), begun.get(i).version().name() + " does not run in '" + move.to() + "', so nothing was moved: " + problem.detail(),
            problem.members(), problem.retryAfter()), e);
      }
    }
  }

  private boolean active(FunctionVersion version) {
    FunctionRegistry functions = registry.get();
    return functions == null || functions.find(version.name()).map(Function::activeVersion).filter(v -> v.uid().equals(version.uid())).isPresent();
  }

  /** What the backend that is left has prepared of the functions that move. */
  private List<Pool> used(BackendMove move) {
    Generation from = backends.named(move.from());
    return from == null ? List.of() : from.pools().stream().filter(pool -> pool.prepared() != null && move.scope().covers(pool.version().name())).toList();
  }

  /** Every new call goes elsewhere by now: closes what is idle, and in the end what still runs. */
  private void leave(BackendMove move) {
    List<Pool> left = used(move).stream().filter(pool -> !runsThere(pool)).toList();
    left.forEach(Pool::retire);
    move.drain().ifPresent(limit -> watchdog.arm(Clock.in(limit), () -> Threads.startVirtual("instar-move", () -> left.forEach(pool -> pool.kill(Slot.Cause.DRAINED)))));
  }

  /** It may be its own backend's, or have moved back meanwhile. */
  private boolean runsThere(Pool pool) {
    Generation now = backends.find(pool.version(), pool.index());
    return now == null || now == pool.generation();
  }
}
