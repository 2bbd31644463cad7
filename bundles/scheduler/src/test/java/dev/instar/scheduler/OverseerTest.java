package dev.instar.scheduler;

import static dev.instar.scheduler.Node.async;
import static dev.instar.scheduler.Node.allCompleted;
import static dev.instar.scheduler.Node.completed;
import static dev.instar.scheduler.Node.eventually;
import static dev.instar.scheduler.Node.failed;
import static dev.instar.scheduler.Node.limits;
import static dev.instar.scheduler.Node.settings;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.invocation.Outcome;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** That who takes much, or waits, leaves others their place. */
@Timeout(60)
class OverseerTest {
  private static final int SCHED_OTHER = 0;
  private static final int SCHED_IDLE = 5;

  private final ScriptedBackend backend = ScriptedBackend.inProcess();
  private final CountDownLatch go = new CountDownLatch(1);

  /** The policy of this thread as the kernel tells it: field 41 of proc_pid_stat(5). */
  private static int policy() throws IOException {
    String stat = Files.readString(Path.of("/proc/thread-self/stat"));
    return Integer.parseInt(stat.substring(stat.lastIndexOf(')') + 2).split(" ")[38]);
  }

  /** Takes a processor until the latch opens or the sandbox is killed. */
  private static void spin(ScriptedBackend.ScriptedSandbox sandbox, CountDownLatch until) {
    while (until.getCount() > 0) {
      if (sandbox.killed.getCount() == 0) {
        throw new InstarException(ErrorCode.TIMED_OUT, "killed");
      }
    }
  }

  private static void needsBackground() {
    assumeTrue(LinuxThreads.ofHost().isPresent(), "the host has no threads of SCHED_IDLE");
  }

  @Test
  void anEndlessLoopGoesOnInTheBackgroundAndItsThreadServesNobodyElse() throws Exception {
    needsBackground();
    Set<Integer> policies = ConcurrentHashMap.newKeySet();
    backend.script("loop", (sandbox, call) -> {
      while (policy() == SCHED_OTHER && sandbox.killed.getCount() > 0) {
        Thread.onSpinWait();
      }
      policies.add(policy());
      spin(sandbox, go);
    });
    Set<Integer> after = ConcurrentHashMap.newKeySet();
    backend.script("quick", (sandbox, call) -> after.add(policy()));
    Set<Integer> resetting = ConcurrentHashMap.newKeySet();
    backend.onReset = () -> {
      try {
        resetting.add(policy());
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    };
    try (Node node = new Node(settings("inProcessThreads", 1), backend)) {
      node.deploy("evil/loop", limits(4));
      node.deploy("good/quick", limits(4));
      CompletableFuture<Outcome> loop = node.start("evil/loop");
      eventually("in the background", () -> node.scheduler.threads().inBackground() == 1);
      assertEquals(1, node.scheduler.threads().free(), "its common permit is back");
      completed(node.invoke("good/quick"));
      CompletableFuture<Outcome> second = node.start("evil/loop");
      eventually("waits, as its user has as many permits as one may", () -> node.waiting() == 1);
      go.countDown();
      completed(loop.get());
      completed(second.get());
      for (int i = 0; i < 20; i++) {
        completed(node.invoke("good/quick"));
      }
      assertEquals(Set.of(SCHED_IDLE), policies);
      assertEquals(Set.of(SCHED_OTHER), after);
      assertEquals(Set.of(SCHED_OTHER), resetting, "who may be kept from running holds no locks of the node");
      eventually("nothing is left there", () -> node.scheduler.threads().inBackground() == 0);
    }
  }

  @Test
  void anEndlessLoopInTheBackgroundIsEndedAtItsTimeOut() throws Exception {
    needsBackground();
    backend.script("loop", (sandbox, call) -> spin(sandbox, go));
    try (Node node = new Node(settings("inProcessThreads", 2), backend)) {
      node.deploy("evil/loop", limits(4, Duration.ofMillis(400)));
      List<CompletableFuture<Outcome>> calls = new ArrayList<>();
      for (int i = 0; i < 6; i++) {
        calls.add(node.start("evil/loop"));
      }
      for (CompletableFuture<Outcome> call : calls) {
        failed(ErrorCode.TIMED_OUT, call.get());
      }
    }
  }

  @Test
  void aLoopThatHasSleptInBetweenIsInTheBackgroundAgain() throws Exception {
    needsBackground();
    CountDownLatch slept = new CountDownLatch(1);
    CountDownLatch goesOn = new CountDownLatch(1);
    backend.script("loop", (sandbox, call) -> {
      while (policy() == SCHED_OTHER && sandbox.killed.getCount() > 0) {
        Thread.onSpinWait();
      }
      call.waits().during(() -> sandbox.await(slept));
      goesOn.countDown();
      spin(sandbox, go);
    });
    try (Node node = new Node(settings("inProcessThreads", 1), backend)) {
      node.deploy("evil/loop", limits(4));
      CompletableFuture<Outcome> loop = node.start("evil/loop");
      eventually("asleep", () -> node.scheduler.threads().parkedCount() == 1);
      assertEquals(0, node.scheduler.threads().inBackground());
      slept.countDown();
      goesOn.await();
      eventually("in the background again", () -> node.scheduler.threads().inBackground() == 1);
      assertEquals(1, node.scheduler.threads().free(), "its common permit is back");
      go.countDown();
      completed(loop.get());
    }
  }

  @Test
  void theBurstOfAUserRunsInTheBackgroundWhileOthersHaveCalls() throws Exception {
    needsBackground();
    Set<Integer> policies = ConcurrentHashMap.newKeySet();
    AtomicInteger ordinary = new AtomicInteger();
    AtomicInteger low = new AtomicInteger();
    // Short calls, none of which is long in itself.
    backend.script("burst", (sandbox, call) -> {
      policies.add(policy());
      for (long end = System.nanoTime() + 4_000_000; System.nanoTime() < end;) {
        Thread.onSpinWait();
      }
    });
    backend.script("quick", (sandbox, call) -> {
      (policy() == SCHED_OTHER ? ordinary : low).incrementAndGet();
      for (long end = System.nanoTime() + 200_000; System.nanoTime() < end;) {
        Thread.onSpinWait();
      }
    });
    int processors = Runtime.getRuntime().availableProcessors();
    try (Node node = new Node(settings("inProcessThreads", processors), backend)) {
      node.deploy("evil/burst", limits(64));
      node.deploy("good/quick", limits(4));
      List<CompletableFuture<Void>> callers = new ArrayList<>();
      for (int i = 0; i < 4 * processors; i++) {
        callers.add(async(() -> {
          while (go.getCount() > 0) {
            completed(node.invoke("evil/burst"));
          }
          return null;
        }));
      }
      long end = System.nanoTime() + 20_000_000_000L;
      while (!policies.contains(SCHED_IDLE) && System.nanoTime() < end) {
        completed(node.invoke("good/quick"));
      }
      go.countDown();
      for (CompletableFuture<Void> caller : callers) {
        caller.get();
      }
      assertTrue(policies.contains(SCHED_IDLE), policies::toString);
      assertTrue(ordinary.get() > low.get(), () -> "of the short calls " + low + " in the background, and " + ordinary + " not");
      eventually("nobody is heavy for long", () -> node.scheduler.threads().heavy().isEmpty());
    }
  }

  @Test
  void sleepersLeaveTheirPlacesToOthers() throws Exception {
    backend.script("sleep", (sandbox, call) -> call.waits().during(() -> sandbox.await(go)));
    try (Node node = new Node(settings("inProcessThreads", 2, "inProcessWaiting", 16), backend)) {
      node.deploy("evil/sleep", limits(8));
      node.deploy("good/quick", limits(4));
      node.deploy("evil/quick", limits(4));
      List<CompletableFuture<Outcome>> sleepers = new ArrayList<>();
      for (int i = 0; i < 8; i++) {
        sleepers.add(node.start("evil/sleep"));
      }
      eventually("all sleep", () -> node.scheduler.threads().parkedCount() == 8);
      assertEquals(2, node.scheduler.threads().free());
      completed(node.invoke("good/quick"));
      completed(node.invoke("evil/quick"));
      go.countDown();
      allCompleted(sleepers);
    }
  }

  @Test
  void oneUsersSleepersTakeHalfOfTheRoomToWaitInAtMost() throws Exception {
    backend.script("sleep", (sandbox, call) -> call.waits().during(() -> sandbox.await(go)));
    try (Node node = new Node(settings("inProcessThreads", 2, "inProcessWaiting", 4), backend)) {
      node.deploy("evil/sleep", limits(8));
      node.deploy("good/sleep", limits(8));
      List<CompletableFuture<Outcome>> sleepers = new ArrayList<>();
      for (int i = 0; i < 4; i++) {
        sleepers.add(node.start("evil/sleep"));
      }
      eventually("two have their permits still", () -> backend.running.get() == 4);
      assertEquals(2, node.scheduler.threads().parkedCount());
      sleepers.add(node.start("good/sleep"));
      eventually("another user's call parks", () -> node.scheduler.threads().parkedCount() == 3);
      go.countDown();
      allCompleted(sleepers);
    }
  }

  @Test
  void aSleeperIsEndedAtItsTimeOut() throws Exception {
    backend.script("sleep", (sandbox, call) -> call.waits().during(() -> sandbox.await(go)));
    try (Node node = new Node(settings("inProcessThreads", 1), backend)) {
      node.deploy("evil/sleep", limits(8, Duration.ofMillis(100)));
      failed(ErrorCode.TIMED_OUT, node.invoke("evil/sleep"));
      eventually("woken", () -> node.scheduler.threads().parkedCount() == 0);
    }
  }
}
