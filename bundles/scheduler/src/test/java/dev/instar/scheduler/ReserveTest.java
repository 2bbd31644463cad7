package dev.instar.scheduler;

import static dev.instar.scheduler.Node.completed;
import static dev.instar.scheduler.Node.eventually;
import static dev.instar.scheduler.Node.settings;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.invocation.Outcome;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Sandboxes that are started before they are called. Each function's limit of memory is 1 MiB here. */
@Timeout(60)
class ReserveTest {
  private final ScriptedBackend backend = ScriptedBackend.remote();

  private static Settings with(Object... changes) {
    Object[] all = new Object[changes.length + 2];
    all[0] = "idleReplaced";
    all[1] = Duration.ofMillis(20);
    System.arraycopy(changes, 0, all, 2, changes.length);
    return settings(all);
  }

  private void idle(Node node, int many) {
    eventually(many + " are idle", () -> node.scheduler.desk().idle() == many && node.scheduler.desk().units() == many);
  }

  @Test
  void theLabelsNumberIsThereBeforeTheFirstCall() throws Exception {
    try (Node node = new Node(backend)) {
      node.scheduler.prepare(node.deployReady("u/f", 2, 8));
      idle(node, 2);
      assertFalse(completed(node.invoke("u/f")).cold());
      assertEquals("2", node.scheduler.describe(node.functions.values().iterator().next().version(1).orElseThrow()).get("ready"));
    }
  }

  @Test
  void whatIsTakenIsFilledUpWhileItIsBusy() throws Exception {
    CountDownLatch go = backend.hold("f");
    try (Node node = new Node(with(), backend)) {
      node.scheduler.prepare(node.deployReady("u/f", 2, 8));
      idle(node, 2);
      List<CompletableFuture<Outcome>> calls = new ArrayList<>();
      for (int i = 1; i <= 3; i++) {
        int busy = i;
        calls.add(node.start("u/f"));
        eventually("filled up", () -> backend.running.get() == busy && node.scheduler.desk().idle() == 2);
      }
      go.countDown();
      Node.allCompleted(calls);
      assertEquals(5, backend.starts.get());
    }
  }

  @Test
  void afterAStartOfTheNodeTheyAreThereAgain() throws Exception {
    try (Node node = new Node(backend)) {
      node.deployReady("u/f", 1, 8);
      node.deploy("u/g", Node.limits(8));
      node.scheduler.started();
      idle(node, 1);
      assertEquals(1, backend.prepares.get());
    }
  }

  @Test
  void theyDoNotExpireAndAreReplacedWhenTheyWereTaken() throws Exception {
    try (Node node = new Node(with("idle", Duration.ofMillis(10)), backend)) {
      node.scheduler.prepare(node.deployReady("u/f", 1, 8));
      node.deploy("u/g", Node.limits(8));
      idle(node, 1);
      for (int i = 0; i < 5; i++) {
        completed(node.invoke("u/g"));
        eventually("the other expires", () -> node.scheduler.desk().units() == 1);
      }
      assertEquals(6, backend.starts.get());
      backend.script("f", (sandbox, call) -> sandbox.dead = true);
      completed(node.invoke("u/f"));
      idle(node, 1);
    }
  }

  @Test
  void whoseSandboxesTakeOneCallHasAsManyAsItsCallsUsedUp() throws Exception {
    CountDownLatch go = new CountDownLatch(1);
    backend.script("f", (sandbox, call) -> {
      sandbox.await(go);
      sandbox.dead = true;
    });
    try (Node node = new Node(with("idle", Duration.ofSeconds(30)), backend)) {
      node.deploy("u/f", Node.limits(8));
      go.countDown();
      completed(node.invoke("u/f"));
      idle(node, 1);
      assertFalse(completed(node.invoke("u/f")).cold());
      idle(node, 1);
      List<CompletableFuture<Outcome>> calls = new ArrayList<>();
      CountDownLatch together = backend.hold("f");
      for (int i = 0; i < 4; i++) {
        calls.add(node.start("u/f"));
      }
      eventually("all run", () -> backend.running.get() == 4);
      eventually("as many again", () -> node.scheduler.desk().idle() == 4);
      together.countDown();
      Node.allCompleted(calls);
    }
  }

  @Test
  void theNodesMemoryAndAUsersHalfOfItBoundThem() throws Exception {
    try (Node node = new Node(with("readyBytes", 6L << 20), backend)) {
      node.scheduler.prepare(node.deployReady("u/f", 5, 8));
      idle(node, 3);
      node.scheduler.prepare(node.deployReady("u/g", 5, 8));
      node.scheduler.prepare(node.deployReady("v/f", 2, 8));
      idle(node, 5);
      assertEquals(5 << 20, node.scheduler.desk().reserve().total());
      // What has been called is an idle sandbox like others, and the next may be started.
      completed(node.invoke("u/f"));
      eventually("another", () -> node.scheduler.desk().units() >= 6);
    }
  }

  @Test
  void aQuarterOfThePlacesStaysFree() throws Exception {
    try (Node node = new Node(with("maxSandboxes", 8), backend)) {
      node.scheduler.prepare(node.deployReady("u/f", 20, 32));
      idle(node, 6);
      node.scheduler.prepare(node.deployReady("u/g", 20, 1));
      Thread.sleep(60);
      assertEquals(6, backend.starts.get());
    }
  }

  @Test
  void theFunctionsOwnNumberBoundsThem() throws Exception {
    try (Node node = new Node(with(), backend)) {
      node.scheduler.prepare(node.deployReady("u/f", 20, 3));
      idle(node, 3);
      Thread.sleep(60);
      assertEquals(3, backend.starts.get());
    }
  }

  @Test
  void theyGoWithTheirVersionAndWithTheirBackend() throws Exception {
    ScriptedBackend next = ScriptedBackend.remote();
    try (Node node = new Node(backend)) {
      FunctionVersion version = node.deployReady("u/f", 2, 8);
      node.scheduler.prepare(version);
      idle(node, 2);
      node.bind(next, 1);
      node.unbind(backend);
      eventually("the next has them", () -> next.open.get() == 2);
      node.remove(version);
      eventually("gone", () -> next.open.get() == 0 && node.scheduler.desk().units() == 0);
      assertEquals(0, node.scheduler.desk().reserve().total());
    }
  }

  @Test
  void aStartThatFailsIsTriedAgainLater() throws Exception {
    try (Node node = new Node(with(), backend)) {
      backend.onStart = context -> {
        throw new InstarException(ErrorCode.SANDBOX_CRASHED, "at its start");
      };
      node.scheduler.prepare(node.deployReady("u/f", 2, 8));
      eventually("closed", () -> node.scheduler.desk().units() == 0);
      Thread.sleep(100);
      assertTrue(node.scheduler.desk().units() == 0, "it rests first");
      backend.onStart = context -> {};
      idle(node, 2);
    }
  }

  @Test
  void aRemovalEndsAStartThatIsUnderWay() throws Exception {
    CountDownLatch begun = new CountDownLatch(1);
    backend.onStart = context -> {
      begun.countDown();
      Thread.sleep(Duration.ofMinutes(5));
    };
    ScriptedBackend next = ScriptedBackend.remote();
    try (Node node = new Node(settings("drain", Duration.ofMillis(50)), backend)) {
      node.scheduler.prepare(node.deployReady("u/f", 1, 8));
      begun.await();
      node.bind(next, 1);
      node.unbind(backend);
      eventually("the next has it", () -> next.open.get() == 1);
    }
  }
}
