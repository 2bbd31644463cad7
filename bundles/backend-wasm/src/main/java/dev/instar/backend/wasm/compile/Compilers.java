package dev.instar.backend.wasm.compile;

import dev.instar.api.Threads;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The processes that compile, and who may use them.
 *
 * <p>One that is warm waits as a spare. The user whose turn it is (see {@link Turns}) takes it, and keeps it for some seconds after his last module; another user's
 * module never meets a process that has worked for somebody else. A new spare is started soon after one was taken. A process that breaks a bound is killed,
 * with nothing left of it; one that dies or talks nonsense is replaced, once for each module.
 *
 * <p>A module that takes long goes on where a processor would else be idle, and so do its user's next ones from their beginning, for a minute. For those
 * the spare is not taken: to make and warm another takes most of a second of a processor, from everybody.
 *
 * <p>Nothing is started with the node itself: the first spare comes some seconds later, unless a module comes before.
 */
public final class Compilers implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(Compilers.class);
  /** After that many modules a process is replaced: whatever it may have gathered goes with it. */
  private static final int MODULES = 500;
  private static final Duration FIRST_SPARE = Duration.ofSeconds(5);
  private static final Duration NEXT_SPARE = Duration.ofSeconds(1);
  private static final Duration KEPT = Duration.ofSeconds(10);
  private static final Duration REMEMBERED = Duration.ofSeconds(60);

  private final Launch launch;
  private final Turns turns;
  private final ScheduledThreadPoolExecutor keeper = new ScheduledThreadPoolExecutor(1, work -> Threads.platform("wasm-compile-keeper", work));
  private volatile Settings settings;

  // All below: under the monitor.
  private final Set<Child> alive = new HashSet<>();
  private final Set<Child> busy = new HashSet<>();
  private final List<Kept> kept = new ArrayList<>();
  /** When a module of this user last took long ({@link System#nanoTime}). */
  private final Map<String, Long> slow = new HashMap<>();
  private Optional<Child> spare = Optional.empty();
  private boolean spareWanted;
  private Optional<String> failure = Optional.empty();
  private boolean closed;

  /**
   * @param places modules that are compiled at one time, beside as many more of users none of whose is
   * @param time of the processor for one module
   * @param heapMib of one process
   */
  public record Settings(int places, Duration time, int heapMib) {}

  /** A process that waits for the next module of its user. */
  private record Kept(String user, Child child, long since) {}

  /** @param launch how they are started */
  public Compilers(Launch launch, Settings settings) {
    this.launch = launch;
    this.settings = settings;
    this.turns = new Turns(settings.places());
    keeper.setRemoveOnCancelPolicy(true);
    wantSpare(FIRST_SPARE);
  }

  /** Holds for the processes that start from now on, and for the modules that come from now on. */
  public void apply(Settings changed) {
    boolean restart = changed.heapMib() != settings.heapMib();
    settings = changed;
    turns.resize(changed.places());
    if (restart) {
      synchronized (this) {
        spare.ifPresent(this::end);
        spare = Optional.empty();
        kept.forEach(k -> end(k.child()));
        kept.clear();
      }
      wantSpare(FIRST_SPARE);
    }
  }

  /**
   * Has a module compiled, in its user's turn.
   *
   * @param user whose module it is
   * @param functionsPerClass a power of two
   * @param firstFunction index of the first function that the module defines itself
   * @param functions how many it defines
   * @param codeLimit bytes of bytecode
   * @param until when to give up ({@link System#nanoTime})
   * @return bytecode that has passed {@link CodeCheck}, with the helpers that it needs
   * @throws TimeoutException when that time came first
   * @throws Malformed when the module is not valid
   * @throws CompileLimit when it takes more than it may
   * @throws CompilerFailed when no process could be started, or two of them died over it
   * @throws InterruptedException when the thread was interrupted; what was under way has been killed
   */
  public Code compile(String user, byte[] module, int functionsPerClass, int firstFunction, int functions, int codeLimit, long until)
      throws InterruptedException, TimeoutException, Malformed, CompileLimit, CompilerFailed {
    if (!turns.take(user, until)) {
      throw new TimeoutException("its turn did not come");
    }
    try {
      for (boolean again = false;; again = true) {
        Child child = take(user);
        boolean good = false;
        try {
          Code code = child.compile(module, functionsPerClass, codeLimit, settings.time(), until);
          CodeCheck.check(code, firstFunction, functions);
          good = true;
          return Helpers.added(code);
        } catch (Malformed e) {
          good = true;
          throw e;
        } catch (Child.Broken | CodeCheck.Refused e) {
          synchronized (this) {
            if (closed) {
              throw new InterruptedException();
            }
          }
          LOG.warn("A compiling process ({}) failed over a module of {}: {}", child.pid(), user, e.getMessage());
          if (again) {
            throw new CompilerFailed(e.getMessage(), e);
          }
        } finally {
          note(user, child);
          if (good) {
            giveBack(user, child);
          } else {
            end(child);
          }
        }
      }
    } finally {
      turns.give(user);
    }
  }

  private Child take(String user) throws CompilerFailed, InterruptedException {
    Child child = null;
    boolean low;
    synchronized (this) {
      low = slow.containsKey(user);
      for (Kept one : List.copyOf(kept)) {
        if (one.user().equals(user) && child == null) {
          kept.remove(one);
          if (one.child().alive()) {
            child = one.child();
          } else {
            end(one.child());
          }
        }
      }
      if (child == null && !low && spare.isPresent()) {
        if (spare.get().alive()) {
          child = spare.get();
        } else {
          end(spare.get());
        }
        spare = Optional.empty();
      }
    }
    if (child == null) {
      child = start();
    }
    synchronized (this) {
      busy.add(child);
    }
    if (low) {
      child.lowerWhenReady();
    }
    wantSpare(NEXT_SPARE);
    return child;
  }

  /** Remembers whose modules take long. */
  private synchronized void note(String user, Child child) {
    long now = System.nanoTime();
    slow.values().removeIf(since -> now - since > REMEMBERED.toNanos());
    if (child.tookLong()) {
      slow.put(user, now);
    }
  }

  private Child start() throws CompilerFailed, InterruptedException {
    Child child;
    try {
      child = Child.start(launch, settings.heapMib());
      failure(Optional.empty());
    } catch (IOException e) {
      failure(Optional.of(String.valueOf(e.getMessage())));
      throw new CompilerFailed("it cannot be started: " + e.getMessage(), e);
    }
    synchronized (this) {
      if (closed) {
        child.kill();
        throw new InterruptedException();
      }
      alive.add(child);
    }
    return child;
  }

  private synchronized void failure(Optional<String> now) {
    failure = now;
  }

  /** Why the last process that was wanted could not be started; empty when it was. */
  public synchronized Optional<String> failure() {
    return failure;
  }

  /** Whether the process that waits as a spare has died while it did. */
  public synchronized boolean spareDied() {
    return spare.isPresent() && !spare.get().alive();
  }

  private synchronized void giveBack(String user, Child child) {
    busy.remove(child);
    if (closed || child.low() || child.served() >= MODULES) {
      end(child);
      return;
    }
    // One that waits is enough: two would take memory for longer than they save time.
    kept.forEach(k -> end(k.child()));
    kept.clear();
    kept.add(new Kept(user, child, System.nanoTime()));
    schedule(this::endKept, KEPT);
  }

  private synchronized void endKept() {
    for (Kept one : List.copyOf(kept)) {
      if (System.nanoTime() - one.since() >= KEPT.toNanos()) {
        kept.remove(one);
        end(one.child());
      }
    }
  }

  private synchronized void end(Child child) {
    alive.remove(child);
    busy.remove(child);
    child.kill();
  }

  private synchronized void wantSpare(Duration delay) {
    if (!spareWanted && spare.isEmpty() && !closed) {
      spareWanted = true;
      schedule(this::makeSpare, delay);
    }
  }

  private void makeSpare() {
    try {
      synchronized (this) {
        spareWanted = false;
        if (spare.isPresent() || closed) {
          return;
        }
      }
      Child child = start();
      synchronized (this) {
        spare = Optional.of(child);
      }
    } catch (CompilerFailed e) {
      // A module that comes tries again, and tells its sender.
      LOG.warn("No compiling process can be started: {}", e.getMessage());
    } catch (InterruptedException e) {
      LOG.debug("Stopping");
    } catch (RuntimeException | Error e) {
      LOG.error("No compiling process can be started", e);
    }
  }

  private void schedule(Runnable task, Duration delay) {
    try {
      keeper.schedule(task, delay.toMillis(), TimeUnit.MILLISECONDS);
    } catch (RejectedExecutionException e) {
      LOG.debug("Stopping");
    }
  }

  /** Process ids, for what looks whether any is left. */
  public synchronized List<Long> pids() {
    return alive.stream().map(Child::pid).toList();
  }

  /** Process ids of those that have a module. */
  synchronized List<Long> busy() {
    return busy.stream().map(Child::pid).toList();
  }

  /** Kills all of them, and waits until they have ended. */
  @Override
  public void close() {
    List<Child> ending;
    synchronized (this) {
      closed = true;
      ending = List.copyOf(alive);
      ending.forEach(this::end);
      kept.clear();
      spare = Optional.empty();
    }
    keeper.shutdownNow();
    try {
      for (Child child : ending) {
        child.awaitEnd();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    launch.close();
  }
}
