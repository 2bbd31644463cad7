package dev.instar.logs;

import dev.instar.api.Threads;
import dev.instar.api.log.FunctionLogs.Entry;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import org.slf4j.LoggerFactory;

/** Hands entries to one consumer on a thread of its own, so that a slow one keeps nobody waiting. */
final class Follower implements AutoCloseable {
  private static final int WAITING = 1000;

  private final Consumer<Entry> consumer;
  private final Runnable whenClosed;
  private final ArrayBlockingQueue<Entry> queue = new ArrayBlockingQueue<>(WAITING);
  private final AtomicLong dropped = new AtomicLong();
  private final Thread thread;
  private boolean closed;

  Follower(Consumer<Entry> consumer, Consumer<Follower> whenClosed) {
    this.consumer = consumer;
    this.whenClosed = () -> whenClosed.accept(this);
    thread = Threads.virtual("instar-logs-follow", this::deliver);
  }

  Follower start() {
    thread.start();
    return this;
  }

  void offer(Entry entry) {
    if (!queue.offer(entry)) {
      dropped.incrementAndGet();
    }
  }

  private void deliver() {
    try {
      while (true) {
        Entry next = queue.take();
        long lost = dropped.getAndSet(0);
        synchronized (this) {
          if (closed) {
            return;
          }
        }
        consumer.accept(lost == 0 ? next : new Entry(next.time(), next.version(), next.invocationId(), LogLines.lost(lost, " dropped") + " "
            + next.text()));
      }
    } catch (InterruptedException e) {
      // Closed.
    } catch (RuntimeException e) {
      LoggerFactory.getLogger(Follower.class).debug("A follower is closed because its consumer failed", e);
      close();
    }
  }

  /** No entry is handed over after it returns, but one may just be on its way. Also from within the consumer. */
  @Override
  public void close() {
    synchronized (this) {
      if (closed) {
        return;
      }
      closed = true;
    }
    whenClosed.run();
    if (Thread.currentThread() != thread) {
      thread.interrupt();
    }
  }
}
