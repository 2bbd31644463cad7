package dev.instar.wasi;

import com.sun.management.UnixOperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.util.concurrent.Semaphore;

/**
 * The host's descriptors that guests have open: each file of an image that is read, and each store of written blocks that went to disk, takes
 * one. At most half of what the process may have, so that guests who open all that they may leave the node its sockets and files.
 */
final class HostFiles {
  /** Where the host tells no limit: what Linux gives a process by default. */
  private static final long USUAL = 1024;
  static final HostFiles OF_PROCESS = new HostFiles((int) Math.min(Integer.MAX_VALUE, ofProcess() / 2));

  private final Semaphore left;

  HostFiles(int max) {
    left = new Semaphore(max);
  }

  private static long ofProcess() {
    return ManagementFactory.getOperatingSystemMXBean() instanceof UnixOperatingSystemMXBean unix && unix.getMaxFileDescriptorCount() > 0
        ? unix.getMaxFileDescriptorCount() : USUAL;
  }

  /** Before one is opened. */
  void take() throws ErrnoException {
    if (!left.tryAcquire()) {
      throw Shortage.NODE.failure();
    }
  }

  /** After it was closed. */
  void give() {
    left.release();
  }

  int left() {
    return left.availablePermits();
  }
}
