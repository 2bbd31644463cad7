package dev.instar.launcher.cli;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/** Says on standard error what is being done once it takes over a second, and that it still is every ten. */
final class Progress implements AutoCloseable {
  private final CountDownLatch done = new CountDownLatch(1);

  private Progress(String what) {
    Thread.ofVirtual().start(() -> {
      try {
        if (done.await(1, TimeUnit.SECONDS)) {
          return;
        }
        System.err.println(what + " ...");
        for (int seconds = 10; !done.await(seconds == 10 ? 9 : 10, TimeUnit.SECONDS); seconds += 10) {
          System.err.println(what + " ... " + seconds + " s");
        }
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    });
  }

  static Progress of(String what) {
    return new Progress(what);
  }

  @Override
  public void close() {
    done.countDown();
  }
}
