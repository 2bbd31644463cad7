package dev.instar.logs;

import dev.instar.api.Threads;
import dev.instar.api.function.FunctionName;
import dev.instar.api.log.FunctionLogs;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import java.util.function.LongSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Brings entries to disk on one thread. The queue is bounded by the bytes of entries in it; an entry that finds it full is not
 * written, and a line in the file says how many were not. Orders, of which there are few, always find room.
 *
 * <p>It rests {@value #REST} times as long as it has worked, but for orders: so a flood, of which most lines are seen by nobody, takes a fifth of a
 * processor at most, and never much at once.
 */
final class LogWriter {
  private static final Logger LOG = LoggerFactory.getLogger(LogWriter.class);
  /** A millisecond of work. */
  private static final int BATCH = 1024;
  static final int REST = 4;
  /** So a slow disk does not get slower. */
  private static final long LONGEST_REST_NANOS = 20_000_000;
  private static final Duration COMPLAIN_EVERY = Duration.ofMinutes(1);

  private final LogFiles files;
  private final LongSupplier queueBytes;
  private final LongSupplier fileBytes;
  private final LinkedBlockingQueue<Task> queue = new LinkedBlockingQueue<>();
  private final AtomicLong queued = new AtomicLong();
  private final Map<FunctionName, Lost> lost = new ConcurrentHashMap<>();
  private final Thread thread;
  /** Orders that have not been carried out: nobody is to wait for a rest. */
  private final AtomicInteger orders = new AtomicInteger();
  private volatile boolean stopped;
  private long complained = System.nanoTime() - COMPLAIN_EVERY.toNanos();

  private sealed interface Task {}

  private record Write(FunctionName name, Stamped stamped) implements Task {}

  private record Delete(FunctionName name) implements Task {}

  private record Flush(CountDownLatch done) implements Task {}

  private record Stop() implements Task {}

  /** @param first of those that were not written: its place in the order */
  private record Lost(Stamped first, long count) {
    Lost and(Lost later) {
      return new Lost(first, count + later.count);
    }

    Stamped line() {
      FunctionLogs.Entry e = first.entry();
      return new Stamped(first.run(), first.sequence(), new FunctionLogs.Entry(e.time(), e.version(), e.invocationId(),
          LogLines.lost(count, " not written to this file: the disk was too slow or full")));
    }
  }

  LogWriter(LogFiles files, LongSupplier queueBytes, LongSupplier fileBytes) {
    this.files = files;
    this.queueBytes = queueBytes;
    this.fileBytes = fileBytes;
    thread = Threads.startPlatform("instar-logs-write", this::run);
  }

  /** Never waits. */
  void write(FunctionName name, Stamped stamped) {
    if (stopped) {
      return;
    }
    if (queued.addAndGet(stamped.cost()) > queueBytes.getAsLong()) {
      queued.addAndGet(-stamped.cost());
      lost.merge(name, new Lost(stamped, 1), Lost::and);
    } else {
      queue.add(new Write(name, stamped));
    }
  }

  void delete(FunctionName name) {
    order(new Delete(name));
  }

  private void order(Task task) {
    orders.incrementAndGet();
    queue.add(task);
    LockSupport.unpark(thread);
  }

  /** Waits, for a while, until what came before is written. */
  void flush(Duration atMost) {
    if (stopped) {
      return;
    }
    CountDownLatch done = new CountDownLatch(1);
    order(new Flush(done));
    try {
      done.await(atMost.toMillis(), TimeUnit.MILLISECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** Writes what is queued and ends, or gives up after a while. */
  void stop(Duration atMost) {
    stopped = true;
    order(new Stop());
    try {
      if (!thread.join(atMost)) {
        LOG.warn("The disk is slow; the last lines of function logs may be lost");
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void run() {
    List<Task> batch = new ArrayList<>();
    Map<FunctionName, List<Stamped>> pages = new LinkedHashMap<>();
    boolean running = true;
    while (running) {
      try {
        batch.add(queue.take());
        long began = System.nanoTime();
        queue.drainTo(batch, BATCH);
        orders.addAndGet(-(int) batch.stream().filter(task -> !(task instanceof Write)).count());
        for (Task task : batch) {
          switch (task) {
            case Write write -> {
              queued.addAndGet(-write.stamped.cost());
              pages.computeIfAbsent(write.name, n -> new ArrayList<>()).add(write.stamped);
            }
            case Delete delete -> {
              pages.remove(delete.name);
              lost.remove(delete.name);
              delete(delete);
            }
            case Flush flush -> {
              append(pages);
              flush.done.countDown();
            }
            case Stop _ -> running = false;
          }
        }
        append(pages);
        if (orders.get() == 0) {
          LockSupport.parkNanos(this, Math.min(LONGEST_REST_NANOS, REST * (System.nanoTime() - began)));
        }
      } catch (InterruptedException e) {
        running = false;
      } catch (RuntimeException e) {
        LOG.error("Lines of function logs are lost", e);
      } finally {
        batch.clear();
        pages.clear();
      }
    }
  }

  private void delete(Delete delete) {
    try {
      files.delete(delete.name);
    } catch (IOException e) {
      LOG.warn("The log of {} cannot be deleted: {}", delete.name, e.toString());
    }
  }

  private void append(Map<FunctionName, List<Stamped>> pages) {
    for (FunctionName name : lost.keySet()) {
      pages.computeIfAbsent(name, n -> new ArrayList<>());
    }
    pages.forEach((name, page) -> {
      Lost missing = lost.remove(name);
      Optional<Stamped> marker = Optional.empty();
      try {
        List<byte[]> lines = new ArrayList<>(page.size() + 1);
        ByteArrayOutputStream line = new ByteArrayOutputStream(256);
        if (missing != null) {
          marker = Optional.of(missing.line());
          page.add(marker.get());
          page.sort(Comparator.comparingLong(Stamped::sequence));
        }
        for (Stamped stamped : page) {
          line.reset();
          LogLines.write(stamped, line);
          lines.add(line.toByteArray());
        }
        files.append(name, lines, fileBytes.getAsLong());
      } catch (IOException e) {
        if (missing != null) {
          marker.ifPresent(page::remove);
          lost.merge(name, missing, (now, before) -> before.and(now));
        }
        if (!page.isEmpty()) {
          lost.merge(name, new Lost(page.getFirst(), page.size()), (now, before) -> before.and(now));
        }
        if (System.nanoTime() - complained > COMPLAIN_EVERY.toNanos()) {
          complained = System.nanoTime();
          LOG.error("The log of {} cannot be written; lines are counted and dropped until it can: {}", name, e.toString());
        }
      }
    });
    pages.clear();
  }
}
