package dev.instar.scheduler;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.invocation.Outcome;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Calls that move from one generation of a backend to the next. */
@Timeout(60)
class SuccessionTest {
  private static final int CALLERS = 2;
  private static final int SWAPS = 10;

  @Test
  void theShareGrowsFromLittleToAll() {
    Succession succession = new Succession(null, 1000, 600);
    assertEquals(1 / 64.0, succession.share(1000), 1e-9);
    assertEquals(1 / 32.0, succession.share(1100), 1e-9);
    assertEquals(0.5, succession.share(1500), 1e-9);
    assertEquals(1, succession.share(1600));
    assertEquals(1, succession.share(9999));
    assertEquals(1600, succession.end());
  }

  @Test
  void theOldOneGoesOnForAWhileUnderLoadAndEveryCallIsAnswered() throws Exception {
    AtomicBoolean over = new AtomicBoolean();
    ScriptedBackend now = ScriptedBackend.inProcess();
    try (Node node = new Node(Node.settings("ramp", Duration.ofSeconds(2)), now); ExecutorService callers = Executors.newVirtualThreadPerTaskExecutor()) {
      node.deploy("demo/f", Node.limits(CALLERS));
      List<Future<?>> running = new ArrayList<>();
      for (int i = 0; i < CALLERS; i++) {
        running.add(callers.submit(() -> {
          while (!over.get()) {
            assertInstanceOf(Outcome.Completed.class, node.invoke("demo/f"));
          }
          return null;
        }));
      }
      boolean both = false;
      try {
        // A machine that stands still for the time of a swap gives the callers no chance in it.
        for (int i = 0; i < SWAPS && !both; i++) {
          ScriptedBackend old = now;
          ScriptedBackend next = ScriptedBackend.inProcess();
          int[] first = {-1};
          next.script("f", (sandbox, call) -> {
            synchronized (first) {
              first[0] = first[0] < 0 ? old.used.size() : first[0];
            }
          });
          node.bind(next, 0);
          synchronized (first) {
            // More than were in flight.
            both = first[0] >= 0 && old.used.size() > first[0] + CALLERS;
          }
          node.unbind(old);
          now = next;
        }
      } finally {
        over.set(true);
      }
      for (Future<?> caller : running) {
        caller.get();
      }
      assertTrue(both, "in none of " + SWAPS + " swaps the old one went on when the new one had begun");
    }
  }

  /** Within the time of the ramp, which is longer than that of a test. */
  @Test
  @Timeout(20)
  void whoHasNoCallsToMoveDoesNotWait() throws Exception {
    ScriptedBackend first = ScriptedBackend.inProcess();
    ScriptedBackend second = ScriptedBackend.inProcess();
    try (Node node = new Node(Node.settings("ramp", Duration.ofSeconds(30)), first)) {
      node.deploy("demo/f", Node.limits(1));
      assertInstanceOf(Outcome.Completed.class, node.invoke("demo/f"));
      node.bind(second, 0);
      assertInstanceOf(Outcome.Completed.class, node.invoke("demo/f"));
      assertEquals(1, first.used.size());
      assertEquals(1, second.used.size());
    }
  }
}
