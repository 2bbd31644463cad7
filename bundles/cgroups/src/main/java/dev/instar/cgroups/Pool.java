package dev.instar.cgroups;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import dev.instar.api.Threads;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Empty cgroups, made ahead by a thread of its own, which also tries again what could not be removed. */
final class Pool implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(Pool.class);
  private static final long TIDY_MILLIS = 1000;

  private final Tree tree;
  private final int size;
  private final Runnable tidy;
  /** Two pools of one run make different names. */
  private final String prefix = Long.toUnsignedString(System.nanoTime(), 36) + "-";
  private final AtomicLong made = new AtomicLong();
  private final Thread thread;
  // Under the monitor.
  private final ArrayDeque<String> ready = new ArrayDeque<>();
  private boolean closed;

  Pool(Tree tree, int size, Runnable tidy) {
    this.tree = tree;
    this.size = size;
    this.tidy = tidy;
    thread = Threads.startPlatform("instar-cgroups", this::work);
  }

  Tree tree() {
    return tree;
  }

  /** The name of a cgroup that nobody has. */
  String take() {
    synchronized (this) {
      String name = ready.poll();
      notifyAll();
      if (name != null) {
        return name;
      }
    }
    try {
      return make();
    } catch (IOException e) {
      throw new InstarException(Problem.of(ErrorCode.NODE_BUSY, "This host gives no further cgroup: " + ControlFile.reason(e) + ". Try again later.")
          .retryAfter(Duration.ofSeconds(1)), e);
    }
  }

  private String make() throws IOException {
    String name = prefix + made.incrementAndGet();
    tree.make(name);
    return name;
  }

  private void work() {
    while (true) {
      try {
        if (!await()) {
          return;
        }
        tidy.run();
        fill();
      } catch (InterruptedException e) {
        return;
      } catch (RuntimeException e) {
        LOG.error("Making cgroups ahead failed", e);
      }
    }
  }

  /** Until there is something to make, or to try again. False at the end. */
  private synchronized boolean await() throws InterruptedException {
    if (!closed && ready.size() >= size) {
      wait(TIDY_MILLIS);
    }
    return !closed;
  }

  private void fill() throws InterruptedException {
    while (true) {
      synchronized (this) {
        if (closed || ready.size() >= size) {
          return;
        }
      }
      try {
        String name = make();
        synchronized (this) {
          if (!closed) {
            ready.add(name);
            continue;
          }
        }
        Killing.remove(tree.directories(name));
        return;
      } catch (IOException e) {
        LOG.debug("No cgroup can be made ahead: {}", e.getMessage());
        synchronized (this) {
          if (!closed) {
            wait(TIDY_MILLIS);
          }
        }
        return;
      }
    }
  }

  /** How many are made ahead now. */
  synchronized int ready() {
    return ready.size();
  }

  /** Removes what nobody has taken. Idempotent. */
  @Override
  public void close() {
    List<String> left;
    synchronized (this) {
      closed = true;
      left = new ArrayList<>(ready);
      ready.clear();
      notifyAll();
    }
    // Not an interrupt while it writes to one of the kernel's files: it may be in the middle of making one.
    boolean interrupted = false;
    while (thread.isAlive() && thread != Thread.currentThread()) {
      try {
        thread.join();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    left.forEach(name -> Killing.remove(tree.directories(name)));
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
