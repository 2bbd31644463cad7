package dev.instar.scheduler;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class PermitsTest {
  private final Permits permits = new Permits(2);
  private final BlockingQueue<String> order = new LinkedBlockingQueue<>();

  private static long soon() {
    return Clock.now() + TimeUnit.SECONDS.toNanos(30);
  }

  /** Starts a thread that waits for a permit, and returns when it does. */
  private Thread waits(String user, String name) throws InterruptedException {
    Thread thread = Thread.ofPlatform().start(() -> {
      try {
        if (permits.take(user, soon())) {
          order.add(name);
        }
      } catch (InterruptedException e) {
        order.add("interrupted " + name);
      }
    });
    while (thread.getState() != Thread.State.TIMED_WAITING && thread.isAlive()) {
      Thread.sleep(1);
    }
    return thread;
  }

  @Test
  void aUserAloneHasTheCommonPermitsAndNoMore() throws Exception {
    assertTrue(permits.tryTake("a"));
    assertTrue(permits.tryTake("a"));
    assertFalse(permits.tryTake("a"));
    assertFalse(permits.take("a", Clock.now() + 1_000_000));
    permits.give("a");
    assertTrue(permits.tryTake("a"));
  }

  @Test
  void oneWhoseCallsNeverEndDoesNotShutOthersOut() {
    permits.tryTake("evil");
    permits.tryTake("evil");
    assertTrue(permits.tryTake("b"));
    assertFalse(permits.tryTake("b"), "the reserve is for users without a running call");
    assertTrue(permits.tryTake("c"));
    assertFalse(permits.tryTake("d"), "the reserve is as large as what is common");
    permits.give("c");
    assertTrue(permits.tryTake("d"));
  }

  @Test
  void waitingUsersTakeTurns() throws Exception {
    List<Thread> threads = new ArrayList<>();
    assertTrue(permits.tryTake("x") && permits.tryTake("x") && permits.tryTake("y"));
    threads.add(waits("x", "x1"));
    threads.add(waits("x", "x2"));
    threads.add(waits("y", "y1"));
    // Three are taken of two and the reserve: one that is given back goes to nobody, as x and y both hold one; the next does.
    permits.give("x");
    assertEquals(0, permits.free());
    permits.give("x");
    assertEquals("x1", order.poll(10, TimeUnit.SECONDS));
    permits.give("y");
    assertEquals("y1", order.poll(10, TimeUnit.SECONDS), "it was y's turn");
    permits.give("y");
    assertEquals("x2", order.poll(10, TimeUnit.SECONDS));
    for (Thread thread : threads) {
      thread.join();
    }
  }

  @Test
  void anInterruptedWaiterLeavesNothing() throws Exception {
    permits.tryTake("a");
    permits.tryTake("a");
    Thread waiter = waits("a", "w");
    waiter.interrupt();
    assertEquals("interrupted w", order.poll(10, TimeUnit.SECONDS));
    waiter.join();
    permits.give("a");
    permits.give("a");
    assertEquals(2, permits.free());
    Thread.currentThread().interrupt();
    assertTrue(permits.tryTake("a"));
    assertTrue(permits.tryTake("a"));
    assertThrows(InterruptedException.class, () -> permits.take("a", soon()));
  }

  @Test
  void moreBecomeFreeWhenThereAreMore() throws Exception {
    permits.tryTake("a");
    permits.tryTake("a");
    Thread waiter = waits("a", "w");
    permits.resize(3);
    assertEquals("w", order.poll(10, TimeUnit.SECONDS));
    waiter.join();
  }

  @Test
  void noneIsLostInDisorder() throws Exception {
    AtomicInteger running = new AtomicInteger();
    AtomicInteger most = new AtomicInteger();
    List<Thread> threads = new ArrayList<>();
    for (int i = 0; i < 24; i++) {
      int seed = i;
      threads.add(Thread.ofVirtual().start(() -> {
        Random random = new Random(seed);
        for (int n = 0; n < 400; n++) {
          String user = "u" + random.nextInt(5);
          boolean mayWait = random.nextBoolean();
          try {
            if (mayWait ? permits.take(user, Clock.now() + random.nextInt(2_000_000)) : permits.tryTake(user)) {
              most.accumulateAndGet(running.incrementAndGet(), Math::max);
              Thread.yield();
              running.decrementAndGet();
              permits.give(user);
            }
          } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
          }
        }
      }));
    }
    for (Thread thread : threads) {
      thread.join();
    }
    assertEquals(2, permits.free());
    assertTrue(most.get() <= 4, () -> most + " ran at once");
    assertTrue(permits.tryTake("x") && permits.tryTake("x") && !permits.tryTake("x"));
  }
}
