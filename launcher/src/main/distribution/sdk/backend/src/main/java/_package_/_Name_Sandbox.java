package _package_;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.sandbox.Call;
import dev.instar.api.sandbox.Resettable;
import dev.instar.api.sandbox.Sandbox;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** One place where the program runs, a process at a time. */
final class _Name_Sandbox implements Sandbox, Resettable {
  private final String id;
  private final Path program;
  private final Map<String, String> environment;
  private final Set<_Name_Sandbox> siblings;
  private Optional<Run> running = Optional.empty();
  private boolean killed;
  private boolean closed;

  /** Joins {@code siblings} until it is closed. */
  _Name_Sandbox(String id, Path program, Map<String, String> environment, Set<_Name_Sandbox> siblings) {
    this.id = id;
    this.program = program;
    this.environment = environment;
    this.siblings = siblings;
    siblings.add(this);
  }

  @Override
  public void call(Call call) throws InterruptedException {
    Run run = begin(call);
    try {
      run.await();
    } catch (InterruptedException e) {
      if (!isKilled()) {
        // In what state the function was is not known, so its sandbox is of no further use.
        kill();
        throw e;
      }
    } catch (InstarException e) {
      if (!isKilled()) {
        throw e;
      }
    } finally {
      synchronized (this) {
        running = Optional.empty();
      }
    }
    // After a kill every failure is the kill, and an answer may have been cut by it.
    if (isKilled()) {
      throw timedOut();
    }
  }

  private synchronized Run begin(Call call) {
    if (killed) {
      throw timedOut();
    }
    if (closed) {
      throw new InstarException(ErrorCode.SANDBOX_CRASHED, "The sandbox is closed.");
    }
    Run run = Run.start(id, program, environment, call);
    running = Optional.of(run);
    return run;
  }

  private synchronized boolean isKilled() {
    return killed;
  }

  private static InstarException timedOut() {
    return new InstarException(ErrorCode.TIMED_OUT, "The call was ended, and its process with it.");
  }

  @Override
  public synchronized boolean reusable() {
    return !killed && !closed;
  }

  /** Nothing of a call is left when it has ended. */
  @Override
  public void reset() {
    if (!reusable()) {
      throw new InstarException(ErrorCode.SANDBOX_CRASHED, "The sandbox has ended.");
    }
  }

  @Override
  public synchronized void kill() {
    if (!closed) {
      killed = true;
      running.ifPresent(Run::end);
    }
  }

  @Override
  public synchronized void close() {
    running.ifPresent(run -> {
      killed = true;
      run.end();
    });
    closed = true;
    siblings.remove(this);
  }
}
