package dev.instar.scheduler;

import static dev.instar.scheduler.Node.async;
import static dev.instar.scheduler.Node.completed;
import static dev.instar.scheduler.Node.eventually;
import static dev.instar.scheduler.Node.failed;
import static dev.instar.scheduler.Node.limits;
import static dev.instar.scheduler.Node.settings;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.invocation.Outcome;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Whose versions are prepared, and when. */
@Timeout(60)
class PreparationsTest {
  private final ScriptedBackend backend = ScriptedBackend.remote();
  /** The functions in the order in which their preparation began. */
  private final List<String> begun = new CopyOnWriteArrayList<>();
  /** Preparations wait for what is here under their function's name. */
  private final Map<String, CountDownLatch> gates = new ConcurrentHashMap<>();

  PreparationsTest() {
    backend.onPrepare = request -> {
      String name = request.version().name().toString();
      begun.add(name);
      CountDownLatch gate = gates.get(name);
      if (gate != null) {
        gate.await();
      }
    };
  }

  private void hold(String... names) {
    for (String name : names) {
      gates.put(name, new CountDownLatch(1));
    }
  }

  private void release(String name) {
    gates.get(name).countDown();
  }

  private CompletableFuture<Void> publish(Node node, String name) {
    FunctionVersion version = node.deploy(name, limits(1));
    return async(() -> {
      node.scheduler.prepare(version);
      return null;
    });
  }

  private static int waiting(Node node) {
    return node.scheduler.preparations().waiting();
  }

  @Test
  void whatNeverEndsHoldsUpItsOwnUserOnly() throws Exception {
    try (Node node = new Node(settings("prepareThreads", 2, "prepareTime", Duration.ofMinutes(1)), backend)) {
      hold("bad/f1", "bad/f2", "bad/f3", "bad/f4");
      List<CompletableFuture<Void>> bad = List.of(publish(node, "bad/f1"), publish(node, "bad/f2"), publish(node, "bad/f3"), publish(node, "bad/f4"));
      eventually("two of them are under way, and two wait", () -> begun.size() == 2 && waiting(node) == 2);
      for (String good : List.of("good/f1", "good/f2", "good/f3", "other/f1", "other/f2")) {
        node.deploy(good, limits(1));
        completed(node.invoke(good));
      }
      assertEquals(2, waiting(node));
      gates.values().forEach(CountDownLatch::countDown);
      for (CompletableFuture<Void> each : bad) {
        each.get(10, TimeUnit.SECONDS);
      }
    }
  }

  @Test
  void usersTakeTurns() throws Exception {
    try (Node node = new Node(settings("prepareThreads", 1, "prepareTime", Duration.ofMinutes(1)), backend)) {
      hold("a/f1", "b/f1", "a/f2");
      publish(node, "a/f1");
      eventually("the first is under way", () -> begun.equals(List.of("a/f1")));
      publish(node, "b/f1");
      eventually("the reserve is taken", () -> begun.equals(List.of("a/f1", "b/f1")));
      int queued = 0;
      for (String name : List.of("a/f2", "a/f3", "c/f1")) {
        publish(node, name);
        int now = ++queued;
        eventually(name + " waits", () -> waiting(node) == now);
      }
      release("a/f1");
      eventually("the first in line is next", () -> begun.size() == 3);
      release("b/f1");
      eventually("the next in line has the reserve", () -> begun.size() == 4);
      release("a/f2");
      eventually("all had their turn", () -> begun.size() == 5);
      assertEquals(List.of("a/f1", "b/f1", "a/f2", "c/f1", "a/f3"), begun);
      eventually("ended", () -> backend.openPrepared.get() == 5);
    }
  }

  @Test
  void howManyOfAUserWaitIsBounded() throws Exception {
    try (Node node = new Node(settings("prepareThreads", 1, "prepareTime", Duration.ofMinutes(1), "queue", 4, "userPercent", 50), backend)) {
      hold("a/f1");
      CompletableFuture<Void> first = publish(node, "a/f1");
      eventually("the first is under way", () -> begun.size() == 1);
      List<CompletableFuture<Void>> accepted = List.of(first, publish(node, "a/f2"), publish(node, "a/f3"));
      eventually("two wait", () -> begun.size() == 1 && waiting(node) == 2);
      InstarException refused = assertInstanceOf(InstarException.class,
          assertThrows(ExecutionException.class, () -> publish(node, "a/f4").get(10, TimeUnit.SECONDS)).getCause());
      assertEquals(ErrorCode.NODE_BUSY, refused.code());
      assertTrue(refused.problem().detail().startsWith("2 versions of functions of a,"), refused.problem().detail());
      publish(node, "b/f1").get(10, TimeUnit.SECONDS);
      release("a/f1");
      for (CompletableFuture<Void> each : accepted) {
        each.get(10, TimeUnit.SECONDS);
      }
      publish(node, "a/f4").get(10, TimeUnit.SECONDS);
    }
  }

  @Test
  void whatNobodyWaitsForAnyMoreIsNotBegun() throws Exception {
    try (Node node = new Node(settings("prepareThreads", 1, "prepareTime", Duration.ofMinutes(1)), backend)) {
      hold("a/f1");
      CompletableFuture<Void> first = publish(node, "a/f1");
      eventually("the first is under way", () -> begun.size() == 1);
      node.deploy("a/f2", limits(1));
      failed(ErrorCode.TIMED_OUT, node.invoke("a/f2", Duration.ofMillis(30)));
      assertEquals(0, waiting(node));
      release("a/f1");
      first.get(10, TimeUnit.SECONDS);
      assertEquals(List.of("a/f1"), begun);
      completed(node.invoke("a/f2"));
    }
  }

  @Test
  void whatIsUnderWayEndsWhenTheLastWasInterrupted() throws Exception {
    try (Node node = new Node(settings("prepareThreads", 1, "prepareTime", Duration.ofMinutes(1)), backend)) {
      hold("a/f1");
      FunctionVersion version = node.deploy("a/f1", limits(1));
      CompletableFuture<Throwable> result = new CompletableFuture<>();
      Thread publisher = Thread.ofVirtual().start(() -> {
        try {
          node.scheduler.prepare(version);
          result.complete(null);
        } catch (InterruptedException | RuntimeException e) {
          result.complete(e);
        }
      });
      eventually("it is under way", () -> begun.size() == 1);
      publisher.interrupt();
      assertInstanceOf(InterruptedException.class, result.get(10, TimeUnit.SECONDS));
      gates.clear();
      completed(node.invoke("a/f1"));
      assertEquals(List.of("a/f1", "a/f1"), begun);
      assertEquals(1, backend.openPrepared.get());
    }
  }

  @Test
  void aCallThatHasLessTimeThanItsPreparationDoesNotStopIt() throws Exception {
    try (Node node = new Node(settings("prepareThreads", 1, "prepareTime", Duration.ofMinutes(1)), backend)) {
      hold("a/f1");
      node.deploy("a/f1", limits(1));
      failed(ErrorCode.TIMED_OUT, node.invoke("a/f1", Duration.ofMillis(30)));
      release("a/f1");
      eventually("it is prepared all the same", () -> backend.openPrepared.get() == 1);
      completed(node.invoke("a/f1", Duration.ofSeconds(5)));
      assertEquals(1, begun.size());
    }
  }

  @Test
  void aDrainDoesNotWaitForThoseInLine() throws Exception {
    try (Node node = new Node(settings("prepareThreads", 1, "drain", Duration.ofMillis(50), "backendWait", Duration.ofMillis(50)), backend)) {
      hold("a/f1", "a/f2");
      node.deploy("a/f1", limits(1));
      node.deploy("a/f2", limits(1));
      CompletableFuture<Outcome> first = node.start("a/f1");
      CompletableFuture<Outcome> second = node.start("a/f2");
      eventually("one is under way, one waits", () -> begun.size() == 1 && waiting(node) == 1);
      node.unbind(backend);
      failed(ErrorCode.BACKEND_UNAVAILABLE, first.get(10, TimeUnit.SECONDS));
      failed(ErrorCode.BACKEND_UNAVAILABLE, second.get(10, TimeUnit.SECONDS));
      assertFalse(begun.contains("a/f2") && begun.contains("a/f1"), "it was begun for nobody");
    }
  }
}
