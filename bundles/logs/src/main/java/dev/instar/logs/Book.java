package dev.instar.logs;

import dev.instar.api.function.FunctionName;
import dev.instar.api.log.FunctionLogs;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;

/** The newest entries of one function, in memory. A lock of its own keeps the order here, in the file and at the followers the same. */
final class Book {
  private final FunctionName name;
  private final BoundedLogs logs;
  private final AtomicLong total;
  private final ArrayDeque<Stamped> ring = new ArrayDeque<>();
  private long bytes;
  private long sequence;
  private boolean gone;
  private volatile long lastUsed = System.nanoTime();

  /** @param total of all books' bytes */
  Book(FunctionName name, BoundedLogs logs, AtomicLong total) {
    this.name = name;
    this.logs = logs;
    this.total = total;
  }

  /** One that takes nothing. */
  static Book closed(FunctionName name, BoundedLogs logs, AtomicLong total) {
    Book book = new Book(name, logs, total);
    book.gone = true;
    return book;
  }

  FunctionName name() {
    return name;
  }

  long lastUsed() {
    return lastUsed;
  }

  void append(int version, String invocationId, String text) {
    synchronized (this) {
      if (gone) {
        return;
      }
      lastUsed = System.nanoTime();
      Stamped stamped = new Stamped(logs.run(), sequence++, new FunctionLogs.Entry(Instant.now(), version, invocationId, text));
      ring.add(stamped);
      account(stamped.cost());
      while (bytes > logs.settings().functionBytes() && ring.size() > 1) {
        account(-ring.remove().cost());
      }
      logs.pass(name, stamped);
    }
    logs.makeRoom();
  }

  private void account(long cost) {
    bytes += cost;
    total.addAndGet(cost);
  }

  synchronized List<Stamped> entries() {
    return List.copyOf(ring);
  }

  /** Forgets what is in memory; the file has it. */
  synchronized void evict() {
    account(-bytes);
    ring.clear();
  }

  /** Takes no more: its function was removed. Runs {@code then} before anything else can be written under its name by way of this book. */
  synchronized void remove(Runnable then) {
    gone = true;
    evict();
    then.run();
  }
}
