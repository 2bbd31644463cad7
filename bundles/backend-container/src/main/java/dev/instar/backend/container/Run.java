package dev.instar.backend.container;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import dev.instar.api.Threads;
import dev.instar.api.sandbox.Call;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;

/**
 * One call: a process in a container, and a thread for each of its streams. Platform threads, because a read of a pipe cannot be
 * interrupted and holds the carrier of a virtual thread; who calls waits for them only, and can be interrupted.
 */
final class Run {
  private static final int BUFFER = 16 << 10;
  /** A process that ends by signal N has the status 128 + N, from the runtime as from a shell. */
  private static final int SIGNALLED = 128;
  /** For how long a process that a call has left behind may hold its answer open. */
  private static final Duration HELD = Duration.ofMillis(500);

  private final Container container;
  private final Program program;
  private final AtomicReference<InstarException> failure = new AtomicReference<>();
  private final Thread input;
  private final Thread answer;
  private final AtomicBoolean readsAnswer = new AtomicBoolean();
  private final Thread log;
  private final AtomicBoolean readsLog = new AtomicBoolean();
  /** Whether the container was ended for what the call had left in it. */
  private boolean held;

  private Run(Container container, Program program, Call call) {
    this.container = container;
    this.program = program;
    input = thread(container.id() + "-in", () -> feed(call.input().stream()));
    answer = thread(container.id() + "-out", () -> pass(program.answer(), readsAnswer, call.output()));
    log = thread(container.id() + "-err", () -> pass(program.log(), readsLog, new OutputStream() {
      @Override
      public void write(int one) {
        write(new byte[] {(byte) one}, 0, 1);
      }

      @Override
      public void write(byte[] bytes, int offset, int length) {
        call.log().write(bytes, offset, length);
      }
    }));
  }

  /**
   * @param description of the process, as the runtime reads it; empty for the program that the container's first process is there to start
   * @throws InstarException NODE_BUSY or SANDBOX_CRASHED when the process cannot be started
   */
  static Run start(Container container, Optional<Path> description, Call call) {
    Run run;
    try {
      run = new Run(container, description.isPresent() ? new ProgramBeside(container, description.get()) : new FirstProgram(container), call);
    } catch (IOException e) {
      throw container.isRunning() ? new InstarException(ErrorCode.NODE_BUSY, "The host has no room for another process.") : ended();
    }
    try {
      run.input.start();
      run.answer.start();
      run.log.start();
    } catch (OutOfMemoryError e) {
      // "unable to create native thread": the host's limit of threads.
      run.end();
      throw new InstarException(ErrorCode.NODE_BUSY, "The host has no room for another process.");
    }
    return run;
  }

  private static Thread thread(String name, Runnable work) {
    return Threads.platform("container-" + name, work);
  }

  /** Returns when the process has answered with success. */
  void await() throws InterruptedException {
    InstarException first;
    int status;
    boolean ended = false;
    try {
      status = program.await();
      awaitPassed(answer, readsAnswer);
      awaitPassed(log, readsLog);
      // What fails from here on is the end of an input that the function did not want.
      first = failure.get();
      ended = true;
    } finally {
      if (!ended) {
        end();
      }
      leave();
    }
    if (first != null) {
      throw first;
    }
    if (status != 0) {
      throw failed(status);
    }
  }

  /** Until all is passed on, or a process that the call has left holds the stream: then the container ends with the call. */
  private void awaitPassed(Thread thread, AtomicBoolean reads) throws InterruptedException {
    while (!thread.join(HELD)) {
      if (reads.get()) {
        held = true;
        container.kill();
      }
    }
  }

  private InstarException failed(int status) throws InterruptedException {
    String words = program.notStarted();
    Optional<InstarException> limit = container.failure();
    if (limit.isPresent()) {
      return limit.get();
    }
    if (!held && !container.isRunning()) {
      return ended();
    }
    if (!words.isEmpty()) {
      return new InstarException(ErrorCode.SANDBOX_CRASHED, "The function's program could not be started: " + words + ".");
    }
    if (status > SIGNALLED && status < SIGNALLED + 32) {
      return new InstarException(Problem.of(ErrorCode.FUNCTION_TRAPPED, "The program was ended by signal " + (status - SIGNALLED) + ".",
          Map.of("signal", status - SIGNALLED)));
    }
    return new InstarException(Problem.of(ErrorCode.FUNCTION_FAILED, "The program ended with exit status " + status + ".", Map.of("exitCode", status)));
  }

  private static InstarException ended() {
    return new InstarException(ErrorCode.SANDBOX_CRASHED, "The container ended while the function ran.");
  }

  /** Ends all of it, from any thread, and does not wait. The container ends, too: nothing else reaches all that the process may have started. */
  void end() {
    container.kill();
    program.end();
    input.interrupt();
    answer.interrupt();
  }

  /** The body is its owner's again. A read that heeds no interrupt is left behind. */
  private void leave() {
    boolean interrupted = Thread.interrupted();
    try {
      input.interrupt();
      input.join(Duration.ofMillis(100));
      answer.join(Duration.ofMillis(100));
      log.join(Duration.ofMillis(100));
      program.leave();
    } catch (InterruptedException e) {
      interrupted = true;
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private void feed(InputStream body) {
    byte[] buffer = new byte[BUFFER];
    try (OutputStream out = program.input()) {
      while (true) {
        int length;
        try {
          length = body.read(buffer);
        } catch (IOException | RuntimeException e) {
          fail(e);
          return;
        }
        if (length < 0) {
          return;
        }
        out.write(buffer, 0, length);
        out.flush();
      }
    } catch (IOException e) {
      // The program does not read all of its input, and need not.
    }
  }

  private void pass(InputStream from, AtomicBoolean reads, OutputStream to) {
    byte[] buffer = new byte[BUFFER];
    try (from) {
      while (true) {
        reads.set(true);
        int length = from.read(buffer);
        reads.set(false);
        if (length < 0) {
          return;
        }
        try {
          to.write(buffer, 0, length);
        } catch (IOException | RuntimeException e) {
          fail(e);
          return;
        }
      }
    } catch (IOException e) {
      // The end of the process, which is told by its status.
    }
  }

  /** What the caller's side failed with ends the call at once. */
  private void fail(Exception why) {
    if (!program.isAlive() && Thread.currentThread() == input) {
      // Interrupted, because the function has answered without its input.
      return;
    }
    failure.compareAndSet(null, switch (why) {
      case InstarException e -> e;
      case IOException e -> new InstarException(Problem.of(ErrorCode.CALLER_GONE, "The caller went away while the function ran."), e);
      default -> new InstarException(Problem.of(ErrorCode.INTERNAL, "The body or the answer of the call failed."), why);
    });
    end();
  }
}
