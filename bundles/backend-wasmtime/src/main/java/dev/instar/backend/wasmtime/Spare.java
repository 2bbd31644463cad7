package dev.instar.backend.wasmtime;

import dev.instar.api.Threads;
import dev.instar.api.wasmtime.Wasmtime;
import java.io.IOException;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A compiling process that was started ahead and waits for its module: its JVM and the library take longer to be ready than most modules to be compiled. Each
 * still compiles one module and ends.
 *
 * <p>Nothing is started with the node itself: the first comes some seconds later, or soon after the first module.
 */
final class Spare implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(Spare.class);
  private static final Duration FIRST = Duration.ofSeconds(5);
  /** After one was taken, so that the module that took it has the processor first. */
  private static final Duration NEXT = Duration.ofSeconds(1);

  private final Wasmtime library;
  private final ScheduledThreadPoolExecutor keeper = new ScheduledThreadPoolExecutor(1, work -> Threads.platform("wasmtime-compile-keeper", work));
  /** All below: guarded by this object's lock. */
  private int mib;
  private Optional<Process> waiting = Optional.empty();
  private boolean wanted;
  private boolean closed;

  /** @param mib that a process may take */
  Spare(Wasmtime library, int mib) {
    this.library = library;
    this.mib = mib;
    want(FIRST);
  }

  /** Holds for processes that are taken from now on. */
  synchronized void apply(int changed) {
    if (changed != mib) {
      mib = changed;
      waiting.ifPresent(Process::destroyForcibly);
      waiting = Optional.empty();
      want(FIRST);
    }
  }

  /** The one that waits, else a new one. Whoever takes it ends it. */
  Process take() throws IOException {
    Optional<Process> ready;
    int bound;
    synchronized (this) {
      ready = waiting.filter(Process::isAlive);
      waiting = Optional.empty();
      bound = mib;
    }
    want(NEXT);
    return ready.isPresent() ? ready.get() : library.compiler(bound).start();
  }

  /** Its process id. */
  synchronized Optional<Long> pid() {
    return waiting.map(Process::pid);
  }

  private synchronized void want(Duration delay) {
    if (wanted || closed || !(library.library() instanceof Wasmtime.Library.Loaded)) {
      return;
    }
    wanted = true;
    try {
      keeper.schedule(this::make, delay.toMillis(), TimeUnit.MILLISECONDS);
    } catch (RejectedExecutionException e) {
      LOG.debug("Stopping");
    }
  }

  private void make() {
    int bound;
    synchronized (this) {
      wanted = false;
      if (closed || waiting.isPresent()) {
        return;
      }
      bound = mib;
    }
    try {
      Process process = library.compiler(bound).start();
      synchronized (this) {
        if (closed || bound != mib) {
          process.destroyForcibly();
        } else {
          waiting = Optional.of(process);
        }
      }
    } catch (IOException | RuntimeException e) {
      // A module that comes tries again, and tells its sender.
      LOG.warn("No compiling process can be started: {}", e.toString());
    }
  }

  @Override
  public void close() {
    synchronized (this) {
      closed = true;
      waiting.ifPresent(Process::destroyForcibly);
      waiting = Optional.empty();
    }
    keeper.shutdownNow();
  }
}
