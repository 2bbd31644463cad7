package dev.instar.api.guest;

import dev.instar.api.Threads;
import dev.instar.api.sandbox.GuestLog;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;

/**
 * Takes what a guest's process writes beside its answers to the log of the call that runs when it is read, and keeps its last words. A platform thread for
 * each stream, since a read of a pipe cannot be interrupted and holds the carrier of a virtual thread; they end with the streams.
 */
public final class GuestOutput {
  /** What is kept for the detail of a crash, in bytes. */
  private static final int LAST_WORDS = 400;
  private static final Duration END = Duration.ofMillis(200);

  private final List<Thread> threads;
  private final byte[] last = new byte[LAST_WORDS];
  private long total;
  private volatile GuestLog log;

  /**
   * Begins to read.
   *
   * @param name of the threads
   * @param streams read to their ends, and closed there
   * @param log until another is given
   * @throws OutOfMemoryError when the host has no thread left
   */
  public GuestOutput(String name, List<InputStream> streams, GuestLog log) {
    this.log = log;
    threads = streams.stream().map(in -> Threads.startPlatform(name, () -> read(in))).toList();
  }

  /** What is read from now on goes there. */
  public void to(GuestLog log) {
    this.log = log;
  }

  private void read(InputStream in) {
    byte[] bytes = new byte[8 << 10];
    try (in) {
      for (int got = in.read(bytes); got >= 0; got = in.read(bytes)) {
        keep(bytes, got);
        log.write(bytes, 0, got);
      }
    } catch (IOException e) {
      // The guest was killed.
    }
  }

  private synchronized void keep(byte[] bytes, int length) {
    for (int i = Math.max(0, length - LAST_WORDS); i < length; i++) {
      last[(int) ((total + i) % LAST_WORDS)] = bytes[i];
    }
    total += length;
  }

  /** The last line that the guest wrote, once it has ended, fit for people; waits for the ends of the streams, 200 ms at most. Empty when there is none. */
  public String lastWords() throws InterruptedException {
    long end = System.nanoTime() + END.toNanos();
    for (Thread thread : threads) {
      thread.join(Duration.ofNanos(Math.max(0, end - System.nanoTime())));
    }
    byte[] bytes;
    synchronized (this) {
      bytes = new byte[(int) Math.min(total, LAST_WORDS)];
      for (int i = 0; i < bytes.length; i++) {
        bytes[i] = last[(int) ((total - bytes.length + i) % LAST_WORDS)];
      }
    }
    String text = new String(bytes, StandardCharsets.UTF_8).stripTrailing();
    return text.substring(text.lastIndexOf('\n') + 1).replaceAll("[\\p{Cntrl}\\p{Cf}\uFFFD]+", " ").strip();
  }
}
