package dev.instar.backend.wasm;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Threads;
import java.time.Duration;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * Where guests are initialised: each on a thread of its own, for no longer than it may take. This is the only time at which code of a module runs without a call,
 * so it holds up nobody but the one who asked for it.
 */
final class Initialisations implements AutoCloseable {
  /** Reserved, not taken. As much as a call may ask for by default: HotSpot looks through it in one go when it overflows, while everybody may wait. */
  private static final long STACK = 4L << 20;
  /** Compiled and interpreted code ends within milliseconds of an interrupt. */
  private static final long TO_END_MILLIS = 2000;

  private final Set<Thread> running = new HashSet<>();
  private boolean closed;

  /**
   * Makes a guest.
   *
   * @param limit after which it is ended
   * @throws InstarException TIMED_OUT at the limit, and what the work throws
   * @throws InterruptedException when the one who waits, or the work, was interrupted, or all have been ended
   */
  Guest run(Callable<Guest> work, Duration limit, String advice) throws InterruptedException {
    CompletableFuture<Guest> result = new CompletableFuture<>();
    Thread thread = Threads.platform("wasm-initialise", STACK, () -> {
      try {
        Guest guest = work.call();
        if (!result.complete(guest)) {
          guest.release();
        }
      } catch (Throwable e) {
        result.completeExceptionally(e);
      } finally {
        ended(Thread.currentThread());
      }
    });
    start(thread);
    try {
      return result.get(Math.max(0, limit.toMillis()), TimeUnit.MILLISECONDS);
    } catch (ExecutionException e) {
      switch (e.getCause()) {
        case InterruptedException i -> throw i;
        case RuntimeException r -> throw r;
        case Error r -> throw r;
        default -> throw new IllegalStateException(e.getCause());
      }
    } catch (TimeoutException e) {
      end(thread, result);
      throw new InstarException(ErrorCode.TIMED_OUT, "The initialisation (start section, _initialize, _faasm_zygote) took longer than "
          + limit.toMillis() + " ms" + advice, Map.of("limitMillis", limit.toMillis()));
    } catch (InterruptedException e) {
      end(thread, result);
      throw e;
    }
  }

  private synchronized void start(Thread thread) throws InterruptedException {
    if (closed) {
      throw new InterruptedException();
    }
    thread.start();
    running.add(thread);
  }

  private synchronized void ended(Thread thread) {
    running.remove(thread);
  }

  private static void end(Thread thread, CompletableFuture<Guest> result) throws InterruptedException {
    if (!result.cancel(false) && !result.isCompletedExceptionally()) {
      // It came about at the last moment, and nobody wants it any more.
      result.join().release();
    }
    thread.interrupt();
    thread.join(TO_END_MILLIS);
  }

  /** Ends all of them, without waiting. There are no more. */
  @Override
  public synchronized void close() {
    closed = true;
    running.forEach(Thread::interrupt);
  }
}
