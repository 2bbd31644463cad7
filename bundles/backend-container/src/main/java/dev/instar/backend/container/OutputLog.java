package dev.instar.backend.container;

import dev.instar.api.Threads;
import dev.instar.api.sandbox.GuestLog;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;

/** Takes what a server in a container writes to its log: to that of the call that runs when it is read. Platform threads, since a read of a pipe holds its carrier. */
final class OutputLog {
  /** What is kept for the detail of a crash, in bytes. */
  private static final int LAST_WORDS = 400;
  private final List<Thread> threads;
  private final byte[] last = new byte[LAST_WORDS];
  private long total;
  private volatile GuestLog log;

  OutputLog(String id, List<InputStream> streams, GuestLog log) {
    this.log = log;
    threads = streams.stream().map(in -> Threads.startPlatform("container-" + id + "-log", () -> read(in))).toList();
  }

  void to(GuestLog log) {
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
      // The container was killed.
    }
  }

  private synchronized void keep(byte[] bytes, int length) {
    for (int i = Math.max(0, length - LAST_WORDS); i < length; i++) {
      last[(int) ((total + i) % LAST_WORDS)] = bytes[i];
    }
    total += length;
  }

  /** The last line that came, once the container has ended; waits a moment for its end. Empty when there is none. */
  String lastWords() throws InterruptedException {
    for (Thread thread : threads) {
      thread.join(Duration.ofMillis(100));
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
