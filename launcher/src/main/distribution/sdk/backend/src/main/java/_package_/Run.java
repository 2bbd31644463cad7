package _package_;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import dev.instar.api.Threads;
import dev.instar.api.sandbox.Call;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Comparator;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Stream;

/**
 * One call: a process in a directory of its own, and a thread for each of its streams. Platform threads, because a read of a pipe cannot be
 * interrupted and holds the carrier of a virtual thread; who calls waits for them only, and can be interrupted.
 */
final class Run {
  private static final int BUFFER = 16 << 10;
  /** In the environment of all that the process starts, to find those, too, whose parent has ended. */
  private static final String MARK = "INSTAR_RUN";
  /** A process that ends by signal N has the status 128 + N, in Java as in a shell. */
  private static final int SIGNALLED = 128;

  private final String mark;
  private final Path directory;
  private final Process process;
  private final AtomicReference<InstarException> failure = new AtomicReference<>();
  private final Thread input;
  private final Thread answer;
  private final Thread log;

  private Run(String id, String mark, Path directory, Process process, Call call) {
    this.mark = MARK + "=" + mark;
    this.directory = directory;
    this.process = process;
    input = thread(id + "-in", () -> feed(call.input().stream()));
    answer = thread(id + "-out", () -> pass(process.getInputStream(), call.output()));
    log = thread(id + "-err", () -> pass(process.getErrorStream(), new OutputStream() {
      @Override
      public void write(int one) {
        write(new byte[] {(byte) one}, 0, 1);
      }

      @Override
      public void write(byte[] bytes, int offset, int length) {
        call.log().write(bytes, offset, length);
      }
    }));
    // All there is to wait for ends with the process, and not with what it has left running.
    process.onExit().thenRun(this::endRest);
  }

  /** @throws InstarException NODE_BUSY or SANDBOX_CRASHED when the process cannot be started */
  static Run start(String id, Path program, Map<String, String> environment, Call call) {
    try {
      Path directory = Files.createTempDirectory("_name_-");
      ProcessBuilder builder = new ProcessBuilder(program.toString()).directory(directory.toFile());
      Map<String, String> variables = builder.environment();
      String path = variables.getOrDefault("PATH", "/usr/local/bin:/usr/bin:/bin");
      variables.clear();
      variables.putAll(Map.of("PATH", path, "HOME", directory.toString(), "TMPDIR", directory.toString(), "LANG", "C.UTF-8"));
      variables.putAll(environment);
      // Another each time, since other nodes of this host may have a sandbox of the same id.
      String mark = UUID.randomUUID().toString();
      variables.put(MARK, mark);
      Run run;
      try {
        run = new Run(id, mark, directory, builder.start(), call);
      } catch (IOException e) {
        Files.delete(directory);
        throw e;
      }
      run.begin();
      return run;
    } catch (IOException e) {
      // EAGAIN, ENOMEM, ENFILE, EMFILE; the JDK's message has the number.
      boolean full = String.valueOf(e.getMessage()).matches("(?s).*error[=:] ?(11|12|23|24)\\b.*");
      throw full ? new InstarException(ErrorCode.NODE_BUSY, "The host has no room for another process.")
          : new InstarException(ErrorCode.SANDBOX_CRASHED, "The program could not be started.");
    }
  }

  private void begin() {
    try {
      input.start();
      answer.start();
      log.start();
    } catch (OutOfMemoryError e) {
      // "unable to create native thread": the host's limit of threads.
      end();
      delete();
      throw new InstarException(ErrorCode.NODE_BUSY, "The host has no room for another process.");
    }
  }

  private static Thread thread(String name, Runnable work) {
    return Threads.platform("_name_-" + name, work);
  }

  /** Returns when the process has answered with success. */
  void await() throws InterruptedException {
    InstarException first;
    int status;
    try {
      answer.join();
      log.join();
      status = process.waitFor();
      // What fails from here on is the end of an input that the function did not want.
      first = failure.get();
    } finally {
      end();
      leave();
    }
    if (first != null) {
      throw first;
    }
    if (status > SIGNALLED && status < SIGNALLED + 32) {
      throw new InstarException(ErrorCode.FUNCTION_TRAPPED, "The program was ended by signal " + (status - SIGNALLED) + ".");
    }
    if (status != 0) {
      throw new InstarException(Problem.of(ErrorCode.FUNCTION_FAILED, "The program ended with exit status " + status + ".",
          Map.of("exitCode", status)));
    }
  }

  /** Ends all of it, from any thread, and does not wait. */
  void end() {
    // Through its handle: the process would close its streams, with an answer still in them.
    process.toHandle().destroyForcibly();
    process.descendants().forEach(ProcessHandle::destroyForcibly);
    endRest();
    input.interrupt();
    answer.interrupt();
  }

  /** What the process has started and left. A scan of /proc takes some milliseconds; where there is none, nothing is found. */
  private void endRest() {
    ProcessHandle.allProcesses().filter(this::isMarked).forEach(ProcessHandle::destroyForcibly);
  }

  private boolean isMarked(ProcessHandle other) {
    try {
      String variables = Files.readString(Path.of("/proc", Long.toString(other.pid()), "environ"), StandardCharsets.ISO_8859_1);
      return ("\0" + variables).contains("\0" + mark + "\0");
    } catch (IOException e) {
      // Another user's, or gone.
      return false;
    }
  }

  /** The body is its owner's again, and the directory goes. A read that heeds no interrupt is left behind. */
  private void leave() {
    boolean interrupted = Thread.interrupted();
    try {
      input.join(Duration.ofMillis(100));
    } catch (InterruptedException e) {
      interrupted = true;
    }
    delete();
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private void delete() {
    try (Stream<Path> files = Files.walk(directory)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.deleteIfExists(file);
      }
    } catch (IOException | UncheckedIOException e) {
      // A process that has just been killed may still have written; the system's cleaning of temporary files is for that.
    }
  }

  private void feed(InputStream body) {
    byte[] buffer = new byte[BUFFER];
    try (OutputStream out = process.getOutputStream()) {
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

  private void pass(InputStream from, OutputStream to) {
    byte[] buffer = new byte[BUFFER];
    try (from) {
      for (int length; (length = from.read(buffer)) > 0;) {
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
    failure.compareAndSet(null, switch (why) {
      case InstarException e -> e;
      case IOException e -> new InstarException(Problem.of(ErrorCode.CALLER_GONE, "The caller went away while the function ran."), e);
      default -> new InstarException(Problem.of(ErrorCode.INTERNAL, "The body or the answer of the call failed."), why);
    });
    end();
  }
}
