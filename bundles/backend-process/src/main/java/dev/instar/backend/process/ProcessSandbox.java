package dev.instar.backend.process;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import dev.instar.api.guest.CallerGate;
import dev.instar.api.guest.FrameException;
import dev.instar.api.guest.GuestConnection;
import dev.instar.api.guest.GuestOutput;
import dev.instar.api.sandbox.Call;
import dev.instar.api.sandbox.GuestLog;
import dev.instar.api.sandbox.Sandbox;
import dev.instar.api.sandbox.StartContext;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;

/** One child process. A call that does not end by a RESULT of the process ends the process. */
final class ProcessSandbox implements Sandbox {
  private final Process process;
  private final ProcessTree tree;
  private final GuestConnection connection;
  private final GuestOutput errors;
  private final GuestLog startLog;
  private final Path work;
  private final Duration grace;
  private final Set<ProcessSandbox> siblings;

  private final CallerGate gate = new CallerGate("process");

  /** Takes over the process; joins {@code siblings} until it is closed. */
  ProcessSandbox(StartContext context, Process process, String mark, Path work, Duration grace, Set<ProcessSandbox> siblings) {
    this.process = process;
    this.work = work;
    this.grace = grace;
    this.siblings = siblings;
    startLog = context.log();
    tree = new ProcessTree(process, mark);
    try {
      errors = new GuestOutput("guest-err-" + context.sandboxId(), List.of(process.getErrorStream()), startLog);
      connection = new GuestConnection(context.sandboxId(), process.getInputStream(), process.getOutputStream());
    } catch (OutOfMemoryError e) {
      // "unable to create native thread": the host's limit of threads.
      tree.kill();
      Directories.delete(work);
      throw new InstarException(ErrorCode.NODE_BUSY, "The host has no room for another process.");
    }
    siblings.add(this);
    // What the process has started is ended with it: it could hold the pipes open, and then nobody would hear that the process is gone.
    process.onExit().thenRun(tree::kill);
  }

  /** Closes itself when it fails. */
  void awaitReady(Instant deadline) throws InterruptedException {
    boolean ready = false;
    try {
      gate.enter();
      connection.handshake(deadline, startLog);
      ready = true;
    } catch (InstarException e) {
      tree.kill();
      throw e.code() == ErrorCode.TIMED_OUT ? withLastWords(e.code(), e.problem().detail(), Map.of()) : e;
    } catch (IOException e) {
      throw ended(e, "it was ready");
    } finally {
      gate.leave();
      if (!ready) {
        tree.kill();
        close();
      }
    }
  }

  @Override
  public void call(Call call) throws InterruptedException {
    gate.enter();
    errors.to(call.log());
    try {
      connection.call(call);
      if (gate.isKilled()) {
        // The answer lay in the pipe while the caller was held up by its client beyond the deadline.
        throw gate.timedOut();
      }
    } catch (IOException e) {
      throw ended(e, "it had answered");
    } catch (InstarException | InterruptedException e) {
      if (gate.isKilled()) {
        throw gate.timedOut();
      }
      throw e;
    } finally {
      errors.to(startLog);
      gate.leave();
      if (!connection.usable()) {
        tree.kill();
      }
    }
  }

  /** What a broken connection means for the one who waited. */
  private InstarException ended(IOException why, String before) throws InterruptedException {
    if (gate.isKilled()) {
      return gate.timedOut();
    }
    try {
      if (why instanceof FrameException) {
        tree.kill();
        return withLastWords(ErrorCode.SANDBOX_CRASHED, "The process broke the guest protocol: " + why.getMessage() + ".", Map.of());
      }
      if (!process.waitFor(1, TimeUnit.SECONDS)) {
        tree.kill();
        return withLastWords(ErrorCode.SANDBOX_CRASHED, "The process ended its answers before " + before + " (" + why.getMessage() + ").", Map.of());
      }
      int status = process.exitValue();
      String signal = status > 128 && status < 160 ? " (signal " + (status - 128) + ")" : "";
      return withLastWords(ErrorCode.SANDBOX_CRASHED, "The process ended with exit status " + status + signal + " before " + before + ".",
          Map.of("exitStatus", status));
    } catch (InterruptedException e) {
      if (gate.isKilled()) {
        return gate.timedOut();
      }
      throw e;
    }
  }

  private InstarException withLastWords(ErrorCode code, String detail, Map<String, Object> members) throws InterruptedException {
    String words = errors.lastWords();
    return new InstarException(Problem.of(code, words.isEmpty() ? detail : detail + " It said: " + words, members));
  }

  @Override
  public boolean reusable() {
    return !gate.isKilled() && !gate.isClosed() && process.isAlive() && connection.usable();
  }

  @Override
  public void kill() {
    if (gate.kill()) {
      tree.kill();
    }
  }

  @Override
  public void close() {
    if (gate.isOccupied()) {
      kill();
    }
    if (!gate.close()) {
      return;
    }
    boolean interrupted = false;
    try {
      if (process.isAlive() && !gate.isKilled()) {
        connection.sayGoodbye();
        process.waitFor(grace.toMillis(), TimeUnit.MILLISECONDS);
      }
    } catch (InterruptedException e) {
      interrupted = true;
    }
    tree.kill();
    try {
      process.waitFor(1, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      interrupted = true;
    }
    connection.close();
    Directories.delete(work);
    siblings.remove(this);
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
