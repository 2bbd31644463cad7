package dev.instar.scheduler;

import dev.instar.api.image.ImageStore;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;

/**
 * The threads on which versions are prepared, few, because preparing (compiling) is heavy. Its queue is bounded by what fills it: one
 * entry for each version that a waiting call or a publishing user asks for.
 */
final class Preparations implements AutoCloseable {
  private final Supplier<ImageStore> images;
  private final Watchdog watchdog;
  private final ThreadPoolExecutor threads;
  private volatile long limitNanos;

  Preparations(Settings settings, Supplier<ImageStore> images, Watchdog watchdog) {
    this.images = images;
    this.watchdog = watchdog;
    threads = new ThreadPoolExecutor(settings.prepareThreads(), settings.prepareThreads(), 30, TimeUnit.SECONDS, new LinkedBlockingQueue<>(),
        Thread.ofPlatform().daemon().name("instar-prepare-", 1).factory());
    threads.allowCoreThreadTimeOut(true);
    limitNanos = settings.prepareTime().toNanos();
  }

  void apply(Settings settings) {
    // The order keeps core <= maximum, which the pool insists on.
    if (settings.prepareThreads() > threads.getMaximumPoolSize()) {
      threads.setMaximumPoolSize(settings.prepareThreads());
      threads.setCorePoolSize(settings.prepareThreads());
    } else {
      threads.setCorePoolSize(settings.prepareThreads());
      threads.setMaximumPoolSize(settings.prepareThreads());
    }
    limitNanos = settings.prepareTime().toNanos();
  }

  void begin(Preparation preparation) {
    try {
      threads.execute(() -> preparation.run(images.get(), watchdog, limitNanos));
    } catch (RejectedExecutionException e) {
      preparation.refuse(Refusal.thrown(Refusal.stopping()));
    }
  }

  @Override
  public void close() {
    for (Runnable left : threads.shutdownNow()) {
      left.run();
    }
    try {
      threads.awaitTermination(2, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
