package dev.instar.scheduler;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.image.ImageStore;
import dev.instar.api.sandbox.PreparedFunction;
import dev.instar.api.sandbox.PrepareRequest;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One attempt to prepare what a pool runs, shared by all who wait for it. It belongs to none of them: one that gives up leaves it to the
 * others. Its failure is told to those who wait and then forgotten with it. It pins its pool until it has ended.
 */
final class Preparation {
  private static final Logger LOG = LoggerFactory.getLogger(Preparation.class);
  private final Pool pool;
  private final CompletableFuture<Void> end = new CompletableFuture<>();
  private Thread thread;

  Preparation(Pool pool) {
    this.pool = pool;
  }

  /**
   * Waits for its end. Returning says nothing of the result: the pool has it, or was retired.
   *
   * @throws InstarException what the preparation failed with
   * @throws TimeoutException when the deadline came first
   */
  void await(long deadline) throws InterruptedException, TimeoutException {
    try {
      end.get(Math.max(0, deadline - Clock.now()), TimeUnit.NANOSECONDS);
    } catch (ExecutionException e) {
      // A new one for each who waits: a stack is that of the thread that throws.
      throw e.getCause() instanceof InstarException failure ? new InstarException(failure.problem(), failure)
          : new IllegalStateException(e.getCause());
    }
  }

  /** Does the work on this thread; never throws. */
  void run(ImageStore images, Watchdog watchdog, long limitNanos) {
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
      if (images == null) {
        throw Refusal.thrown(Refusal.missing("image store"));
      }
      var digest = pool.variant().digest();
      var image = images.find(digest).orElseThrow(() -> new InstarException(ErrorCode.IMAGE_NOT_FOUND,
          "The image " + digest + " of " + pool.version().label() + " is not in the content store. Upload it again."));
      pool.preparing(image);
      StageEvent.Prepare stage = new StageEvent.Prepare();
      stage.begin();
      try {
        result = pool.generation().backend().prepare(new PrepareRequest(pool.version(), pool.variant(), image, Clock.instant(deadline)));
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
        // An interrupt of ours must not meet the next preparation on this thread.
        Thread.interrupted();
      }
      finish(result, failure);
    }
  }

  /** Ends it when it could not even begin. */
  void refuse(InstarException failure) {
    finish(null, failure);
  }

  synchronized void interrupt() {
    if (thread != null) {
      thread.interrupt();
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
