package dev.instar.scheduler;

import static dev.instar.scheduler.Node.completed;
import static dev.instar.scheduler.Node.eventually;
import static dev.instar.scheduler.Node.failed;
import static dev.instar.scheduler.Node.limits;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.function.FunctionName;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.function.Variant;
import dev.instar.api.invocation.BackendMove;
import dev.instar.api.invocation.BackendScope;
import dev.instar.api.invocation.Outcome;
import dev.instar.api.sandbox.BackendDescription.Shape;
import dev.instar.api.sandbox.Probe;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Calls move between two backends of one kind. */
@Timeout(60)
class MovesTest {
  private static final BackendScope ALL = new BackendScope.All();
  private final ScriptedBackend a = new ScriptedBackend("a", Shape.REMOTE, true);
  private final ScriptedBackend b = new ScriptedBackend("b", Shape.IN_PROCESS, true);

  private static BackendMove move(BackendScope scope, String from, String to) {
    return new BackendMove(scope, from, to, Duration.ZERO, Optional.empty());
  }

  private static String backend(Outcome outcome) {
    return completed(outcome).backend();
  }

  private static InstarException refused(ErrorCode code, Node node, BackendMove move) {
    InstarException refused = assertThrows(InstarException.class, () -> node.scheduler.move(move));
    assertEquals(code, refused.code(), refused.getMessage());
    assertTrue(node.scheduler.assignments().isEmpty(), "something was moved");
    return refused;
  }

  @Test
  void callsGoThereAtOnceAndBack() throws Exception {
    try (Node node = new Node(a, b)) {
      node.deploy("ann/f", limits(4));
      assertEquals("a", backend(node.invoke("ann/f")));
      node.scheduler.move(move(ALL, "a", "b"));
      assertEquals(1, b.openPrepared.get(), "what is in use is prepared there before the first call");
      Outcome.Completed there = completed(node.invoke("ann/f"));
      assertEquals("b", there.backend());
      eventually("what the other one has is closed", () -> a.open.get() == 0 && a.openPrepared.get() == 0);
      node.scheduler.move(move(ALL, "b", "a"));
      assertEquals("a", backend(node.invoke("ann/f")));
      assertEquals(List.of(), node.scheduler.assignments());
      eventually("closed there, too", () -> b.open.get() == 0 && b.openPrepared.get() == 0);
    }
  }

  /** As of an operator who has made the way back twice. */
  @Test
  void anAssignmentThatNoFunctionIsUnderKeepsNoneFromMoving() throws Exception {
    try (Node node = new Node(a, b)) {
      node.deploy("ann/f", limits(4));
      node.scheduler.move(move(ALL, "b", "a"));
      assertEquals("a", backend(node.invoke("ann/f")));
      node.scheduler.move(move(ALL, "a", "b"));
      assertEquals("b", backend(node.invoke("ann/f")));
      node.deploy("ann/named", limits(4), new Variant(Node.DIGEST, Variant.WASM, Optional.of("b")));
      node.scheduler.move(move(ALL, "b", "a"));
      assertEquals(List.of("a", "b"), List.of(backend(node.invoke("ann/f")), backend(node.invoke("ann/named"))), "the way back is for what had come");
    }
  }

  @Test
  void onlyWhoIsMeantMoves() throws Exception {
    try (Node node = new Node(a, b)) {
      for (String name : List.of("ann/f", "ann/g", "bob/f")) {
        node.deploy(name, limits(4));
      }
      node.deploy("ann/named", limits(4), new Variant(Node.DIGEST, Variant.WASM, Optional.of("b")));
      node.scheduler.move(move(new BackendScope.User("ann"), "a", "b"));
      node.scheduler.move(move(new BackendScope.One(FunctionName.parse("ann/g")), "b", "a"));
      assertEquals("b", backend(node.invoke("ann/f")));
      assertEquals("a", backend(node.invoke("ann/g")));
      assertEquals("a", backend(node.invoke("bob/f")));
      assertEquals("b", backend(node.invoke("ann/named")));
      node.scheduler.move(move(new BackendScope.One(FunctionName.parse("ann/named")), "b", "a"));
      assertEquals("a", backend(node.invoke("ann/named")), "an operator's word goes before a variant's");
    }
  }

  @Test
  void whatRunsEndsWhereItIs() throws Exception {
    CountDownLatch go = a.hold("f");
    try (Node node = new Node(a, b)) {
      node.deploy("ann/f", limits(4));
      CompletableFuture<Outcome> before = node.start("ann/f");
      eventually("it runs", () -> a.running.get() == 1);
      node.scheduler.move(move(ALL, "a", "b"));
      assertEquals("b", backend(node.invoke("ann/f")));
      assertFalse(before.isDone());
      go.countDown();
      assertEquals("a", backend(before.get()));
      eventually("nothing is left there", () -> a.open.get() == 0 && a.openPrepared.get() == 0);
    }
  }

  @Test
  void whatDoesNotEndWithinTheDrainIsKilled() throws Exception {
    CountDownLatch go = a.hold("f");
    try (Node node = new Node(a, b)) {
      node.deploy("ann/f", limits(4));
      CompletableFuture<Outcome> before = node.start("ann/f");
      eventually("it runs", () -> a.running.get() == 1);
      node.scheduler.move(new BackendMove(ALL, "a", "b", Duration.ZERO, Optional.of(Duration.ofMillis(50))));
      failed(ErrorCode.BACKEND_UNAVAILABLE, before.get());
      go.countDown();
    }
  }

  @Test
  void whileTheShareGrowsNobodyWaitsForPreparation() throws Exception {
    CountDownLatch slow = new CountDownLatch(1);
    try (Node node = new Node(a, b)) {
      node.deploy("ann/f", limits(4));
      node.scheduler.move(new BackendMove(ALL, "a", "b", Duration.ofSeconds(3), Optional.empty()));
      // Not in use then: so it is not prepared there when the first call's lot falls to b.
      b.onPrepare = request -> slow.await();
      CompletableFuture<Outcome> first = node.start("ann/f");
      eventually("somebody prepares it", () -> a.prepares.get() + b.prepares.get() > 0);
      slow.countDown();
      completed(first.get());
      long end = System.nanoTime() + Duration.ofSeconds(30).toNanos();
      int inRow = 0;
      while (inRow < 50) {
        assertTrue(System.nanoTime() < end, "not all go there in the end");
        inRow = backend(node.invoke("ann/f")).equals("b") && node.scheduler.assignments().getFirst().share(Instant.now()) >= 1 ? inRow + 1 : 0;
      }
      eventually("the other one is left", () -> a.open.get() == 0 && a.openPrepared.get() == 0);
    }
  }

  @Test
  void nothingMovesWhatCannotRunThere() throws Exception {
    try (Node node = new Node(a, b)) {
      node.deploy("ann/f", limits(4));
      assertEquals("a", backend(node.invoke("ann/f")));
      b.onPrepare = request -> {
        throw new InstarException(ErrorCode.MODULE_REFUSED, "It has threads.");
      };
      InstarException refused = refused(ErrorCode.MODULE_REFUSED, node, move(ALL, "a", "b"));
      assertEquals("ann/f does not run in 'b', so nothing was moved: It has threads.", refused.problem().detail());
      assertEquals("a", backend(node.invoke("ann/f")));
      refused(ErrorCode.BAD_REQUEST, node, move(ALL, "a", "a"));
      refused(ErrorCode.BACKEND_NOT_FOUND, node, move(ALL, "a", "x"));
      refused(ErrorCode.BACKEND_NOT_FOUND, node, move(ALL, "x", "a"));
      assertTrue(refused(ErrorCode.CONFLICT, node, move(new BackendScope.One(FunctionName.parse("ann/f")), "b", "a")).getMessage().contains("not run by 'b' but by 'a'"));
      refused(ErrorCode.FUNCTION_NOT_FOUND, node, move(new BackendScope.One(FunctionName.parse("ann/x")), "a", "b"));
      ScriptedBackend missing = new ScriptedBackend("missing", Shape.REMOTE, true);
      missing.probe = new Probe.Missing("no library", "Install it.");
      node.bind(missing, 0);
      assertTrue(refused(ErrorCode.CONFLICT, node, move(ALL, "a", "missing")).getMessage().contains("no library"));
    }
  }

  @Test
  void whileTheAssignedBackendIsAwayItsCallsWaitForIt() throws Exception {
    try (Node node = new Node(a, b)) {
      node.deploy("ann/f", limits(4));
      node.scheduler.move(move(ALL, "a", "b"));
      assertEquals("b", backend(node.invoke("ann/f")));
      node.unbind(b);
      CompletableFuture<Outcome> waits = node.start("ann/f");
      eventually("it waits", () -> node.waiting() == 1);
      node.scheduler.bindBackend(b, Map.of());
      assertEquals("b", backend(waits.get()));
    }
  }

  @Test
  void andAfterTheLimitTheyAreToldWhy() throws Exception {
    try (Node node = new Node(Node.settings("backendWait", Duration.ofMillis(50)), a, b)) {
      node.deploy("ann/f", limits(4));
      node.scheduler.move(move(ALL, "a", "b"));
      node.unbind(b);
      var problem = failed(ErrorCode.BACKEND_UNAVAILABLE, node.invoke("ann/f"));
      assertTrue(problem.detail().contains("assigned to the backend 'b'") && problem.retryAfter().isPresent(), problem.detail());
    }
  }

  @Test
  void anotherSchedulerGoesOnWithIt(@TempDir Path root) throws Exception {
    try (Node node = new Node(a, b)) {
      node.scheduler.bindData(new AssignmentsTest.Directory(root));
      node.scheduler.move(move(ALL, "a", "b"));
    }
    ScriptedBackend c = new ScriptedBackend("a", Shape.REMOTE, true);
    ScriptedBackend d = new ScriptedBackend("b", Shape.REMOTE, true);
    try (Node node = new Node(c, d)) {
      node.scheduler.bindData(new AssignmentsTest.Directory(root));
      node.deploy("ann/f", limits(4));
      assertEquals("b", backend(node.invoke("ann/f")));
    }
  }

  /** A bundle's next version: it has what the old one has before it gets a call, and the old one's calls end there. */
  @Test
  void callsCanLeaveABackendThatDidNotComeBackAfterARestart(@TempDir Path root) throws Exception {
    try (Node node = new Node(a, b)) {
      node.scheduler.bindData(new AssignmentsTest.Directory(root));
      node.scheduler.move(move(ALL, "a", "b"));
    }
    try (Node node = new Node(new ScriptedBackend("a", Shape.REMOTE, true))) {
      node.scheduler.bindData(new AssignmentsTest.Directory(root));
      node.deploy("ann/f", limits(4));
      assertEquals(ErrorCode.BACKEND_NOT_FOUND, assertThrows(InstarException.class, () -> node.scheduler.move(move(ALL, "a", "b"))).code());
      assertEquals(ErrorCode.BACKEND_NOT_FOUND, assertThrows(InstarException.class, () -> node.scheduler.move(move(ALL, "c", "a"))).code());
      node.scheduler.move(move(new BackendScope.One(FunctionName.parse("ann/f")), "b", "a"));
      assertEquals("a", backend(node.invoke("ann/f")));
      node.scheduler.move(move(ALL, "b", "a"));
      assertEquals("a", backend(node.invoke("ann/f")));
      assertEquals(List.of(), node.scheduler.assignments());
    }
  }

  @Test
  void theNextGenerationPreparesBeforeItTakesCalls() throws Exception {
    ScriptedBackend next = new ScriptedBackend("a", Shape.REMOTE, true);
    CountDownLatch prepared = new CountDownLatch(1);
    List<String> served = new ArrayList<>();
    next.onPrepare = request -> prepared.await();
    next.script("f", (sandbox, call) -> served.add("next"));
    a.script("f", (sandbox, call) -> served.add("old"));
    try (Node node = new Node(a)) {
      node.deploy("ann/f", limits(4));
      completed(node.invoke("ann/f"));
      CompletableFuture<Void> bound = Node.async(() -> {
        node.bind(next, 0);
        return null;
      });
      eventually("it prepares", () -> next.prepares.get() == 1);
      completed(node.invoke("ann/f"));
      assertFalse(bound.isDone(), "its registration waits for it");
      prepared.countDown();
      bound.get();
      completed(node.invoke("ann/f"));
      node.unbind(a);
      completed(node.invoke("ann/f"));
      assertEquals(List.of("old", "old", "next", "next"), served);
      assertEquals(1, next.prepares.get());
    }
  }
}
