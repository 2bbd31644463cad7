package dev.instar.wasi;

import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.time.Duration;
import java.time.Instant;

/** The time that guests see, in nanoseconds. */
public interface Clocks {
  /** Since 1970. */
  long realtime();

  /** Never goes back, nor does it between sandboxes, or between runs of the node unless the machine's clock was set back. */
  long monotonic();

  /** CPU time of the calling thread. */
  long cpu();

  /** Waits; sooner only by an interrupt. */
  void sleep(long nanos) throws InterruptedException;

  /** Those of the machine. */
  static Clocks system() {
    return SystemClocks.INSTANCE;
  }

  /**
   * A snapshot taken in one sandbox runs on in others: hence one monotonic clock for all, tied to the real time and not to the uptime of the machine.
   */
  enum SystemClocks implements Clocks {
    INSTANCE;

    private final ThreadMXBean threads = ManagementFactory.getThreadMXBean();
    private final long offset = realtime() - System.nanoTime();

    @Override
    public long realtime() {
      Instant now = Instant.now();
      return now.getEpochSecond() * 1_000_000_000L + now.getNano();
    }

    @Override
    public long monotonic() {
      return System.nanoTime() + offset;
    }

    @Override
    public long cpu() {
      return threads.isCurrentThreadCpuTimeSupported() && !Thread.currentThread().isVirtual() ? threads.getCurrentThreadCpuTime() : System.nanoTime();
    }

    @Override
    public void sleep(long nanos) throws InterruptedException {
      Thread.sleep(Duration.ofNanos(nanos));
    }
  }
}
