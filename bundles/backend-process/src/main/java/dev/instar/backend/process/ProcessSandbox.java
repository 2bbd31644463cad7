package dev.instar.backend.process;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import dev.instar.api.guest.FrameException;
import dev.instar.api.guest.GuestConnection;
import dev.instar.api.sandbox.Call;
import dev.instar.api.sandbox.GuestLog;
import dev.instar.api.sandbox.Sandbox;
import dev.instar.api.sandbox.StartContext;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.TimeUnit;

/** One child process. A call that does not end by a RESULT of the process ends the process. */
final class ProcessSandbox implements Sandbox {
  private final Process process;
  private final ProcessTree tree;
  private final GuestConnection connection;
  private final ErrorStream errors;
  private final GuestLog startLog;
  private final Path work;
  private final Duration grace;
  private final Set<ProcessSandbox> siblings;

  private final Object lock = new Object();
  private Optional<Thread> caller = Optional.empty();
  private boolean killed;
  private boolean closed;

  /** Takes over the process; joins {@code siblings} until it is closed. */
  ProcessSandbox(StartContext context, Process process, String mark, Path work, Duration grace, Set<ProcessSandbox> siblings) {
    this.process = process;
    this.work = work;
    this.grace = grace;
    this.siblings = siblings;
    startLog = context.log();
    tree = new ProcessTree(process, mark);
    try {
      errors = new ErrorStream(context.sandboxId(), process.getErrorStream(), startLog);
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
      enter();
      connection.handshake(deadline, startLog);
      ready = true;
    } catch (InstarException e) {
      tree.kill();
      throw e.code() == ErrorCode.TIMED_OUT ? withLastWords(e.code(), e.problem().detail(), Map.of()) : e;
    } catch (IOException e) {
      throw ended(e, "it was ready");
    } finally {
      leave();
      if (!ready) {
        tree.kill();
        close();
      }
    }
  }

  @Override
  public void call(Call call) throws InterruptedException {
    enter();
    errors.to(call.log());
    try {
      connection.call(call);
      if (isKilled()) {
        // The answer lay in the pipe while the caller was held up by its client beyond the deadline.
        throw timedOut();
      }
    } catch (IOException e) {
      throw ended(e, "it had answered");
    } catch (InstarException | InterruptedException e) {
      if (isKilled()) {
        throw timedOut();
      }
      throw e;
    } finally {
      errors.to(startLog);
      leave();
      if (!connection.usable()) {
        tree.kill();
      }
    }
  }

  private void enter() {
    synchronized (lock) {
      if (killed) {
        throw timedOut();
      }
      if (closed) {
        throw new InstarException(ErrorCode.SANDBOX_CRASHED, "The sandbox is closed.");
      }
      caller = Optional.of(Thread.currentThread());
    }
  }

  /** After this no kill interrupts the thread any more, and the interrupt of one that came is not left to its later work. */
  private void leave() {
    synchronized (lock) {
      if (killed && caller.isPresent()) {
        Thread.interrupted();
      }
      caller = Optional.empty();
    }
  }

  private boolean isKilled() {
    synchronized (lock) {
      return killed;
    }
  }

  private static InstarException timedOut() {
    return new InstarException(ErrorCode.TIMED_OUT, "The call was ended, and its process with it.");
  }

  /** What a broken connection means for the one who waited. */
  private InstarException ended(IOException why, String before) throws InterruptedException {
    if (isKilled()) {
      return timedOut();
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
      if (isKilled()) {
        return timedOut();
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
    synchronized (lock) {
      if (killed || closed) {
        return false;
      }
    }
    return process.isAlive() && connection.usable();
  }

  @Override
  public void kill() {
    synchronized (lock) {
      if (closed) {
        return;
      }
      killed = true;
      // The caller may be in a write to a client who does not read.
      caller.ifPresent(Thread::interrupt);
    }
    tree.kill();
  }

  @Override
  public void close() {
    boolean running;
    synchronized (lock) {
      if (closed) {
        return;
      }
      running = caller.isPresent();
    }
    if (running) {
      kill();
    }
    synchronized (lock) {
      closed = true;
    }
    boolean interrupted = false;
    try {
      if (process.isAlive() && !isKilled()) {
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
