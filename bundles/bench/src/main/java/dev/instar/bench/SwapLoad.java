package dev.instar.bench;

import java.io.IOException;
import java.net.URI;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;

/**
 * Calls of the examples in turn, over connections that stay open, each answer compared with the right one. Each connection has a virtual thread, which sends at
 * random moments (a Poisson process); the latency of a request counts from the moment that was drawn for it, also when the connection was not free then.
 */
final class SwapLoad implements AutoCloseable {
  private final URI node;
  private final List<Example> examples;
  private final Tally tally = new Tally();
  /** Answers of what is published anew must not come from an older version. */
  private final AtomicInteger oldest = new AtomicInteger();
  private final List<Caller> callers = new ArrayList<>();
  private volatile boolean over;

  /** @param examples called in turn */
  SwapLoad(URI node, List<Example> examples) {
    this.node = node;
    this.examples = examples;
  }

  /** As many calls as the node answers. @return calls per second */
  static double capacity(URI node, int connections, long millis) throws IOException, InterruptedException {
    try (SwapLoad load = new SwapLoad(node, Example.MODULES)) {
      load.begin(connections, Double.POSITIVE_INFINITY);
      // The first half is for the JIT compiler.
      Thread.sleep(millis / 2);
      long before = load.tally.rights();
      long began = System.nanoTime();
      Thread.sleep(millis - millis / 2);
      double rate = (load.tally.rights() - before) * 1e9 / (System.nanoTime() - began);
      load.end();
      if (load.tally.faults() > 0) {
        throw new IOException("Before the first swap, requests were not answered rightly: " + load.tally.examples().getFirst());
      }
      return rate;
    }
  }

  /** Begins to send so many requests per second. */
  void begin(int connections, double rate) throws IOException {
    for (int i = 0; i < connections; i++) {
      callers.add(new Caller(rate / connections, new SplittableRandom(i)));
    }
    callers.forEach(caller -> caller.thread = Thread.ofVirtual().name("caller").start(caller));
  }

  Tally tally() {
    return tally;
  }

  /** From now on an answer by an older version of what is published anew is a fault, for requests that are sent after this. */
  void oldest(int version) {
    oldest.set(version);
  }

  /** Waits for the answers that are out. */
  void end() throws InterruptedException {
    over = true;
    for (Caller caller : callers) {
      caller.thread.join();
    }
  }

  @Override
  public void close() throws InterruptedException {
    end();
    callers.forEach(caller -> caller.wire.close());
  }

  /** Right answers: when each was due and how long it took, in nanoseconds; in the order of their due times. After {@link #end}. */
  Latencies latencies() {
    int count = callers.stream().mapToInt(caller -> caller.count).sum();
    long[][] all = new long[count][];
    int at = 0;
    for (Caller caller : callers) {
      for (int i = 0; i < caller.count; i++) {
        all[at++] = new long[] {caller.log[2 * i], caller.log[2 * i + 1]};
      }
    }
    Arrays.sort(all, (a, b) -> Long.compare(a[0], b[0]));
    return new Latencies(Arrays.stream(all).mapToLong(a -> a[0]).toArray(), Arrays.stream(all).mapToLong(a -> a[1]).toArray());
  }

  private final class Caller implements Runnable {
    private final double rate;
    private final SplittableRandom random;
    private Wire wire;
    private Thread thread;
    private long[] log = new long[2048];
    private int count;

    Caller(double rate, SplittableRandom random) throws IOException {
      this.rate = rate;
      this.random = random;
      wire = new Wire(node);
    }

    @Override
    public void run() {
      long due = System.nanoTime();
      for (int turn = random.nextInt(examples.size()); !over; turn++) {
        long now = System.nanoTime();
        if (Double.isInfinite(rate)) {
          due = now;
        } else {
          due += (long) (-Math.log(1 - random.nextDouble()) / rate * 1e9);
          while ((now = System.nanoTime()) < due && !over) {
            LockSupport.parkNanos(Math.min(due - now, TimeUnit.MILLISECONDS.toNanos(100)));
          }
          if (over) {
            return;
          }
        }
        call(examples.get(turn % examples.size()), due);
      }
    }

    private void call(Example example, long due) {
      byte[] input = example.input(random);
      int floor = oldest.get();
      try {
        Wire.Answer answer = wire.exchange("POST", example.path(), input);
        if (answer.status() != 200) {
          tally.failed(example.title(), answer);
        } else if (!Arrays.equals(answer.body(), example.output(input))) {
          tally.wrong(example.title() + " was answered with other bytes: " + answer.shown());
        } else if (example.published() && Integer.parseInt(answer.header("instar-version")) < floor) {
          tally.stale("a call after version " + floor + " was there was answered by version " + answer.header("instar-version"));
        } else {
          tally.right();
          note(due, System.nanoTime() - due);
        }
        if ("close".equals(answer.header("connection"))) {
          reconnect();
        }
      } catch (IOException | RuntimeException e) {
        tally.lost(example.title(), e);
        reconnect();
      }
    }

    private void note(long due, long latency) {
      if (2 * count == log.length) {
        log = Arrays.copyOf(log, 2 * log.length);
      }
      log[2 * count] = due;
      log[2 * count + 1] = latency;
      count++;
    }

    private void reconnect() {
      wire.close();
      while (!over) {
        try {
          wire = new Wire(node);
          return;
        } catch (IOException e) {
          tally.lost("a connection", e);
          LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(100));
        }
      }
    }
  }
}
