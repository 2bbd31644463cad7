package dev.instar.backend.wasmtime;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Threads;
import dev.instar.api.wasmtime.Wasmtime;
import dev.instar.wasi.guest.Refusal;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.Arrays;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Has modules compiled, each in a process of its own that may die of it; one waits ahead. Whose turn it is to have one prepared, the scheduler has decided. */
final class Compiler implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(Compiler.class);
  /** Of processor time, as much as the clock may show. */
  private static final int PATIENCE = 4;
  private static final long LOOK_MILLIS = 20;
  /** Machine code for a byte of a module; measured are 1 to 4, and 16 KiB whatever there is. */
  private static final long CODE_PER_BYTE = 32;
  private static final long MOST_CODE = 1L << 30;
  private static final int MOST_WORDS = 2000;
  /** The status of a JVM that has no heap left, see -XX:+ExitOnOutOfMemoryError. */
  private static final int NO_HEAP = 3;

  private final Spare spare;
  private final Set<Process> running = ConcurrentHashMap.newKeySet();
  private volatile Settings settings;
  private volatile Semaphore places;
  private volatile boolean closed;

  /**
   * @param places modules at one time
   * @param time of the processor for one
   * @param mib for one
   */
  record Settings(int places, Duration time, int mib) {}

  Compiler(Wasmtime library, Settings settings) {
    spare = new Spare(library, settings.mib());
    apply(settings);
  }

  /** Holds for modules that come from now on. */
  void apply(Settings changed) {
    settings = changed;
    spare.apply(changed.mib());
    places = new Semaphore(changed.places(), true);
  }

  /**
   * What an engine loads for a module.
   *
   * @throws InstarException MODULE_REFUSED, COMPILE_LIMIT, TIMED_OUT at the deadline, INTERNAL
   * @throws InterruptedException when the thread was interrupted; what was under way has been killed
   */
  byte[] compile(byte[] module, Instant deadline) throws InterruptedException {
    Settings bounds = settings;
    Semaphore place = places;
    if (!place.tryAcquire(Math.max(0, Duration.between(Instant.now(), deadline).toMillis()), TimeUnit.MILLISECONDS)) {
      throw late();
    }
    try {
      Process process = spare.take();
      running.add(process);
      try {
        if (closed) {
          throw new InterruptedException();
        }
        return answer(process, module, bounds, deadline);
      } finally {
        process.destroyForcibly();
        running.remove(process);
      }
    } catch (IOException e) {
      LOG.error("A compiling process cannot be started", e);
      throw failed();
    } finally {
      place.release();
    }
  }

  private byte[] answer(Process process, byte[] module, Settings bounds, Instant deadline) throws InterruptedException {
    long most = Math.min(MOST_CODE, (1 << 20) + CODE_PER_BYTE * module.length);
    Threads.startPlatform("wasmtime-compile-in-" + process.pid(), () -> {
      try (OutputStream to = process.getOutputStream()) {
        to.write(module);
      } catch (IOException e) {
        LOG.trace("It ended before it had read all; its status says more", e);
      }
    });
    CompletableFuture<byte[]> answer = new CompletableFuture<>();
    Threads.startPlatform("wasmtime-compile-out-" + process.pid(), () -> {
      try (InputStream from = process.getInputStream()) {
        answer.complete(from.readNBytes((int) most + 2));
      } catch (IOException | OutOfMemoryError e) {
        answer.completeExceptionally(e);
      }
    });
    byte[] said = await(process, answer, bounds, deadline);
    if (said.length > most + 1) {
      throw limit("code", most, "Compiled, the module has more than " + most + " bytes of machine code");
    }
    if (said.length > 0 && said[0] == Wasmtime.INVALID) {
      throw invalid(new String(said, 1, said.length - 1, StandardCharsets.UTF_8));
    }
    if (process.waitFor() != 0 || said.length < 2 || said[0] != Wasmtime.COMPILED) {
      String words = words(process);
      if (process.exitValue() == NO_HEAP || words.contains("memory allocation of") || words.contains("Cannot allocate memory")) {
        throw limit("memory", bounds.mib(), "Compiling the module took more than " + bounds.mib() + " MiB of memory (compile-memory-mib)");
      }
      LOG.error("A compiling process ended with the status {}: {}", process.exitValue(), words);
      throw failed();
    }
    return Arrays.copyOfRange(said, 1, said.length);
  }

  private byte[] await(Process process, CompletableFuture<byte[]> answer, Settings bounds, Instant deadline) throws InterruptedException {
    long start = System.nanoTime();
    while (true) {
      try {
        return answer.get(LOOK_MILLIS, TimeUnit.MILLISECONDS);
      } catch (TimeoutException e) {
        Duration processor = process.info().totalCpuDuration().orElse(Duration.ZERO);
        if (processor.compareTo(bounds.time()) > 0 || System.nanoTime() - start > PATIENCE * bounds.time().toNanos()) {
          throw limit("time", bounds.time().toSeconds(), "Compiling the module took more than " + bounds.time().toSeconds() + " s (compile-seconds)");
        }
        if (!Instant.now().isBefore(deadline)) {
          throw late();
        }
      } catch (ExecutionException e) {
        LOG.error("The answer of a compiling process cannot be read", e.getCause());
        throw failed();
      }
    }
  }

  private static String words(Process process) {
    try (InputStream errors = process.getErrorStream()) {
      return new String(errors.readNBytes(MOST_WORDS), StandardCharsets.UTF_8).replaceAll("[^ -~]", " ").strip();
    } catch (IOException e) {
      return "";
    }
  }

  private static InstarException invalid(String message) {
    // "WebAssembly translation error", a cause, and where; on several lines.
    String detail = message.lines().map(String::strip).filter(line -> !line.isEmpty() && !line.equals("Caused by:")).reduce((a, b) -> a + ": " + b).orElse("")
        .replaceAll("[^ -~]", "?");
    return Refusal.of("module", (detail.length() > 300 ? detail.substring(0, 300) + "..." : detail) + ".");
  }

  private static InstarException limit(String what, long value, String detail) {
    return new InstarException(ErrorCode.COMPILE_LIMIT, detail + ". Build it with fewer or smaller functions, or split it; "
        + "what is generated (tables as code, unrolled loops) is the usual reason.", Map.of("limit", what, "value", value));
  }

  private static InstarException late() {
    return new InstarException(ErrorCode.TIMED_OUT, "The module was not compiled in time: it is large, or other modules were before it. Try again, or split it.");
  }

  private static InstarException failed() {
    return new InstarException(ErrorCode.INTERNAL, "The module could not be compiled: the process that compiles failed. The node's log says more.");
  }

  /** That of the process that waits for a module. */
  Optional<Long> waiting() {
    return spare.pid();
  }

  /** Kills what runs. */
  @Override
  public void close() {
    closed = true;
    spare.close();
    running.forEach(Process::destroyForcibly);
  }
}
