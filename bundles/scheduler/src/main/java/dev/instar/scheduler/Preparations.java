package dev.instar.scheduler;

import dev.instar.api.Threads;
import dev.instar.api.image.ImageStore;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;

/**
 * Where versions are prepared: few at one time, because preparing (compiling, initialising) is heavy. Users take turns. Where all places are taken, as many more are in
 * reserve for users none of whose versions is being prepared: so versions that take as long as they may hold up those of their own user, and not others'.
 * How many of one user's wait is bounded as his waiting calls are.
 */
final class Preparations implements AutoCloseable {
  private static final long TO_END_NANOS = TimeUnit.SECONDS.toNanos(2);
  /** How long a thread waits for the next preparation. A new one costs a tenth of what a preparation from a stored state does, most of it page faults. */
  private static final long IDLE_SECONDS = 2;

  private final Supplier<ImageStore> images;
  private final Watchdog watchdog;
  private final AtomicInteger names = new AtomicInteger();
  /** As many as there are places. */
  private final ThreadPoolExecutor threads = new ThreadPoolExecutor(0, Integer.MAX_VALUE, IDLE_SECONDS, TimeUnit.SECONDS, new SynchronousQueue<>(),
      work -> Threads.platform("instar-prepare-" + names.incrementAndGet(), work));
  private volatile Settings settings;

  // All below: under the monitor, which is a leaf.
  /** By user, in the order of their next turns. */
  private final LinkedHashMap<String, ArrayDeque<Preparation>> waiting = new LinkedHashMap<>();
  private final Map<String, Integer> running = new HashMap<>();
  private int all;
  private boolean closed;

  Preparations(Settings settings, Supplier<ImageStore> images, Watchdog watchdog) {
    this.settings = settings;
    this.images = images;
    this.watchdog = watchdog;
  }

  void apply(Settings changed) {
    settings = changed;
    serve();
  }

  void begin(Preparation preparation) {
    preparation.queued(this);
    switch (enqueue(preparation)) {
      case QUEUED -> serve();
      case FULL -> preparation.refuse(Refusal.thrown(Refusal.userPreparationsFull(preparation.user(), settings.userQueue())));
      case CLOSED -> preparation.refuse(Refusal.thrown(Refusal.stopping()));
    }
  }

  private enum Entry { QUEUED, FULL, CLOSED }

  private synchronized Entry enqueue(Preparation preparation) {
    if (closed) {
      return Entry.CLOSED;
    }
    ArrayDeque<Preparation> own = waiting.get(preparation.user());
    if (own != null && own.size() >= settings.userQueue()) {
      return Entry.FULL;
    }
    waiting.computeIfAbsent(preparation.user(), user -> new ArrayDeque<>()).add(preparation);
    return Entry.QUEUED;
  }

  /** Takes one out of the line; false when it is not there: it runs, or has ended. */
  synchronized boolean withdraw(Preparation preparation) {
    ArrayDeque<Preparation> own = waiting.get(preparation.user());
    boolean there = own != null && own.remove(preparation);
    if (there && own.isEmpty()) {
      waiting.remove(preparation.user());
    }
    return there;
  }

  /** How many wait for their turn. */
  synchronized int waiting() {
    return waiting.values().stream().mapToInt(ArrayDeque::size).sum();
  }

  private void serve() {
    for (Preparation next = next(); next != null; next = next()) {
      Preparation mine = next;
      try {
        threads.execute(() -> {
          try {
            mine.run(images, watchdog, settings.prepareTime().toNanos());
          } finally {
            ended(mine.user());
            serve();
          }
        });
      } catch (OutOfMemoryError | RejectedExecutionException e) {
        // The machine has no thread left; or it is over.
        ended(mine.user());
        mine.refuse(Refusal.thrown(Refusal.internal("Preparing " + mine.label(), mine.label())));
      }
    }
  }

  private synchronized Preparation next() {
    int places = settings.prepareThreads();
    for (var entry : waiting.entrySet()) {
      String user = entry.getKey();
      if (!closed && (all < places || all < 2 * places && !running.containsKey(user))) {
        ArrayDeque<Preparation> own = waiting.remove(user);
        Preparation next = own.poll();
        if (!own.isEmpty()) {
          // To the end of the line.
          waiting.put(user, own);
        }
        all++;
        running.merge(user, 1, Integer::sum);
        return next;
      }
    }
    return null;
  }

  private synchronized void ended(String user) {
    all--;
    running.computeIfPresent(user, (key, count) -> count == 1 ? null : count - 1);
    notifyAll();
  }

  @Override
  public void close() {
    List<Preparation> left = new ArrayList<>();
    synchronized (this) {
      closed = true;
      waiting.values().forEach(left::addAll);
      waiting.clear();
    }
    threads.shutdown();
    left.forEach(preparation -> preparation.refuse(Refusal.thrown(Refusal.stopping())));
    long end = Clock.now() + TO_END_NANOS;
    synchronized (this) {
      try {
        for (long millis = 1; all > 0 && millis > 0; millis = (end - Clock.now()) / 1_000_000) {
          wait(millis);
        }
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
  }
}
