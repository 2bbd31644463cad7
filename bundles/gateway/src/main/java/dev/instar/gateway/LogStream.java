package dev.instar.gateway;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import dev.instar.api.function.FunctionName;
import dev.instar.api.http.HttpExchange;
import dev.instar.api.log.FunctionLogs;
import dev.instar.api.log.FunctionLogs.Entry;
import java.io.IOException;
import java.io.OutputStream;
import java.time.Duration;
import java.time.Instant;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;

/** A function's log as newline-delimited JSON: what there is, and on request what comes. */
final class LogStream implements AutoCloseable {
  private static final Map<String, String> HEADERS = Map.of("Content-Type", "application/x-ndjson");
  // An empty line now and then finds out whether the reader is still there, and keeps what stands between from thinking the connection dead.
  private static final Duration HEARTBEAT = Duration.ofSeconds(15);
  private static final Duration LOOK = Duration.ofMillis(250);
  private static final int QUEUED = 1024;

  private final AtomicInteger followers = new AtomicInteger();
  private volatile boolean closed;

  void read(HttpExchange exchange, FunctionLogs logs, FunctionName function, int tail, Instant since) throws IOException {
    HttpExchange.Streamed out = exchange.stream(200, HEADERS, 64 << 10);
    write(out, logs.read(function, tail, since));
    out.finish();
  }

  /** Writes what there is, then what comes, until the reader goes, {@code ended} says that the function or the listener did, or this is closed. */
  void follow(HttpExchange exchange, FunctionLogs logs, FunctionName function, int tail, Instant since, int maxFollowers, BooleanSupplier ended)
      throws IOException, InterruptedException {
    if (followers.incrementAndGet() > maxFollowers) {
      followers.decrementAndGet();
      throw new InstarException(Problem.of(ErrorCode.NODE_BUSY, maxFollowers + " requests follow logs already. Try again later, or leave follow out.").retryAfter(Duration.ofSeconds(5)));
    }
    try {
      stream(exchange, logs, function, tail, since, ended);
    } finally {
      followers.decrementAndGet();
    }
  }

  private void stream(HttpExchange exchange, FunctionLogs logs, FunctionName function, int tail, Instant since, BooleanSupplier ended) throws IOException, InterruptedException {
    BlockingQueue<Entry> queue = new ArrayBlockingQueue<>(QUEUED);
    // First follow, then read: nothing is missed between the two, and what both have is written once.
    AutoCloseable handle = logs.follow(function, entry -> put(queue, entry));
    try {
      HttpExchange.Streamed out = exchange.stream(200, HEADERS, 0);
      List<Entry> past = logs.read(function, tail, since);
      write(out, past);
      out.flush();
      Set<Entry> written = new HashSet<>(past);
      long beat = System.nanoTime() + HEARTBEAT.toNanos();
      while (!closed && !ended.getAsBoolean()) {
        Entry entry = queue.poll(LOOK.toMillis(), TimeUnit.MILLISECONDS);
        if (entry != null && !written.remove(entry)) {
          write(out, List.of(entry));
        } else if (entry == null && System.nanoTime() - beat >= 0) {
          out.write('\n');
        } else {
          continue;
        }
        beat = System.nanoTime() + HEARTBEAT.toNanos();
      }
      out.finish();
    } finally {
      close(handle);
    }
  }

  /** Blocks the log's own follower thread, which counts what it drops meanwhile and is interrupted when the handle is closed. */
  private void put(BlockingQueue<Entry> queue, Entry entry) {
    try {
      queue.put(entry);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private static void write(OutputStream out, List<Entry> entries) throws IOException {
    for (Entry entry : entries) {
      byte[] json = Json.bytes(Json.object().put("time", entry.time().toString()).put("version", entry.version()).put("invocation", entry.invocationId()).put("text", entry.text()));
      byte[] line = Arrays.copyOf(json, json.length + 1);
      line[json.length] = '\n';
      out.write(line);
    }
  }

  private static void close(AutoCloseable handle) throws IOException {
    try {
      handle.close();
    } catch (IOException | RuntimeException e) {
      throw e;
    } catch (Exception e) {
      throw new IOException(e);
    }
  }

  /** Lets those who follow end. */
  @Override
  public void close() {
    closed = true;
  }
}
