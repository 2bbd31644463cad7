package dev.instar.scheduler;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.image.ImageStore;
import dev.instar.api.sandbox.PreparedFunction;
import dev.instar.api.sandbox.PrepareRequest;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One attempt to prepare what a pool runs, shared by all who wait for it. It belongs to none of them: one that gives up leaves it to the
 * others. Its failure is told to those who wait and then forgotten with it. It pins its pool until it has ended.
 *
 * <p>When the last of them has gone it is cancelled if it waits for its turn still. One that is under way is cancelled when the last was interrupted,
 * but goes on when the last call's time was over: else a version whose calls have less time than it takes to prepare could never run at all. It is
 * bounded, and takes its own user's turn only.
 */
final class Preparation {
  private static final Logger LOG = LoggerFactory.getLogger(Preparation.class);
  private static final Duration STORE_WAIT = Duration.ofSeconds(10);

  private final Pool pool;
  private final CompletableFuture<Void> end = new CompletableFuture<>();
  private volatile Preparations queue;
  private Thread thread;
  private int waiting;
  private boolean cancelled;

  Preparation(Pool pool) {
    this.pool = pool;
  }

  /** Where it waits for its turn. */
  void queued(Preparations where) {
    queue = where;
  }

  /** Whose turn it takes. */
  String user() {
    return pool.version().name().user();
  }

  String label() {
    return pool.version().label();
  }

  /**
   * Waits for its end. Returning says nothing of the result: the pool has it, or was retired, or it was cancelled before anybody joined.
   *
   * @throws InstarException what the preparation failed with
   * @throws TimeoutException when the deadline came first
   */
  void await(long deadline) throws InterruptedException, TimeoutException {
    synchronized (this) {
      waiting++;
    }
    try {
      end.get(Math.max(0, deadline - Clock.now()), TimeUnit.NANOSECONDS);
      left(false);
    } catch (TimeoutException e) {
      left(false);
      throw e;
    } catch (InterruptedException e) {
      left(true);
      throw e;
    } catch (ExecutionException e) {
      // A new one for each who waits: a stack is that of the thread that throws.
      throw e.getCause() instanceof InstarException failure ? new InstarException(failure.problem(), failure)
          : new IllegalStateException(e.getCause());
    }
  }

  /** @param interrupted whether who waited was told to go, and not merely out of time */
  private void left(boolean interrupted) {
    synchronized (this) {
      if (--waiting > 0 || end.isDone()) {
        return;
      }
      if (interrupted && thread != null) {
        cancelled = true;
        thread.interrupt();
        return;
      }
    }
    cancelQueued();
  }

  private boolean cancelQueued() {
    Preparations line = queue;
    if (line == null || !line.withdraw(this)) {
      return false;
    }
    finish(null, null);
    return true;
  }

  /** Does the work on this thread; never throws. */
  void run(Supplier<ImageStore> store, Watchdog watchdog, long limitNanos) {
    if (pool.retired()) {
      finish(null, null);
      return;
    }
    long deadline = Clock.now() + limitNanos;
    PreparedFunction result = null;
    InstarException failure = null;
    synchronized (this) {
      thread = Thread.currentThread();
    }
    Watchdog.Watch watch = watchdog.arm(deadline, this::interrupt);
    try {
      ImageStore images = store.get();
      for (long end = Math.min(deadline, Clock.in(STORE_WAIT)); images == null; images = store.get()) {
        if (Clock.now() > end) {
          throw Refusal.thrown(Refusal.missing("image store"));
        }
        // It is being replaced, which is seldom and short.
        Thread.sleep(5);
      }
      var digest = pool.variant().digest();
      var image = images.find(digest).orElseThrow(() -> new InstarException(ErrorCode.IMAGE_NOT_FOUND,
          "The image " + digest + " of " + pool.version().label() + " is not in the content store. Upload it again."));
      pool.preparing(image);
      StageEvent.Prepare stage = new StageEvent.Prepare();
      stage.begin();
      try {
        result = pool.generation().backend().prepare(
            new PrepareRequest(pool.version(), pool.variant(), image, Clock.instant(deadline), pool::makeRoom));
      } finally {
        stage.record(pool.version(), pool.generation());
      }
    } catch (InstarException e) {
      failure = e;
    } catch (InterruptedException e) {
      failure = Refusal.thrown(Clock.now() >= deadline ? Refusal.preparingTooLong(pool.version(), limitNanos) : Refusal.drained(pool.version()));
    } catch (Throwable e) {
      LOG.error("The backend {} failed to prepare {}", pool.generation().name(), pool.version().label(), e);
      failure = Refusal.thrown(Refusal.internal("Preparing " + pool.version().label(), pool.version().uid()));
    } finally {
      watch.disarm();
      synchronized (this) {
        thread = null;
        // An interrupt of ours must not meet what ends it.
        Thread.interrupted();
        if (cancelled) {
          // Who has joined since begins another.
          failure = null;
        }
      }
      finish(result, failure);
    }
  }

  /** Ends it when it could not even begin. */
  void refuse(InstarException failure) {
    finish(null, failure);
  }

  /** Ends it, whoever waits. */
  void interrupt() {
    if (cancelQueued()) {
      return;
    }
    synchronized (this) {
      if (thread != null) {
        thread.interrupt();
      }
    }
  }

  private void finish(PreparedFunction result, InstarException failure) {
    boolean retired = pool.retired();
    pool.prepared(result);
    // Who waits at a retired pool is routed anew, whatever became of this.
    if (failure == null || retired) {
      end.complete(null);
    } else {
      end.completeExceptionally(failure);
    }
  }
}
