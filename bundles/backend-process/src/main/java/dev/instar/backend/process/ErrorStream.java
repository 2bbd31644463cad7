package dev.instar.backend.process;

import dev.instar.api.Threads;
import dev.instar.api.sandbox.GuestLog;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;

/**
 * Takes a process's standard error to the log of the call that runs when it is read: a program that wants its words with the right call for certain
 * sends LOG frames. A platform thread, as the guest connection has for the other streams and for the same reason.
 */
final class ErrorStream {
  /** What is kept for the detail of a crash, in bytes. */
  private static final int LAST_WORDS = 400;
  private final InputStream in;
  private final Thread thread;
  private final byte[] last = new byte[LAST_WORDS];
  private long total;
  private volatile GuestLog log;

  ErrorStream(String name, InputStream in, GuestLog log) {
    this.in = in;
    this.log = log;
    thread = Threads.startPlatform("guest-err-" + name, this::read);
  }

  void to(GuestLog log) {
    this.log = log;
  }

  private void read() {
    byte[] bytes = new byte[8 << 10];
    try (in) {
      for (int got = in.read(bytes); got >= 0; got = in.read(bytes)) {
        keep(bytes, got);
        log.write(bytes, 0, got);
      }
    } catch (IOException e) {
      // The process was killed.
    }
  }

  private synchronized void keep(byte[] bytes, int length) {
    for (int i = Math.max(0, length - LAST_WORDS); i < length; i++) {
      last[(int) ((total + i) % LAST_WORDS)] = bytes[i];
    }
    total += length;
  }

  /** The last line that the process wrote, once it has ended; waits a moment for its end. Empty when there is none. */
  String lastWords() throws InterruptedException {
    thread.join(Duration.ofMillis(200));
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
