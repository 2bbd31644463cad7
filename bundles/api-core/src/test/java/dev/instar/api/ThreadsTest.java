package dev.instar.api;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.ref.Reference;
import java.lang.ref.WeakReference;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.function.Function;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(120)
class ThreadsTest {
  private static final long STACK = 256 << 10;

  /** Stands for a bundle: its work leads to it. */
  private static final class Work implements Runnable {
    private final CountDownLatch begun = new CountDownLatch(1);
    private final CountDownLatch goOn = new CountDownLatch(1);

    @Override
    public void run() {
      begun.countDown();
      try {
        goOn.await();
      } catch (InterruptedException e) {
        throw new IllegalStateException(e);
      }
    }
  }

  @Test
  void aThreadThatHasEndedLeadsToNothing() throws InterruptedException {
    endsAlone(work -> Threads.platform("some", work));
    endsAlone(work -> Threads.platform("some", STACK, work));
    endsAlone(work -> Threads.virtual("some", work));
  }

  private static void endsAlone(Function<Runnable, Thread> threads) throws InterruptedException {
    Work work = new Work();
    WeakReference<Work> left = new WeakReference<>(work);
    Thread thread = threads.apply(work);
    assertEquals("some", thread.getName());
    assertTrue(thread.isDaemon());
    thread.start();
    work.begun.await();
    work.goOn.countDown();
    thread.join();
    work = null;
    for (long end = System.nanoTime() + Duration.ofSeconds(30).toNanos(); left.get() != null && System.nanoTime() < end;) {
      System.gc();
      Thread.sleep(10);
    }
    assertTrue(left.refersTo(null), "the work of " + thread);
    Reference.reachabilityFence(thread);
  }

  @Test
  void whatIsStartedRuns() throws InterruptedException {
    for (Function<Runnable, Thread> start : List.<Function<Runnable, Thread>>of(w -> Threads.startPlatform("some", w), w -> Threads.startVirtual("some", w))) {
      CountDownLatch ran = new CountDownLatch(1);
      start.apply(ran::countDown).join();
      assertEquals(0, ran.getCount());
    }
  }
}
