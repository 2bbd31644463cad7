package dev.instar.backend.wasm.compile;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
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
class TurnsTest {
  private final Turns turns = new Turns(1);
  private final BlockingQueue<String> order = new LinkedBlockingQueue<>();

  private static long in(long millis) {
    return System.nanoTime() + millis * 1_000_000;
  }

  private Thread waits(String user) throws InterruptedException {
    Thread thread = Thread.ofPlatform().start(() -> {
      try {
        if (turns.take(user, in(30_000))) {
          order.add(user);
        }
      } catch (InterruptedException e) {
        order.add("interrupted " + user);
      }
    });
    while (thread.getState() != Thread.State.TIMED_WAITING && thread.isAlive()) {
      Thread.sleep(1);
    }
    return thread;
  }

  @Test
  void whoHasNoneHasAPlaceInReserve() throws InterruptedException {
    assertTrue(turns.take("a", in(0)));
    assertFalse(turns.take("a", in(20)), "the reserve is for others");
    assertTrue(turns.take("b", in(0)));
    assertFalse(turns.take("c", in(20)));
    turns.give("b");
    assertTrue(turns.take("c", in(0)));
    turns.resize(2);
    assertFalse(turns.take("a", in(20)), "two are taken");
    assertTrue(turns.take("d", in(0)));
  }

  @Test
  void usersTakeTurns() throws InterruptedException {
    assertTrue(turns.take("x", in(0)));
    assertTrue(turns.take("y", in(0)));
    List<Thread> threads = new ArrayList<>();
    for (String user : List.of("a", "a", "a", "b")) {
      threads.add(waits(user));
    }
    turns.give("y");
    assertEquals("a", order.poll(10, TimeUnit.SECONDS));
    turns.give("a");
    assertEquals("b", order.poll(10, TimeUnit.SECONDS));
    turns.give("b");
    assertEquals("a", order.poll(10, TimeUnit.SECONDS));
    threads.get(0).interrupt();
    threads.get(1).interrupt();
    threads.get(2).interrupt();
    assertEquals("interrupted a", order.poll(10, TimeUnit.SECONDS));
    turns.give("a");
    turns.give("x");
    assertEquals(0, turns.taken());
    assertTrue(turns.take("a", in(0)));
    assertNull(order.poll());
  }

  @Test
  void noPlaceIsLostOrGivenTwice() throws InterruptedException {
    turns.resize(2);
    AtomicInteger held = new AtomicInteger();
    AtomicInteger most = new AtomicInteger();
    List<Thread> threads = new ArrayList<>();
    for (int i = 0; i < 8; i++) {
      Random random = new Random(i);
      threads.add(Thread.ofPlatform().start(() -> {
        try {
          for (int n = 0; n < 200; n++) {
            String user = "u" + random.nextInt(4);
            if (turns.take(user, in(random.nextInt(4)))) {
              most.accumulateAndGet(held.incrementAndGet(), Math::max);
              Thread.sleep(0, 100_000);
              held.decrementAndGet();
              turns.give(user);
            }
          }
        } catch (InterruptedException e) {
          throw new AssertionError(e);
        }
      }));
    }
    for (Thread thread : threads) {
      thread.join();
    }
    assertEquals(0, turns.taken());
    assertTrue(most.get() <= 4, "held at once: " + most.get());
  }
}
