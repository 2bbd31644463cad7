package dev.instar.scheduler;

import static dev.instar.scheduler.Node.eventually;
import static dev.instar.scheduler.Node.settings;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class InProcessThreadsTest {
  private final InProcessThreads threads = new InProcessThreads(settings("inProcessThreads", 1));
  private final BlockingQueue<String> order = new LinkedBlockingQueue<>();

  private InProcessThreads.Work work(String user, Runnable action) {
    return threads.new Work(user, 1) {
      @Override
      void run() {
        action.run();
      }

      @Override
      void after() {}

      @Override
      void cannotRun() {
        order.add("no thread");
      }
    };
  }

  @AfterEach
  void leavesNoThread() {
    threads.close();
    assertEquals(1, threads.free());
    eventually("threads ended", () -> Thread.getAllStackTraces().keySet().stream().noneMatch(t -> t.getName().startsWith("instar-in-process-")));
  }

  @Test
  void whatWaitsIsRunByTheThreadThatEndsACall() throws Exception {
    CountDownLatch go = new CountDownLatch(1);
    assertTrue(threads.tryStart(work("a", () -> {
      order.add(Thread.currentThread().getName());
      await(go);
    })));
    String first = order.poll(10, TimeUnit.SECONDS);
    assertFalse(threads.tryStart(work("a", () -> order.add("too soon"))));
    for (int i = 0; i < 3; i++) {
      threads.start(work("a", () -> order.add(Thread.currentThread().getName())));
    }
    go.countDown();
    for (int i = 0; i < 3; i++) {
      assertEquals(first, order.poll(10, TimeUnit.SECONDS));
    }
  }

  @Test
  void whatIsWithdrawnNeverRuns() throws Exception {
    CountDownLatch go = new CountDownLatch(1);
    assertTrue(threads.tryStart(work("a", () -> await(go))));
    InProcessThreads.Work gone = work("a", () -> order.add("withdrawn"));
    threads.start(gone);
    threads.start(work("a", () -> order.add("stayed")));
    assertTrue(threads.withdraw(gone));
    assertFalse(threads.withdraw(gone));
    go.countDown();
    assertEquals("stayed", order.poll(10, TimeUnit.SECONDS));
    assertTrue(order.isEmpty());
  }

  @Test
  void anInterruptThatComesTooLateDoesNotMeetTheNextCall() throws Exception {
    CountDownLatch go = new CountDownLatch(1);
    threads.start(work("a", () -> {
      await(go);
      Thread.currentThread().interrupt();
    }));
    threads.start(work("a", () -> order.add(Thread.interrupted() ? "interrupted" : "clean")));
    go.countDown();
    assertEquals("clean", order.poll(10, TimeUnit.SECONDS));
  }

  @Test
  void everyWorkRunsOnceInDisorder() throws Exception {
    AtomicInteger ran = new AtomicInteger();
    AtomicInteger now = new AtomicInteger();
    AtomicInteger most = new AtomicInteger();
    AtomicInteger withdrawn = new AtomicInteger();
    List<Thread> callers = new ArrayList<>();
    for (int i = 0; i < 16; i++) {
      int seed = i;
      callers.add(Thread.ofVirtual().start(() -> {
        Random random = new Random(seed);
        for (int n = 0; n < 500; n++) {
          InProcessThreads.Work work = work("u" + random.nextInt(4), () -> {
            most.accumulateAndGet(now.incrementAndGet(), Math::max);
            ran.incrementAndGet();
            now.decrementAndGet();
          });
          if (!threads.tryStart(work)) {
            threads.start(work);
            if (random.nextInt(4) == 0 && threads.withdraw(work)) {
              withdrawn.incrementAndGet();
            }
          }
        }
      }));
    }
    for (Thread caller : callers) {
      caller.join();
    }
    eventually("all ran", () -> ran.get() + withdrawn.get() == 8000);
    assertTrue(most.get() <= 2, () -> most + " ran at once, of one and a reserve of one");
  }

  private static void await(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
