package dev.instar.backend.wasm.compile;

import dev.instar.api.Threads;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * One compiling process, as the node sees it. It is not trusted: what it answers is bounded, checksummed, and looked at by {@link CodeCheck}; where it keeps
 * silent, its time ends.
 *
 * <p>Pipes know no time-out and no interrupt, so a thread of its own talks to it while an exchange lasts; killing the process ends that thread.
 */
final class Child {
  /** Exit status of a JVM with ExitOnOutOfMemoryError. */
  private static final int OUT_OF_MEMORY = 3;
  /** For a JVM on a busy machine. */
  private static final Duration TO_START = Duration.ofSeconds(30);
  private static final Duration TO_END = Duration.ofSeconds(5);
  /** A busy machine gives it a part of a processor only. One that does nothing at all ends so, too. */
  private static final int PATIENCE = 4;
  private static final long LOOK_MILLIS = 100;
  /** Of a processor: two or three times what the largest of the examples takes. One that needs more gets what calls leave. */
  private static final Duration SHORT = Duration.ofMillis(700);
  private static final int MOST_WORDS = 500;

  private final Process process;
  private final int heapMib;
  private long number;
  private boolean ready;
  private volatile boolean low;
  private volatile boolean toBeLow;
  private boolean tookLong;
  private volatile boolean killed;

  private Child(Process process, int heapMib) {
    this.process = process;
    this.heapMib = heapMib;
  }

  static Child start(Launch launch, int heapMib) throws IOException {
    return new Child(launch.process(heapMib).start(), heapMib);
  }

  /** It ended, or said what makes no sense. It has been killed. */
  static final class Broken extends Exception {
    private static final long serialVersionUID = 1;

    Broken(String what) {
      super(what, null, false, false);
    }
  }

  /** How far an exchange has come: since when, and from how much processor time on, its bounds are counted. */
  private record Begun(long nanos, Duration processor) {}

  /**
   * Has a module compiled. Unless this returns, or throws {@link Malformed}, the process has been killed.
   *
   * @param time of the processor; {@link #PATIENCE} times as much may pass by the clock
   * @param until when the one who asked gives up ({@link System#nanoTime})
   * @throws TimeoutException when that came first
   */
  Code compile(byte[] module, int functionsPerClass, int codeLimit, Duration time, long until)
      throws InterruptedException, TimeoutException, Malformed, CompileLimit, Broken {
    CompletableFuture<Begun> begun = new CompletableFuture<>();
    CompletableFuture<Frames.Answer> answer = new CompletableFuture<>();
    long request = ++number;
    boolean done = false;
    Threads.startPlatform("wasm-compile-" + process.pid(), () -> {
      try {
        if (!ready) {
          Frames.answer(process.getInputStream(), 0, 0);
          ready = true;
        }
        if (toBeLow) {
          lower();
        }
        begun.complete(new Begun(System.nanoTime(), processor()));
        Frames.request(process.getOutputStream(), new Frames.Request(request, functionsPerClass, codeLimit, module));
        // Names, counts and lengths beside the classes.
        answer.complete(Frames.answer(process.getInputStream(), request, codeLimit + codeLimit / 4 + (1 << 20)));
      } catch (IOException | RuntimeException | OutOfMemoryError e) {
        answer.completeExceptionally(e);
      }
    });
    try {
      Code code = understood(await(begun, answer, time, until), codeLimit);
      done = true;
      return code;
    } catch (Malformed e) {
      done = true;
      throw e;
    } catch (ExecutionException e) {
      throw ended(e.getCause());
    } catch (IOException e) {
      throw new Broken(e.getMessage());
    } finally {
      if (!done) {
        kill();
      }
    }
  }

  private Frames.Answer await(CompletableFuture<Begun> begun, CompletableFuture<Frames.Answer> answer, Duration time, long until)
      throws InterruptedException, ExecutionException, TimeoutException, CompileLimit, Broken {
    long start = System.nanoTime();
    while (true) {
      try {
        return answer.get(LOOK_MILLIS, TimeUnit.MILLISECONDS);
      } catch (TimeoutException e) {
        long now = System.nanoTime();
        Begun since = begun.getNow(null);
        if (since != null && !tookLong && processor().minus(since.processor()).compareTo(SHORT) > 0) {
          tookLong = true;
          lower();
        }
        if (since == null) {
          if (now - start > TO_START.toNanos()) {
            throw new Broken("it did not begin to answer within " + TO_START.toSeconds() + " s");
          }
        } else if (processor().minus(since.processor()).compareTo(time) > 0 || now - since.nanos() > PATIENCE * time.toNanos()) {
          throw new CompileLimit(CompileLimit.What.TIME, time.toSeconds());
        }
        if (now - until > 0) {
          throw e;
        }
      }
    }
  }

  private Duration processor() {
    return process.info().totalCpuDuration().orElse(Duration.ZERO);
  }

  private static Code understood(Frames.Answer answer, int codeLimit) throws IOException, Malformed, CompileLimit {
    try (var in = answer.in()) {
      switch (answer.kind()) {
        case Frames.CODE -> {
          Code code = Code.read(in);
          if (in.available() > 0 || code.bytes() > codeLimit || code.classes().isEmpty()) {
            throw new IOException("its answer has not got the form that it must have");
          }
          return code;
        }
        case Frames.MALFORMED -> throw new Malformed(in.readUTF(), in.readUTF());
        default -> throw new CompileLimit(CompileLimit.What.CODE, codeLimit);
      }
    }
  }

  /** What it means that the pipes ended. */
  private Broken ended(Throwable cause) throws InterruptedException, CompileLimit {
    if (killed) {
      return new Broken("it was killed");
    }
    if (cause instanceof Frames.Nonsense || !(cause instanceof IOException) || !process.waitFor(TO_END.toMillis(), TimeUnit.MILLISECONDS)) {
      return new Broken(String.valueOf(cause.getMessage()));
    }
    if (process.exitValue() == OUT_OF_MEMORY) {
      throw new CompileLimit(CompileLimit.What.MEMORY, heapMib);
    }
    return new Broken("it ended with the status " + process.exitValue() + " (" + cause.getMessage() + ")" + lastWords());
  }

  private String lastWords() {
    try (InputStream errors = process.getErrorStream()) {
      // What the JDK kept of the pipe when the process ended: reading waits for nobody.
      String words = new String(errors.readNBytes(Math.min(errors.available(), MOST_WORDS)), StandardCharsets.US_ASCII);
      return words.isBlank() ? "" : ": " + words.replaceAll("[^ -~]", " ").strip();
    } catch (IOException e) {
      return "";
    }
  }

  /** From now on it gets what calls leave of the processors. */
  private synchronized void lower() {
    if (!low) {
      low = true;
      Background.lower(process.pid());
    }
  }

  /** Its modules get what calls leave of the processors. Its start does not: on a busy node it would never be done. */
  void lowerWhenReady() {
    toBeLow = true;
  }

  /** Whether its module needed so much of a processor that it was lowered. */
  boolean tookLong() {
    return tookLong;
  }

  /** Whether it has been lowered, or will be, which cannot be undone. */
  boolean low() {
    return low || toBeLow;
  }

  boolean alive() {
    return process.isAlive();
  }

  /** How many modules it was given. */
  long served() {
    return number;
  }

  long pid() {
    return process.pid();
  }

  /** Ends it, whatever it does. Returns without waiting for its end. */
  void kill() {
    killed = true;
    process.destroyForcibly();
  }

  /** Waits until it has ended. */
  void awaitEnd() throws InterruptedException {
    process.waitFor(TO_END.toMillis(), TimeUnit.MILLISECONDS);
  }
}
