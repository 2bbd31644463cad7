package dev.instar.scheduler;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedDeque;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class PermitsTest {
  private final Permits permits = new Permits(2);
  private final BlockingQueue<String> order = new LinkedBlockingQueue<>();

  private final Map<String, Deque<Permits.Permit>> taken = new ConcurrentHashMap<>();

  /** Takes one for a user, to be given back by {@link #give}. */
  private boolean tryTake(String user) {
    Permits.Permit permit = new Permits.Permit(user);
    return permits.tryTake(permit) && keep(permit);
  }

  private boolean take(String user, long deadline) throws InterruptedException {
    Permits.Permit permit = new Permits.Permit(user);
    return permits.take(permit, deadline) && keep(permit);
  }

  private boolean keep(Permits.Permit permit) {
    taken.computeIfAbsent(permit.user(), u -> new ConcurrentLinkedDeque<>()).add(permit);
    return true;
  }

  private void give(String user) {
    permits.give(taken.get(user).remove());
  }

  private static long soon() {
    return Clock.now() + TimeUnit.SECONDS.toNanos(30);
  }

  /** Starts a thread that waits for a permit, and returns when it does. */
  private Thread waits(String user, String name) throws InterruptedException {
    Thread thread = Thread.ofPlatform().start(() -> {
      try {
        if (take(user, soon())) {
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
    assertTrue(tryTake("a"));
    assertTrue(tryTake("a"));
    assertFalse(tryTake("a"));
    assertFalse(take("a", Clock.now() + 1_000_000));
    give("a");
    assertTrue(tryTake("a"));
  }

  @Test
  void oneWhoseCallsNeverEndDoesNotShutOthersOut() {
    tryTake("evil");
    tryTake("evil");
    assertTrue(tryTake("b"));
    assertFalse(tryTake("b"), "the reserve is for users without a running call");
    assertTrue(tryTake("c"));
    assertFalse(tryTake("d"), "the reserve is as large as what is common");
    give("c");
    assertTrue(tryTake("d"));
  }

  @Test
  void waitingUsersTakeTurns() throws Exception {
    List<Thread> threads = new ArrayList<>();
    assertTrue(tryTake("x") && tryTake("x") && tryTake("y"));
    threads.add(waits("x", "x1"));
    threads.add(waits("x", "x2"));
    threads.add(waits("y", "y1"));
    // Three are taken of two and the reserve: one that is given back goes to nobody, as x and y both hold one; the next does.
    give("x");
    assertEquals(0, permits.free());
    give("x");
    assertEquals("x1", order.poll(10, TimeUnit.SECONDS));
    give("y");
    assertEquals("y1", order.poll(10, TimeUnit.SECONDS), "it was y's turn");
    give("y");
    assertEquals("x2", order.poll(10, TimeUnit.SECONDS));
    for (Thread thread : threads) {
      thread.join();
    }
  }

  @Test
  void aLongCallGivesItsCommonPermitToOthersButItsUserNoMore() throws Exception {
    assertTrue(tryTake("evil") && tryTake("evil") && tryTake("b"));
    Thread waiter = waits("b", "b2");
    Permits.Permit endless = taken.get("evil").peekFirst();
    assertTrue(permits.demote(endless));
    assertFalse(permits.demote(endless), "once");
    assertTrue(permits.demote(taken.get("evil").peekLast()));
    assertEquals("b2", order.poll(10, TimeUnit.SECONDS));
    waiter.join();
    assertEquals(0, permits.free());
    assertEquals(2, permits.inBackground());
    assertFalse(tryTake("evil"), "no user has more permits than are common, of whatever kind");
    give("b");
    assertFalse(tryTake("evil"));
    give("evil");
    assertTrue(tryTake("evil"));
    assertEquals(1, permits.inBackground());
  }

  @Test
  void theRoomInTheBackgroundIsBounded() {
    for (int user = 0; user < Permits.BACKGROUND; user++) {
      assertTrue(tryTake("u" + user) && tryTake("u" + user));
      taken.get("u" + user).forEach(permit -> assertTrue(permits.demote(permit)));
    }
    assertTrue(tryTake("more"));
    assertFalse(permits.demote(taken.get("more").peek()), "its permit stays a common one");
    give("u0");
    assertTrue(permits.demote(taken.get("more").peek()));
    assertTrue(permits.usersInBackground().contains("more"));
  }

  @Test
  void heavyUsersHaveThePermitsOfTheBackgroundAndTakeTurns() throws Exception {
    permits.judge(Set.of("burst", "flood"));
    assertTrue(tryTake("burst") && tryTake("burst") && !tryTake("burst"));
    assertEquals(Set.of("burst"), permits.usersInBackground());
    assertEquals(2, permits.free());
    assertEquals(2, permits.inBackground());
    assertTrue(tryTake("light") && tryTake("light"));
    assertTrue(tryTake("flood"));
    assertTrue(tryTake("other") && tryTake("another"), "the reserve");
    Thread waiter = waits("burst", "burst");
    give("burst");
    assertEquals("burst", order.poll(10, TimeUnit.SECONDS), "although nothing common is free");
    waiter.join();
    permits.judge(Set.of());
    give("burst");
    assertFalse(tryTake("burst"), "it is a user like others again");
    assertEquals(2, permits.inBackground());
    assertEquals(Set.of("burst", "flood"), permits.usersInBackground());
    give("burst");
    assertEquals(Set.of("flood"), permits.usersInBackground());
  }

  @Test
  void itTellsHowManyBeganSinceTheLastTime() {
    assertTrue(tryTake("a") && tryTake("a") && tryTake("b"));
    give("b");
    assertEquals(Map.of("a", 2), permits.begun(), "nobody had counted, so who holds none was forgotten");
    assertEquals(Map.of(), permits.begun());
    give("a");
    assertTrue(tryTake("b"));
    give("b");
    assertEquals(Map.of("b", 1), permits.begun());
    give("a");
    assertEquals(Map.of(), permits.begun());
    assertTrue(tryTake("a") && tryTake("a") && !tryTake("a"));
  }

  @Test
  void anInterruptedWaiterLeavesNothing() throws Exception {
    tryTake("a");
    tryTake("a");
    Thread waiter = waits("a", "w");
    waiter.interrupt();
    assertEquals("interrupted w", order.poll(10, TimeUnit.SECONDS));
    waiter.join();
    give("a");
    give("a");
    assertEquals(2, permits.free());
    Thread.currentThread().interrupt();
    assertTrue(tryTake("a"));
    assertTrue(tryTake("a"));
    assertThrows(InterruptedException.class, () -> take("a", soon()));
  }

  @Test
  void moreBecomeFreeWhenThereAreMore() throws Exception {
    tryTake("a");
    tryTake("a");
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
            if (mayWait ? take(user, Clock.now() + random.nextInt(2_000_000)) : tryTake(user)) {
              most.accumulateAndGet(running.incrementAndGet(), Math::max);
              Thread.yield();
              running.decrementAndGet();
              give(user);
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
    assertTrue(tryTake("x") && tryTake("x") && !tryTake("x"));
  }
}
