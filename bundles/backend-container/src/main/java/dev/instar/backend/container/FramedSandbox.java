package dev.instar.backend.container;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import dev.instar.api.guest.CallerGate;
import dev.instar.api.guest.FrameException;
import dev.instar.api.guest.GuestConnection;
import dev.instar.api.guest.GuestOutput;
import dev.instar.api.sandbox.Call;
import dev.instar.api.sandbox.Freezable;
import dev.instar.api.sandbox.GuestLog;
import dev.instar.api.sandbox.Sandbox;
import dev.instar.api.sandbox.StartContext;
import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** A container whose first process speaks the guest protocol over its standard streams. A call that does not end by a RESULT ends the container. */
final class FramedSandbox implements Sandbox, Freezable {
  private final Container container;
  private final boolean reused;
  private final GuestConnection connection;
  private final GuestOutput errors;
  private final GuestLog startLog;
  private final Set<Sandbox> siblings;

  private final CallerGate gate = new CallerGate("container");
  private volatile boolean called;

  /**
   * Takes over the container; joins {@code siblings} until it is closed.
   *
   * @param reused whether it takes more calls than one
   */
  FramedSandbox(Container container, boolean reused, StartContext context, Set<Sandbox> siblings) {
    this.container = container;
    this.reused = reused;
    this.siblings = siblings;
    startLog = context.log();
    try {
      errors = new GuestOutput("container-" + container.id() + "-log", List.of(container.errors()), startLog);
      connection = new GuestConnection(container.id(), container.output(), container.input());
    } catch (OutOfMemoryError e) {
      // "unable to create native thread": the host's limit of threads.
      container.close();
      throw new InstarException(ErrorCode.NODE_BUSY, "The host has no room for another container.");
    }
    siblings.add(this);
  }

  /** Returns when the function is loaded. Closes itself when it fails. */
  void awaitReady(Instant deadline) throws InterruptedException {
    boolean ready = false;
    try {
      gate.enter();
      connection.handshake(deadline, startLog);
      ready = true;
    } catch (IOException e) {
      throw ended(e, "it was ready");
    } finally {
      gate.leave();
      if (!ready) {
        close();
      }
    }
  }

  @Override
  public void call(Call call) throws InterruptedException {
    gate.enter();
    errors.to(call.log());
    called = true;
    Optional<InstarException> failure = Optional.empty();
    try {
      connection.call(call);
    } catch (IOException e) {
      failure = Optional.of(ended(e, "it had answered"));
    } catch (InstarException e) {
      // The process of a call that was killed for memory has not been told why.
      failure = Optional.of(e.code() == ErrorCode.FUNCTION_TRAPPED || e.code() == ErrorCode.FUNCTION_FAILED ? container.failure().orElse(e) : e);
    } catch (InterruptedException e) {
      if (!gate.isKilled()) {
        // In what state the function was is not known, so its container is of no further use.
        container.kill();
        throw e;
      }
    } finally {
      errors.to(startLog);
      gate.leave();
      if (!connection.usable()) {
        container.kill();
      }
    }
    // After a kill every failure is the kill, and an answer may have lain in the pipe while its caller was held up.
    if (gate.isKilled()) {
      throw gate.timedOut();
    }
    if (failure.isPresent()) {
      throw failure.get();
    }
  }

  /** What a broken connection means for the one who waited. */
  private InstarException ended(IOException why, String before) {
    boolean interrupted = Thread.interrupted();
    try {
      if (why instanceof FrameException) {
        container.kill();
        return withLastWords(ErrorCode.SANDBOX_CRASHED, "The function broke the guest protocol: " + why.getMessage() + ".", Map.of());
      }
      if (!container.awaitEnd(Duration.ofSeconds(1))) {
        container.kill();
        return withLastWords(ErrorCode.SANDBOX_CRASHED, "The function ended its answers before " + before + " (" + why.getMessage() + ").", Map.of());
      }
      Optional<InstarException> limit = container.failure();
      if (limit.isPresent()) {
        return limit.get();
      }
      String said = Container.words(container.directory().resolve("said"));
      if (!said.isEmpty()) {
        return new InstarException(ErrorCode.SANDBOX_CRASHED, "The container could not be started: " + said + ".");
      }
      int status = container.exitStatus();
      String signal = status > 128 && status < 160 ? " (signal " + (status - 128) + ")" : "";
      return withLastWords(ErrorCode.SANDBOX_CRASHED, "The container ended with exit status " + status + signal + " before " + before + ".", Map.of("exitStatus", status));
    } catch (InterruptedException e) {
      interrupted = true;
      return new InstarException(ErrorCode.SANDBOX_CRASHED, "The container ended before " + before + ".");
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  private InstarException withLastWords(ErrorCode code, String detail, Map<String, Object> members) throws InterruptedException {
    String words = errors.lastWords();
    return new InstarException(Problem.of(code, words.isEmpty() ? detail : detail + " It said: " + words, members));
  }

  @Override
  public boolean reusable() {
    return !gate.isKilled() && !gate.isClosed() && (reused || !called) && container.isRunning() && connection.usable();
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
  public void kill() {
    if (gate.kill()) {
      container.kill();
    }
  }

  @Override
  public void close() {
    if (gate.isOccupied()) {
      kill();
    }
    if (gate.close()) {
      container.close();
      connection.close();
      siblings.remove(this);
    }
  }
}
