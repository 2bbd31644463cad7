package dev.instar.backend.container;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.sandbox.Call;
import dev.instar.api.sandbox.Freezable;
import dev.instar.api.sandbox.Sandbox;
import java.nio.file.Path;
import java.util.Optional;
import java.util.Set;

/**
 * A container that runs the function's program anew for each call, one at a time. What the program leaves in its files is there for the next. The container's first process
 * starts the first, without another start of the runtime.
 */
final class CallSandbox implements Sandbox, Freezable {
  private final Container container;
  private final Path description;
  private final Set<Sandbox> siblings;
  private Optional<Run> running = Optional.empty();
  private boolean called;
  private boolean killed;
  private boolean closed;

  /** Joins {@code siblings} until it is closed. */
  CallSandbox(Container container, Path description, Set<Sandbox> siblings) {
    this.container = container;
    this.description = description;
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
    Run run = Run.start(container, called ? Optional.of(description) : Optional.empty(), call);
    called = true;
    running = Optional.of(run);
    return run;
  }

  private synchronized boolean isKilled() {
    return killed;
  }

  private static InstarException timedOut() {
    return new InstarException(ErrorCode.TIMED_OUT, "The call was ended, and its container with it.");
  }

  @Override
  public synchronized boolean reusable() {
    return !killed && !closed && container.isRunning();
  }

  @Override
  public boolean freeze() {
    return container.freeze();
  }

  @Override
  public void thaw() {
    container.thaw();
  }

  @Override
  public synchronized void kill() {
    if (!closed) {
      killed = true;
      running.ifPresentOrElse(Run::end, container::kill);
    }
  }

  @Override
  public void close() {
    synchronized (this) {
      if (closed) {
        return;
      }
      running.ifPresent(run -> {
        killed = true;
        run.end();
      });
      closed = true;
    }
    container.close();
    siblings.remove(this);
  }
}
