package dev.instar.scheduler;

import static dev.instar.scheduler.Node.allCompleted;
import static dev.instar.scheduler.Node.completed;
import static dev.instar.scheduler.Node.eventually;
import static dev.instar.scheduler.Node.failed;
import static dev.instar.scheduler.Node.limits;
import static dev.instar.scheduler.Node.settings;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.Digest;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import dev.instar.api.function.Function;
import dev.instar.api.function.FunctionName;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.function.Limits;
import dev.instar.api.function.Variant;
import dev.instar.api.invocation.BackendStatus;
import dev.instar.api.invocation.CallInput;
import dev.instar.api.invocation.Invocation;
import dev.instar.api.invocation.Outcome;
import dev.instar.api.invocation.Rpc;
import dev.instar.api.placement.PlacementPolicy;
import dev.instar.api.sandbox.BackendDescription.Shape;
import dev.instar.api.sandbox.Probe;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PipedInputStream;
import java.io.PipedOutputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.FutureTask;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

@Timeout(60)
class SchedulerTest {
  private static ScriptedBackend backend(Shape shape) {
    return new ScriptedBackend("scripted", shape, shape == Shape.IN_PROCESS);
  }

  @ParameterizedTest
  @EnumSource(Shape.class)
  void answersColdThenWarm(Shape shape) throws Exception {
    ScriptedBackend backend = backend(shape);
    try (Node node = new Node(backend)) {
      FunctionVersion version = node.deploy("demo/echo", limits(4));
      ByteArrayOutputStream out = new ByteArrayOutputStream();
      Outcome.Completed first = completed(node.scheduler.invoke(
          node.invocation("demo/echo", new ByteArrayInputStream("hello".getBytes(StandardCharsets.UTF_8)), out, Optional.empty(), false)));
      assertEquals("hello", out.toString(StandardCharsets.UTF_8));
      assertTrue(first.cold());
      assertTrue(first.setupNanos() > 0);
      assertEquals("scripted", first.backend());
      assertEquals(version, first.version());
      eventually("idle", () -> node.scheduler.backends().getFirst().idle() == 1);
      Outcome.Completed second = completed(node.invoke("demo/echo"));
      assertFalse(second.cold());
      assertEquals(0, second.setupNanos());
      assertTrue(second.runNanos() > 0 && second.queuedNanos() > 0);
      assertEquals(1, backend.starts.get());
      eventually("served", () -> node.scheduler.backends().getFirst().served() == 2);
    }
  }

  @Test
  void resetsAfterEachCallOnceTheCallerHasItsOutcome() throws Exception {
    ScriptedBackend backend = ScriptedBackend.inProcess();
    CountDownLatch mayReset = new CountDownLatch(1);
    backend.onReset = () -> {
      try {
        mayReset.await();
      } catch (InterruptedException e) {
        throw new AssertionError(e);
      }
    };
    try (Node node = new Node(backend)) {
      node.deploy("demo/echo", limits(1));
      completed(node.invoke("demo/echo"));
      CompletableFuture<Outcome> next = node.start("demo/echo");
      eventually("the next call waits for the reset", () -> node.waiting() == 1);
      mayReset.countDown();
      assertFalse(completed(next.get()).cold());
    }
    assertEquals(2, backend.resets.get());
  }

  @Test
  void closesASandboxWhoseResetFails() throws Exception {
    ScriptedBackend backend = ScriptedBackend.inProcess();
    try (Node node = new Node(backend)) {
      node.deploy("demo/echo", limits(1));
      backend.onReset = () -> {
        throw new InstarException(ErrorCode.INTERNAL, "cannot");
      };
      completed(node.invoke("demo/echo"));
      assertTrue(completed(node.invoke("demo/echo")).cold());
      eventually("both closed", () -> backend.closed.size() == 2);
    }
  }

  @Test
  void usesTheMostRecentlyUsedIdleSandboxFirst() throws Exception {
    ScriptedBackend backend = ScriptedBackend.remote();
    CountDownLatch go = backend.hold("f");
    try (Node node = new Node(backend)) {
      node.deploy("demo/f", limits(3));
      List<CompletableFuture<Outcome>> calls = List.of(node.start("demo/f"), node.start("demo/f"), node.start("demo/f"));
      eventually("three run", () -> backend.running.get() == 3);
      go.countDown();
      allCompleted(calls);
      node.assertAtRest();
      completed(node.invoke("demo/f"));
      String last = backend.usedIds().getLast();
      for (int i = 0; i < 5; i++) {
        completed(node.invoke("demo/f"));
        assertEquals(last, backend.usedIds().getLast());
      }
    }
  }

  @Test
  void keepsToTheFunctionsConcurrencyAndServesInOrder() throws Exception {
    ScriptedBackend backend = ScriptedBackend.remote();
    List<String> order = new ArrayList<>();
    CountDownLatch go = new CountDownLatch(1);
    backend.script("f", (sandbox, call) -> {
      synchronized (order) {
        order.add(call.invocationId());
      }
      sandbox.await(go);
    });
    try (Node node = new Node(backend)) {
      node.deploy("demo/f", limits(1));
      CompletableFuture<Outcome> running = node.start("demo/f");
      eventually("runs", () -> backend.running.get() == 1);
      List<CompletableFuture<Outcome>> waiting = new ArrayList<>();
      List<String> expected = new ArrayList<>();
      for (int i = 0; i < 20; i++) {
        int before = node.waiting();
        var invocation = node.invocation("demo/f", InputStream.nullInputStream(), new ByteArrayOutputStream(), Optional.empty(), false);
        expected.add(invocation.id());
        waiting.add(Node.async(() -> node.scheduler.invoke(invocation)));
        eventually("waits", () -> node.waiting() == before + 1);
      }
      go.countDown();
      completed(running.get());
      allCompleted(waiting);
      assertEquals(expected, order.subList(1, order.size()));
      assertEquals(1, backend.mostOpen.get());
    }
  }

  @Test
  void runsOnlyAsManyInProcessCallsAsThereAreThreads() throws Exception {
    ScriptedBackend backend = ScriptedBackend.inProcess();
    backend.script("a", (sandbox, call) -> sandbox.work(2)).script("b", (sandbox, call) -> sandbox.work(2));
    try (Node node = new Node(settings("inProcessThreads", 3), backend)) {
      node.deploy("demo/a", limits(20));
      node.deploy("demo/b", limits(20));
      List<CompletableFuture<Outcome>> calls = new ArrayList<>();
      for (int i = 0; i < 100; i++) {
        calls.add(node.start(i % 2 == 0 ? "demo/a" : "demo/b"));
      }
      allCompleted(calls);
      assertTrue(backend.mostRunning.get() <= 3, () -> backend.mostRunning + " ran at once");
      assertTrue(backend.mostOpen.get() <= 6, () -> "more sandboxes than could run: " + backend.mostOpen);
    }
  }

  @Test
  void aCallThatWaitsForItsCallerGivesItsThreadsPlaceToOthers() throws Exception {
    ScriptedBackend backend = ScriptedBackend.inProcess();
    try (Node node = new Node(settings("inProcessThreads", 1), backend)) {
      node.deploy("demo/slow", limits(4));
      node.deploy("demo/quick", limits(4));
      PipedOutputStream body = new PipedOutputStream();
      PipedInputStream slow = new PipedInputStream(body);
      ByteArrayOutputStream out = new ByteArrayOutputStream();
      CompletableFuture<Outcome> held = Node.async(() -> node.scheduler.invoke(node.invocation("demo/slow", slow, out, Optional.empty(), false)));
      eventually("parked", () -> node.scheduler.threads().parkedCount() == 1);
      completed(node.invoke("demo/quick"));
      completed(node.invoke("demo/slow"));
      body.write("late".getBytes(StandardCharsets.UTF_8));
      body.close();
      completed(held.get());
      assertEquals("late", out.toString(StandardCharsets.UTF_8));
    }
  }

  @Test
  void aParkedCallThatIsKilledGivesNothingBackTwice() throws Exception {
    ScriptedBackend backend = ScriptedBackend.inProcess();
    try (Node node = new Node(settings("inProcessThreads", 1), backend)) {
      node.deploy("demo/slow", limits(4, Duration.ofMillis(100)));
      PipedOutputStream body = new PipedOutputStream();
      PipedInputStream slow = new PipedInputStream(body);
      CompletableFuture<Outcome> held = Node.async(
          () -> node.scheduler.invoke(node.invocation("demo/slow", slow, new ByteArrayOutputStream(), Optional.empty(), false)));
      // The pipe's reader does not know of the kill: it is left behind and its caller answered.
      failed(ErrorCode.TIMED_OUT, held.get());
      body.close();
      eventually("unparked", () -> node.scheduler.threads().parkedCount() == 0);
      node.deploy("demo/quick", limits(4));
      completed(node.invoke("demo/quick"));
    }
  }

  @Test
  void refusesWhatDoesNotFitIntoTheFunctionsQueue() throws Exception {
    ScriptedBackend backend = ScriptedBackend.remote();
    CountDownLatch go = backend.hold("f");
    try (Node node = new Node(settings("functionQueue", 2), backend)) {
      node.deploy("demo/f", limits(1));
      node.deploy("demo/g", limits(1));
      List<CompletableFuture<Outcome>> calls = new ArrayList<>(List.of(node.start("demo/f")));
      eventually("runs", () -> backend.running.get() == 1);
      calls.add(node.start("demo/f"));
      calls.add(node.start("demo/f"));
      eventually("wait", () -> node.waiting() == 2);
      var problem = failed(ErrorCode.FUNCTION_BUSY, node.invoke("demo/f"));
      assertTrue(problem.retryAfter().isPresent());
      assertTrue(problem.detail().contains("demo/f@1"), problem.detail());
      assertEquals(Map.of("limit", "concurrency", "limitCount", 1), problem.members());
      completed(node.invoke("demo/g"));
      go.countDown();
      allCompleted(calls);
    }
  }

  @Test
  void aUsersBurstLeavesRoomInTheNodesQueue() throws Exception {
    ScriptedBackend backend = ScriptedBackend.remote();
    CountDownLatch go = backend.hold("f", "g");
    try (Node node = new Node(settings("maxSandboxes", 1, "queue", 6, "userPercent", 50), backend)) {
      for (String name : List.of("greedy/f", "greedy/g", "other/f")) {
        node.scheduler.prepare(node.deploy(name, limits(5)));
      }
      List<CompletableFuture<Outcome>> calls = new ArrayList<>(List.of(node.start("greedy/f")));
      eventually("runs", () -> backend.running.get() == 1);
      calls.add(node.start("greedy/f"));
      calls.add(node.start("greedy/g"));
      calls.add(node.start("greedy/g"));
      eventually("wait", () -> node.waiting() == 3);
      assertTrue(failed(ErrorCode.NODE_BUSY, node.invoke("greedy/f")).detail().contains("greedy"));
      for (int i = 4; i <= 6; i++) {
        int expected = i;
        calls.add(node.start("other/f"));
        eventually("waits", () -> node.waiting() == expected);
      }
      assertTrue(failed(ErrorCode.NODE_BUSY, node.invoke("other/f")).retryAfter().isPresent());
      go.countDown();
      allCompleted(calls);
      assertEquals(1, backend.mostOpen.get());
    }
  }

  @Test
  void aFullLineOfOneFunctionDoesNotKeepTheNodeFromAnother() throws Exception {
    ScriptedBackend backend = ScriptedBackend.remote();
    CountDownLatch go = new CountDownLatch(1);
    List<String> order = new ArrayList<>();
    for (String f : List.of("f", "g")) {
      backend.script(f, (sandbox, call) -> {
        synchronized (order) {
          order.add(f);
        }
        sandbox.await(go);
      });
    }
    try (Node node = new Node(settings("maxSandboxes", 1), backend)) {
      node.scheduler.prepare(node.deploy("demo/f", limits(1)));
      node.scheduler.prepare(node.deploy("demo/g", limits(1)));
      List<CompletableFuture<Outcome>> calls = new ArrayList<>();
      for (String f : List.of("f", "f", "g", "f", "f")) {
        calls.add(node.start("demo/" + f));
        int expected = calls.size() - 1;
        eventually("in line", () -> backend.running.get() == 1 && node.waiting() == expected);
      }
      go.countDown();
      allCompleted(calls);
      assertEquals(List.of("f", "f", "g", "f", "f"), order);
      assertEquals(1, backend.mostOpen.get());
    }
  }

  @Test
  void waitsNoLongerThanTheQueueAllows() throws Exception {
    ScriptedBackend backend = ScriptedBackend.remote();
    CountDownLatch go = backend.hold("f");
    try (Node node = new Node(settings("queueWait", Duration.ofMillis(30), "maxSandboxes", 2), backend)) {
      node.scheduler.prepare(node.deploy("demo/f", limits(1)));
      node.scheduler.prepare(node.deploy("other/f", limits(3)));
      CompletableFuture<Outcome> one = node.start("demo/f");
      CompletableFuture<Outcome> two = node.start("other/f");
      eventually("run", () -> backend.running.get() == 2);
      var busy = failed(ErrorCode.FUNCTION_BUSY, node.invoke("demo/f"));
      assertTrue(busy.retryAfter().isPresent());
      assertEquals(Map.of("limit", "concurrency", "limitCount", 1), busy.members());
      assertTrue(failed(ErrorCode.NODE_BUSY, node.invoke("other/f")).retryAfter().isPresent());
      var problem = failed(ErrorCode.TIMED_OUT, node.invoke("demo/f", Duration.ofMillis(10)));
      assertEquals(10L, problem.members().get("limitMillis"));
      go.countDown();
      completed(one.get());
      completed(two.get());
    }
  }

  @Test
  void evictsTheOldestIdleSandboxOfAnotherFunction() throws Exception {
    ScriptedBackend backend = ScriptedBackend.remote();
    try (Node node = new Node(settings("maxSandboxes", 2), backend)) {
      for (String name : List.of("demo/a", "demo/b", "demo/c")) {
        node.deploy(name, limits(2));
      }
      completed(node.invoke("demo/a"));
      completed(node.invoke("demo/b"));
      completed(node.invoke("demo/c"));
      assertEquals(backend.usedIds().getFirst(), backend.closed.peek().id);
      assertFalse(completed(node.invoke("demo/b")).cold());
      assertEquals(2, backend.mostOpen.get());
    }
  }

  @Test
  void keepsToTheCapOfEachBackend() throws Exception {
    ScriptedBackend one = new ScriptedBackend("one", Shape.REMOTE, false);
    ScriptedBackend two = new ScriptedBackend("two", Shape.REMOTE, false);
    try (Node node = new Node(settings("maxSandboxesPerBackend", 1), one, two)) {
      node.deploy("demo/a", limits(5), new Variant(Node.DIGEST, Variant.WASM, Optional.of("one")));
      node.deploy("demo/b", limits(5), new Variant(Node.DIGEST, Variant.WASM, Optional.of("one")));
      node.deploy("demo/c", limits(5), new Variant(Node.DIGEST, Variant.WASM, Optional.of("two")));
      assertEquals("one", completed(node.invoke("demo/a")).backend());
      assertEquals("two", completed(node.invoke("demo/c")).backend());
      assertEquals("one", completed(node.invoke("demo/b")).backend());
      assertFalse(completed(node.invoke("demo/c")).cold(), "a sandbox of the wrong backend was evicted");
      assertEquals(1, one.mostOpen.get());
    }
  }

  @Test
  void keepsOnlySoManyIdleSandboxes() throws Exception {
    ScriptedBackend backend = ScriptedBackend.remote();
    CountDownLatch go = backend.hold("f", "g");
    try (Node node = new Node(settings("maxIdlePerFunction", 2, "maxIdle", 3), backend)) {
      node.deploy("demo/f", limits(5));
      node.deploy("demo/g", limits(5));
      List<CompletableFuture<Outcome>> calls = new ArrayList<>();
      for (int i = 0; i < 5; i++) {
        calls.add(node.start("demo/f"));
        calls.add(node.start("demo/g"));
      }
      eventually("all run", () -> backend.running.get() == 10);
      go.countDown();
      allCompleted(calls);
      eventually("three left", () -> backend.open.get() == 3);
      node.assertAtRest();
      assertEquals(3, node.scheduler.desk().idle());
    }
  }

  @Test
  void expiresIdleSandboxesAndThenWhatWasPrepared() throws Exception {
    ScriptedBackend backend = ScriptedBackend.remote();
    try (Node node = new Node(settings("idle", Duration.ofMillis(40), "prepared", Duration.ofMillis(300)), backend)) {
      node.deploy("demo/f", limits(5));
      completed(node.invoke("demo/f"));
      eventually("sandbox closed", () -> backend.open.get() == 0);
      assertEquals(1, backend.openPrepared.get());
      eventually("prepared closed", () -> backend.openPrepared.get() == 0);
      assertTrue(completed(node.invoke("demo/f")).cold());
      assertEquals(2, backend.prepares.get());
    }
  }

  @Test
  void sandboxesOfAReplacedVersionExpireSooner() throws Exception {
    ScriptedBackend backend = ScriptedBackend.remote();
    try (Node node = new Node(settings("idleReplaced", Duration.ofMillis(40)), backend)) {
      FunctionVersion old = node.deploy("demo/f", limits(5));
      node.deploy("demo/g", limits(5));
      completed(node.invoke("demo/f"));
      completed(node.invoke("demo/g"));
      node.scheduler.versionDeactivated(old);
      eventually("closed", () -> backend.open.get() == 1);
      assertFalse(completed(node.invoke("demo/g")).cold());
    }
  }

  @Test
  void aThousandFirstCallsPrepareOnce() throws Exception {
    ScriptedBackend backend = ScriptedBackend.inProcess();
    CountDownLatch arrived = new CountDownLatch(1);
    backend.onPrepare = request -> arrived.await();
    try (Node node = new Node(backend)) {
      node.deploy("demo/f", limits(64));
      List<CompletableFuture<Outcome>> calls = new ArrayList<>();
      for (int i = 0; i < 1000; i++) {
        calls.add(node.start("demo/f"));
      }
      eventually("all wait", () -> node.waiting() == 1000);
      arrived.countDown();
      allCompleted(calls);
      assertEquals(1, backend.prepares.get());
    }
  }

  @Test
  void aFailedPreparationIsToldToAllWhoWaitAndTriedAgain() throws Exception {
    ScriptedBackend backend = ScriptedBackend.remote();
    CountDownLatch fail = new CountDownLatch(1);
    backend.onPrepare = request -> {
      fail.await();
      throw new InstarException(ErrorCode.MODULE_REFUSED, "import env.nothing");
    };
    try (Node node = new Node(backend)) {
      node.deploy("demo/f", limits(3));
      List<CompletableFuture<Outcome>> calls = new ArrayList<>();
      for (int i = 0; i < 20; i++) {
        calls.add(node.start("demo/f"));
      }
      eventually("all wait", () -> node.waiting() == 20);
      fail.countDown();
      for (CompletableFuture<Outcome> call : calls) {
        assertTrue(failed(ErrorCode.MODULE_REFUSED, call.get()).detail().contains("env.nothing"));
      }
      assertEquals(1, backend.prepares.get());
      backend.onPrepare = request -> {};
      completed(node.invoke("demo/f"));
    }
  }

  @Test
  void whoGivesUpOnAPreparationLeavesItToTheOthers() throws Exception {
    ScriptedBackend backend = ScriptedBackend.remote();
    CountDownLatch go = new CountDownLatch(1);
    backend.onPrepare = request -> go.await();
    try (Node node = new Node(backend)) {
      node.deploy("demo/f", limits(3));
      failed(ErrorCode.TIMED_OUT, node.invoke("demo/f", Duration.ofMillis(20)));
      CompletableFuture<Throwable> gone = new CompletableFuture<>();
      Thread impatient = Thread.ofVirtual().start(() -> {
        try {
          node.invoke("demo/f");
          gone.complete(null);
        } catch (InterruptedException e) {
          gone.complete(e);
        }
      });
      CompletableFuture<Outcome> patient = node.start("demo/f");
      eventually("both wait", () -> node.waiting() == 2);
      impatient.interrupt();
      assertInstanceOf(InterruptedException.class, gone.get());
      go.countDown();
      completed(patient.get());
      assertEquals(1, backend.prepares.get());
    }
  }

  @Test
  void endsAPreparationThatTakesTooLong() throws Exception {
    ScriptedBackend backend = ScriptedBackend.remote();
    backend.onPrepare = request -> new CountDownLatch(1).await();
    try (Node node = new Node(settings("prepareTime", Duration.ofMillis(50), "prepareThreads", 1), backend)) {
      FunctionVersion version = node.deploy("demo/f", limits(3));
      InstarException e = assertThrows(InstarException.class, () -> node.scheduler.prepare(version));
      assertEquals(ErrorCode.TIMED_OUT, e.code());
      backend.onPrepare = request -> {};
      node.scheduler.prepare(version);
    }
  }

  @Test
  void namesTheImageThatIsNotThere() throws Exception {
    ScriptedBackend backend = ScriptedBackend.remote();
    try (Node node = new Node(backend)) {
      Digest digest = Digest.of(new byte[] {9});
      FunctionVersion version = node.deploy("demo/f", limits(3), new Variant(digest, Variant.WASM, Optional.empty()));
      InstarException e = assertThrows(InstarException.class, () -> node.scheduler.prepare(version));
      assertEquals(ErrorCode.IMAGE_NOT_FOUND, e.code());
      assertTrue(e.problem().detail().contains(digest.value()));
    }
  }

  @Test
  void noCallIsLongerThanTheOperatorAllows() throws Exception {
    ScriptedBackend backend = backend(Shape.IN_PROCESS);
    backend.script("f", (sandbox, call) -> sandbox.work(60_000));
    try (Node node = new Node(Node.settings("maxCall", Duration.ofMillis(50)), backend)) {
      node.deploy("demo/f", limits(1, Duration.ofHours(24)));
      assertEquals(50L, failed(ErrorCode.TIMED_OUT, node.invoke("demo/f")).members().get("limitMillis"));
    }
  }

  @ParameterizedTest
  @EnumSource(Shape.class)
  void killsAtTheTimeOut(Shape shape) throws Exception {
    ScriptedBackend backend = backend(shape);
    backend.script("f", (sandbox, call) -> sandbox.work(60_000));
    try (Node node = new Node(backend)) {
      node.deploy("demo/f", limits(1, Duration.ofMillis(60)));
      var problem = failed(ErrorCode.TIMED_OUT, node.invoke("demo/f"));
      assertEquals(60L, problem.members().get("limitMillis"));
      assertEquals(20L, failed(ErrorCode.TIMED_OUT, node.invoke("demo/f", Duration.ofMillis(20))).members().get("limitMillis"));
      eventually("closed", () -> backend.open.get() == 0);
      backend.script("f", (sandbox, call) -> {});
      completed(node.invoke("demo/f"));
    }
  }

  @ParameterizedTest
  @EnumSource(Shape.class)
  void aStartThatHangsIsEndedAtTheTimeOut(Shape shape) throws Exception {
    ScriptedBackend backend = backend(shape);
    backend.onStart = context -> new CountDownLatch(1).await();
    try (Node node = new Node(backend)) {
      node.deploy("demo/f", limits(1));
      failed(ErrorCode.TIMED_OUT, node.invoke("demo/f", Duration.ofMillis(40)));
      assertFalse(Thread.interrupted(), "the interrupt that ended the start is left on the caller's thread");
      backend.onStart = context -> {};
      completed(node.invoke("demo/f"));
    }
  }

  @ParameterizedTest
  @EnumSource(Shape.class)
  void anInterruptKillsTheCallAndClosesItsSandbox(Shape shape) throws Exception {
    ScriptedBackend backend = backend(shape);
    backend.script("f", (sandbox, call) -> sandbox.work(60_000));
    try (Node node = new Node(backend)) {
      node.deploy("demo/f", limits(1));
      CompletableFuture<Integer> openAfter = new CompletableFuture<>();
      Thread caller = Thread.ofVirtual().start(() -> {
        try {
          node.invoke("demo/f");
          openAfter.complete(-1);
        } catch (InterruptedException e) {
          openAfter.complete(backend.open.get());
        }
      });
      eventually("runs", () -> backend.running.get() == 1);
      caller.interrupt();
      assertEquals(0, openAfter.get());
    }
  }

  @Test
  void anInterruptThatComesAsTheCallHasEndedDoesNotHitTheNextOne() throws Exception {
    ScriptedBackend backend = ScriptedBackend.inProcess();
    CountDownLatch first = new CountDownLatch(1);
    CountDownLatch second = new CountDownLatch(1);
    backend.script("f", (sandbox, call) -> sandbox.await(sandbox.calls.get() == 1 ? first : second));
    try (Node node = new Node(backend)) {
      node.deploy("demo/f", limits(1));
      Thread caller = Thread.ofVirtual().start(() -> {
        try {
          node.invoke("demo/f");
        } catch (InterruptedException e) {
          // As it was meant.
        }
      });
      eventually("runs", () -> backend.running.get() == 1);
      // The caller is told of its end, but finds no carrier to run on.
      CountDownLatch carriers = new CountDownLatch(1);
      AtomicInteger taken = new AtomicInteger();
      int count = Integer.getInteger("jdk.virtualThreadScheduler.parallelism", Runtime.getRuntime().availableProcessors());
      for (int i = 0; i < count; i++) {
        Thread.ofVirtual().start(() -> {
          taken.incrementAndGet();
          while (carriers.getCount() > 0) {
            Thread.onSpinWait();
          }
        });
      }
      FutureTask<Outcome> next = new FutureTask<>(() -> node.invoke("demo/f"));
      try {
        eventually("no carrier is free", () -> taken.get() == count);
        first.countDown();
        eventually("ended", () -> node.scheduler.desk().idle() == 1);
        Thread.ofPlatform().start(next);
        eventually("the next one has the sandbox", () -> backend.running.get() == 1);
        caller.interrupt();
      } finally {
        carriers.countDown();
      }
      caller.join();
      second.countDown();
      completed(next.get());
    }
  }

  @ParameterizedTest
  @EnumSource(Shape.class)
  void anInterruptWhileWaitingLeavesTheLine(Shape shape) throws Exception {
    ScriptedBackend backend = backend(shape);
    CountDownLatch go = backend.hold("f");
    try (Node node = new Node(backend)) {
      node.deploy("demo/f", limits(1));
      CompletableFuture<Outcome> running = node.start("demo/f");
      eventually("runs", () -> backend.running.get() == 1);
      CompletableFuture<Boolean> interrupted = new CompletableFuture<>();
      Thread waiter = Thread.ofVirtual().start(() -> {
        try {
          node.invoke("demo/f");
          interrupted.complete(false);
        } catch (InterruptedException e) {
          interrupted.complete(true);
        }
      });
      eventually("waits", () -> node.waiting() == 1);
      CompletableFuture<Outcome> next = node.start("demo/f");
      eventually("waits", () -> node.waiting() == 2);
      waiter.interrupt();
      assertTrue(interrupted.get());
      go.countDown();
      completed(running.get());
      completed(next.get());
    }
  }

  @ParameterizedTest
  @EnumSource(Shape.class)
  void aCrashedSandboxIsClosedAndItsPlaceFree(Shape shape) throws Exception {
    ScriptedBackend backend = backend(shape);
    backend.script("f", (sandbox, call) -> {
      sandbox.dead = true;
      throw new InstarException(ErrorCode.SANDBOX_CRASHED, "gone");
    });
    try (Node node = new Node(backend)) {
      node.deploy("demo/f", limits(1));
      for (int i = 0; i < 10; i++) {
        failed(ErrorCode.SANDBOX_CRASHED, node.invoke("demo/f"));
      }
      assertEquals(10, backend.starts.get());
      assertEquals(1, backend.mostOpen.get());
    }
  }

  @Test
  void aSandboxThatDiedWhileIdleIsReplaced() throws Exception {
    ScriptedBackend backend = ScriptedBackend.remote();
    try (Node node = new Node(backend)) {
      node.deploy("demo/f", limits(1));
      completed(node.invoke("demo/f"));
      backend.used.peek().dead = true;
      assertTrue(completed(node.invoke("demo/f")).cold());
    }
  }

  @ParameterizedTest
  @EnumSource(Shape.class)
  void aTrapLeavesAResettableSandboxInUse(Shape shape) throws Exception {
    ScriptedBackend backend = backend(shape);
    backend.script("f", (sandbox, call) -> {
      throw new InstarException(ErrorCode.FUNCTION_TRAPPED, "unreachable");
    });
    try (Node node = new Node(backend)) {
      node.deploy("demo/f", limits(1));
      failed(ErrorCode.FUNCTION_TRAPPED, node.invoke("demo/f"));
      failed(ErrorCode.FUNCTION_TRAPPED, node.invoke("demo/f"));
      assertEquals(1, backend.starts.get());
    }
  }

  @ParameterizedTest
  @EnumSource(Shape.class)
  void aBackendsOwnFaultIsTheNodesAndItsSandboxIsNotUsedAgain(Shape shape) throws Exception {
    ScriptedBackend backend = backend(shape);
    backend.script("f", (sandbox, call) -> {
      throw new IllegalStateException("a secret of the node");
    });
    try (Node node = new Node(backend)) {
      node.deploy("demo/f", limits(1));
      var problem = failed(ErrorCode.INTERNAL, node.invoke("demo/f"));
      assertFalse(problem.detail().contains("secret"));
      failed(ErrorCode.INTERNAL, node.invoke("demo/f"));
      assertEquals(2, backend.starts.get());
    }
  }

  @Test
  void aStartThatFailsGivesItsPlaceBack() throws Exception {
    ScriptedBackend backend = ScriptedBackend.inProcess();
    backend.onStart = context -> {
      throw new InstarException(ErrorCode.FUNCTION_FAILED, "exit 3");
    };
    try (Node node = new Node(settings("maxSandboxes", 1), backend)) {
      node.deploy("demo/f", limits(1));
      for (int i = 0; i < 5; i++) {
        failed(ErrorCode.FUNCTION_FAILED, node.invoke("demo/f"));
      }
      backend.onStart = context -> {};
      completed(node.invoke("demo/f"));
    }
  }

  @ParameterizedTest
  @EnumSource(Shape.class)
  void limitsTheOutput(Shape shape) throws Exception {
    ScriptedBackend backend = backend(shape);
    backend.script("exact", (sandbox, call) -> call.output().write(new byte[1000]));
    backend.script("more", (sandbox, call) -> call.output().write(new byte[1001]));
    backend.script("hides", (sandbox, call) -> {
      try {
        call.output().write(new byte[600]);
        call.output().write(new byte[600]);
      } catch (InstarException e) {
        // A backend that lets its function go on is answered the same.
      }
    });
    try (Node node = new Node(backend)) {
      for (String f : List.of("exact", "more", "hides")) {
        node.deploy("demo/" + f, limits(1));
      }
      ByteArrayOutputStream out = new ByteArrayOutputStream();
      completed(node.scheduler.invoke(node.invocation("demo/exact", InputStream.nullInputStream(), out, Optional.empty(), false)));
      assertEquals(1000, out.size());
      assertEquals(1000L, failed(ErrorCode.OUTPUT_TOO_LARGE, node.invoke("demo/more")).members().get("limitBytes"));
      failed(ErrorCode.OUTPUT_TOO_LARGE, node.invoke("demo/hides"));
    }
  }

  @ParameterizedTest
  @EnumSource(Shape.class)
  void limitsTheInput(Shape shape) throws Exception {
    ScriptedBackend backend = backend(shape);
    try (Node node = new Node(backend)) {
      node.deploy("demo/echo", limits(1));
      byte[] exact = new byte[1000];
      exact[999] = 7;
      ByteArrayOutputStream out = new ByteArrayOutputStream();
      completed(node.scheduler.invoke(node.invocation("demo/echo", new ByteArrayInputStream(exact), out, Optional.empty(), false)));
      assertArrayEquals(exact, out.toByteArray());
      Outcome tooMuch = node.scheduler.invoke(
          node.invocation("demo/echo", new ByteArrayInputStream(new byte[1001]), new ByteArrayOutputStream(), Optional.empty(), false));
      assertEquals(1000L, failed(ErrorCode.TOO_LARGE, tooMuch).members().get("limitBytes"));
    }
  }

  @Test
  void anInputThatSaysItIsTooLargeReachesNoSandbox() throws Exception {
    ScriptedBackend backend = ScriptedBackend.remote();
    try (Node node = new Node(backend)) {
      node.deploy("demo/echo", limits(1));
      Invocation call = new Invocation("x", FunctionName.parse("demo/echo"), OptionalInt.empty(),
          CallInput.of(new byte[1001]), new ByteArrayOutputStream(), Optional.empty(), false);
      failed(ErrorCode.TOO_LARGE, node.scheduler.invoke(call));
      assertEquals(0, backend.starts.get());
    }
  }

  @Test
  void aGrpcCallReachesNoSandboxThatTakesNone() throws Exception {
    for (ScriptedBackend backend : List.of(ScriptedBackend.remote(), ScriptedBackend.inProcess())) {
      try (Node node = new Node(backend)) {
        node.deploy("demo/echo", limits(1));
        ByteArrayOutputStream output = new ByteArrayOutputStream();
        Rpc rpc = new Rpc("/a.B/C", List.of(), new Rpc.Answer() {
          @Override
          public void begin(List<Rpc.Field> metadata) {
            throw new AssertionError("begun");
          }

          @Override
          public void end(List<Rpc.Field> trailers) {
            throw new AssertionError("ended");
          }
        });
        failed(ErrorCode.GRPC_UNSUPPORTED, node.scheduler.invoke(new Invocation("x", FunctionName.parse("demo/echo"), OptionalInt.empty(), CallInput.of(new byte[] {1}), output, Optional.empty(),
            false, Optional.of(rpc))));
        assertEquals(0, output.size());
        // And its sandbox is as good as before.
        assertInstanceOf(Outcome.Completed.class, node.invoke("demo/echo"));
        assertEquals(1, backend.starts.get());
      }
    }
  }

  @Test
  void aCallerThatGoesIsToldApart() throws Exception {
    ScriptedBackend backend = ScriptedBackend.inProcess();
    try (Node node = new Node(backend)) {
      node.deploy("demo/echo", limits(1));
      InputStream broken = new InputStream() {
        @Override
        public int read() throws IOException {
          throw new IOException("reset by peer");
        }
      };
      failed(ErrorCode.CALLER_GONE, node.scheduler.invoke(node.invocation("demo/echo", broken, new ByteArrayOutputStream(), Optional.empty(),
          false)));
    }
  }

  @Test
  void forceColdStartsASandboxEvenAtTheLimit() throws Exception {
    ScriptedBackend backend = ScriptedBackend.remote();
    try (Node node = new Node(backend)) {
      node.deploy("demo/f", limits(1));
      completed(node.invoke("demo/f"));
      assertTrue(completed(node.invokeCold("demo/f")).cold());
      assertTrue(completed(node.invokeCold("demo/f")).cold());
      assertEquals(3, backend.starts.get());
      assertEquals(1, backend.mostOpen.get());
    }
  }

  @Test
  void aColdCallThatWaitsIsServedWhenASandboxComesBack() throws Exception {
    ScriptedBackend backend = ScriptedBackend.remote();
    CountDownLatch go = backend.hold("f");
    try (Node node = new Node(backend)) {
      node.deploy("demo/f", limits(1));
      CompletableFuture<Outcome> running = node.start("demo/f");
      eventually("runs", () -> backend.running.get() == 1);
      CompletableFuture<Outcome> cold = Node.async(() -> node.invokeCold("demo/f"));
      eventually("waits", () -> node.waiting() == 1);
      CompletableFuture<Outcome> behind = node.start("demo/f");
      eventually("waits", () -> node.waiting() == 2);
      go.countDown();
      completed(running.get());
      assertTrue(completed(cold.get()).cold());
      completed(behind.get());
    }
  }

  @Test
  void aRemovedVersionAnswersNoNewCallAndClosesAfterTheLastOldOne() throws Exception {
    ScriptedBackend backend = ScriptedBackend.remote();
    CountDownLatch go = new CountDownLatch(1);
    backend.script("f", (sandbox, call) -> {
      sandbox.await(go);
      call.output().write(1);
    });
    try (Node node = new Node(backend)) {
      FunctionVersion version = node.deploy("demo/f", limits(1));
      CompletableFuture<Outcome> running = node.start("demo/f");
      eventually("runs", () -> backend.running.get() == 1);
      CompletableFuture<Outcome> waiting = node.start("demo/f");
      eventually("waits", () -> node.waiting() == 1);
      node.remove(version);
      failed(ErrorCode.FUNCTION_NOT_FOUND, waiting.get());
      failed(ErrorCode.FUNCTION_NOT_FOUND, node.invoke("demo/f"));
      assertEquals(1, backend.openPrepared.get(), "closed under a call");
      // Made again under the same name and number: other sandboxes.
      node.deploy("demo/f", limits(1));
      CompletableFuture<Outcome> again = node.start("demo/f");
      eventually("both run", () -> backend.running.get() == 2);
      go.countDown();
      completed(running.get());
      completed(again.get());
      assertEquals(2, backend.usedIds().stream().distinct().count());
      eventually("the removed one's are closed", () -> backend.openPrepared.get() == 1 && backend.open.get() == 1);
    }
  }

  @Test
  void aRemovalDuringThePreparationLeavesNothing() throws Exception {
    ScriptedBackend backend = ScriptedBackend.remote();
    CountDownLatch go = new CountDownLatch(1);
    backend.onPrepare = request -> go.await();
    try (Node node = new Node(backend)) {
      FunctionVersion version = node.deploy("demo/f", limits(1));
      CompletableFuture<Outcome> call = node.start("demo/f");
      eventually("prepares", () -> backend.prepares.get() == 1);
      node.remove(version);
      go.countDown();
      failed(ErrorCode.FUNCTION_NOT_FOUND, call.get());
      eventually("closed", () -> backend.openPrepared.get() == 0);
    }
  }

  @Test
  void forgetsWhatWasPreparedButNotPublished() throws Exception {
    ScriptedBackend backend = ScriptedBackend.remote();
    try (Node node = new Node(backend)) {
      FunctionVersion version = node.version("demo/f", limits(1), new Variant(Node.DIGEST, Variant.WASM, Optional.empty()));
      node.scheduler.prepare(version);
      node.scheduler.prepare(version);
      assertEquals(1, backend.openPrepared.get());
      node.scheduler.forget(version);
      assertEquals(0, backend.openPrepared.get());
      assertEquals(1, backend.prepares.get());
    }
  }

  @Test
  void aBackendIsAskedAnewWhenItsConfigurationChanges() throws Exception {
    ScriptedBackend backend = new ScriptedBackend("one", Shape.REMOTE, false);
    try (Node node = new Node(backend)) {
      node.deploy("demo/f", limits(1));
      completed(node.invoke("demo/f"));
      backend.probe = new Probe.Missing("the program nosuch", "Install it.");
      node.scheduler.updatedBackend(backend);
      Node.eventually("told", () -> node.scheduler.backends().getFirst().probe() instanceof Probe.Missing);
      backend.probe = new Probe.Usable("the other program");
      node.scheduler.updatedBackend(backend);
      Node.eventually("told again", () -> node.scheduler.backends().getFirst().probe().equals(new Probe.Usable("the other program")));
      completed(node.invoke("demo/f"));
      node.scheduler.updatedBackend(new ScriptedBackend("other", Shape.REMOTE, false));
    }
  }

  @Test
  void picksByNameThenByRankingThenTheNewest() throws Exception {
    ScriptedBackend low = new ScriptedBackend("low", Shape.REMOTE, false);
    ScriptedBackend high = new ScriptedBackend("high", Shape.REMOTE, false);
    ScriptedBackend missing = new ScriptedBackend("best", Shape.REMOTE, false);
    missing.probe = new Probe.Missing("no /dev/kvm", "modprobe kvm");
    try (Node node = new Node(low)) {
      node.bind(high, 5);
      node.bind(missing, 10);
      node.deploy("demo/any", limits(1));
      node.deploy("demo/low", limits(1), new Variant(Node.DIGEST, Variant.WASM, Optional.of("low")));
      assertEquals("high", completed(node.invoke("demo/any")).backend());
      assertEquals("low", completed(node.invoke("demo/low")).backend());
      ScriptedBackend newer = new ScriptedBackend("low", Shape.REMOTE, false);
      node.bind(newer, -1);
      completed(node.invoke("demo/low"));
      assertEquals(1, newer.used.size());
      List<BackendStatus> statuses = node.scheduler.backends();
      assertEquals(List.of("best 1", "high 1", "low 1", "low 2"), statuses.stream().map(s -> s.description().name() + " " + s.generation()).toList());
      FunctionVersion best = node.deploy("demo/best", limits(1), new Variant(Node.DIGEST, Variant.WASM, Optional.of("best")));
      node.scheduler.apply(settings("backendWait", Duration.ZERO));
      InstarException refused = assertThrows(InstarException.class, () -> node.scheduler.prepare(best));
      assertTrue(refused.problem().detail().contains("/dev/kvm") && refused.problem().detail().contains("modprobe kvm"), refused.problem().detail());
    }
  }

  @Test
  void whatOneBackendRefusesAnotherMayRun() throws Exception {
    ScriptedBackend one = new ScriptedBackend("one", Shape.REMOTE, false);
    ScriptedBackend two = new ScriptedBackend("two", Shape.REMOTE, false);
    one.onPrepare = request -> {
      throw new InstarException(ErrorCode.MODULE_REFUSED, "one cannot");
    };
    try (Node node = new Node(one)) {
      FunctionVersion any = node.deploy("demo/any", limits(1));
      assertEquals("one cannot", failed(ErrorCode.MODULE_REFUSED, node.invoke("demo/any")).detail());
      node.bind(two, -1);
      assertEquals("two", completed(node.invoke("demo/any")).backend());
      node.scheduler.prepare(any);
      assertEquals("two", completed(node.invoke("demo/any")).backend());
      assertEquals(2, one.prepares.get());
      node.deploy("demo/named", limits(1), new Variant(Node.DIGEST, Variant.WASM, Optional.of("one")));
      failed(ErrorCode.MODULE_REFUSED, node.invoke("demo/named"));
      two.onPrepare = request -> {
        throw new InstarException(ErrorCode.MODULE_REFUSED, "two cannot either");
      };
      node.deploy("demo/none", limits(1));
      assertEquals("two cannot either", failed(ErrorCode.MODULE_REFUSED, node.invoke("demo/none")).detail());
      node.unbind(two);
      assertEquals("one cannot", failed(ErrorCode.MODULE_REFUSED, node.invoke("demo/none")).detail());
    }
  }

  @Test
  void takesTheFirstVariantThatCanRun() throws Exception {
    ScriptedBackend one = new ScriptedBackend("one", Shape.REMOTE, false);
    ScriptedBackend two = new ScriptedBackend("two", Shape.REMOTE, false);
    try (Node node = new Node(one, two)) {
      node.deploy("demo/h", limits(1), new Variant(Node.DIGEST, Variant.WASM, Optional.of("one")),
          new Variant(Node.DIGEST, Variant.WASM, Optional.of("two")));
      assertEquals("one", completed(node.invoke("demo/h")).backend());
      node.unbind(one);
      assertEquals("two", completed(node.invoke("demo/h")).backend());
    }
  }

  @Test
  void aPolicyPlacesTheCallsOfFunctionsWithSeveralVariants() throws Exception {
    ScriptedBackend one = new ScriptedBackend("one", Shape.REMOTE, false);
    ScriptedBackend two = new ScriptedBackend("two", Shape.REMOTE, false);
    List<PlacementPolicy.Candidate> seen = new CopyOnWriteArrayList<>();
    PlacementPolicy last = (version, candidates) -> {
      seen.clear();
      seen.addAll(candidates);
      return candidates.size() - 1;
    };
    try (Node node = new Node(one, two)) {
      node.deploy("demo/h", limits(1), new Variant(Node.DIGEST, Variant.WASM, Optional.of("one")), new Variant(Node.DIGEST, Variant.WASM, Optional.of("two")));
      node.deploy("demo/single", limits(1), new Variant(Node.DIGEST, Variant.WASM, Optional.of("one")));
      completed(node.invoke("demo/h"));
      node.scheduler.bindPlacement(last);
      assertEquals("two", completed(node.invoke("demo/h")).backend());
      assertEquals(List.of(new PlacementPolicy.Candidate(0, Variant.WASM, "one", true, 1, 0), new PlacementPolicy.Candidate(1, Variant.WASM, "two", false, 0, 0)), seen);
      seen.clear();
      assertEquals("one", completed(node.invoke("demo/single")).backend());
      assertEquals(List.of(), seen, "nobody is asked where there is no choice");
      PlacementPolicy first = (version, candidates) -> 0;
      node.scheduler.bindPlacement(first);
      node.scheduler.unbindPlacement(last);
      assertEquals("one", completed(node.invoke("demo/h")).backend(), "a swapped policy");
      node.unbind(one);
      assertEquals("two", completed(node.invoke("demo/h")).backend(), "what is not here is no candidate");
      node.scheduler.unbindPlacement(first);
      assertEquals("two", completed(node.invoke("demo/h")).backend());
    }
  }

  @Test
  void aFaultyPolicyCostsNoCall() throws Exception {
    try (Node node = new Node(new ScriptedBackend("one", Shape.REMOTE, false), new ScriptedBackend("two", Shape.REMOTE, false))) {
      node.deploy("demo/h", limits(1), new Variant(Node.DIGEST, Variant.WASM, Optional.of("one")), new Variant(Node.DIGEST, Variant.WASM, Optional.of("two")));
      for (int wrong : List.of(-1, 2, Integer.MAX_VALUE)) {
        node.scheduler.bindPlacement((version, candidates) -> wrong);
        assertEquals("one", completed(node.invoke("demo/h")).backend(), "chosen " + wrong);
      }
      node.scheduler.bindPlacement((version, candidates) -> {
        throw new IllegalStateException("no idea");
      });
      assertEquals("one", completed(node.invoke("demo/h")).backend());
    }
  }

  private static Limits timeAndStack(Duration runTime, long stack) {
    Limits d = limits(1);
    return new Limits(d.memoryBytes(), d.tableElements(), stack, d.timeout(), runTime, d.inputBytes(), d.outputBytes(), d.logBytes(), d.openFiles(),
        d.fileBytes(), d.madeFiles(), d.concurrency());
  }

  @ParameterizedTest
  @EnumSource(Shape.class)
  void theRunTimeEndsACallBeforeItsTimeOut(Shape shape) throws Exception {
    ScriptedBackend backend = backend(shape).script("slow", (sandbox, call) -> sandbox.work(20_000));
    try (Node node = new Node(backend)) {
      node.deploy("demo/slow", timeAndStack(Duration.ofMillis(100), 1 << 20));
      var problem = failed(ErrorCode.RAN_TOO_LONG, node.invoke("demo/slow"));
      assertEquals(100L, problem.members().get("limitMillis"));
      failed(ErrorCode.TIMED_OUT, node.invoke("demo/slow", Duration.ofMillis(20)));
      node.deploy("demo/quick", timeAndStack(Duration.ofMillis(5000), 1 << 20));
      completed(node.invoke("demo/quick"));
    }
  }

  private static int depth(int[] reached) {
    reached[0]++;
    return depth(reached) + 1;
  }

  @Test
  void aFunctionHasTheStackThatItAsksForUpToTheNodes() throws Exception {
    int[] reached = {0};
    ScriptedBackend backend = ScriptedBackend.inProcess();
    for (String name : List.of("small", "large", "huge")) {
      backend.script(name, (sandbox, call) -> {
        reached[0] = 0;
        try {
          depth(reached);
        } catch (StackOverflowError e) {
          throw new InstarException(ErrorCode.STACK_OVERFLOW, "call stack exhausted.");
        }
      });
    }
    try (Node node = new Node(Node.settings("inProcessStackMib", 8), backend)) {
      node.deploy("demo/small", timeAndStack(Duration.ofSeconds(20), 1 << 20));
      node.deploy("demo/large", timeAndStack(Duration.ofSeconds(20), 8 << 20));
      node.deploy("demo/huge", timeAndStack(Duration.ofSeconds(20), 256 << 20));
      // Compiled and interpreted frames differ in size; the second round is compiled.
      node.invoke("demo/large");
      assertEquals(1L << 20, failed(ErrorCode.STACK_OVERFLOW, node.invoke("demo/small")).members().get("limitBytes"));
      int small = reached[0];
      assertEquals(8L << 20, failed(ErrorCode.STACK_OVERFLOW, node.invoke("demo/large")).members().get("limitBytes"));
      assertTrue(reached[0] > 2 * small, reached[0] + " and " + small);
      Problem huge = failed(ErrorCode.STACK_OVERFLOW, node.invoke("demo/huge"));
      assertEquals(8L << 20, huge.members().get("limitBytes"));
      assertTrue(huge.detail().contains("in-process-stack-mib"), huge.detail());
    }
  }

  @Test
  void roomIsMadeByTheUsersOwnIdleSandboxesFirstAndNeverByThoseInUse() throws Exception {
    ScriptedBackend backend = ScriptedBackend.inProcess();
    try (Node node = new Node(backend)) {
      node.deploy("other/old", limits(1));
      completed(node.invoke("other/old"));
      Thread.sleep(1100);
      node.deploy("demo/own", limits(1));
      completed(node.invoke("demo/own"));
      node.deploy("other/warm", limits(1));
      completed(node.invoke("other/warm"));
      List<Boolean> made = new ArrayList<>();
      List<String> closed = new ArrayList<>();
      backend.onStart = context -> {
        for (int i = 0; i < 3; i++) {
          made.add(context.room().make());
          closed.add(backend.closed.stream().map(sandbox -> sandbox.prepared.request.version().name().toString()).toList().toString());
        }
      };
      node.deploy("demo/needy", limits(1));
      completed(node.invoke("demo/needy"));
      assertEquals(List.of(true, true, false), made);
      assertEquals(List.of("[demo/own]", "[demo/own, other/old]", "[demo/own, other/old]"), closed);
      backend.onStart = context -> {};
    }
  }

  @Test
  void aPreparationMakesRoomAsAStartDoes() throws Exception {
    ScriptedBackend backend = ScriptedBackend.inProcess();
    try (Node node = new Node(backend)) {
      node.deploy("other/warm", limits(1));
      completed(node.invoke("other/warm"));
      node.deploy("demo/own", limits(1));
      completed(node.invoke("demo/own"));
      List<Boolean> made = new ArrayList<>();
      backend.onPrepare = request -> {
        made.add(request.room().make());
        made.add(request.room().make());
      };
      node.deploy("demo/needy", limits(1));
      completed(node.invoke("demo/needy"));
      assertEquals(List.of(true, false), made);
      assertEquals(List.of("demo/own"), backend.closed.stream().map(sandbox -> sandbox.prepared.request.version().name().toString()).toList());
      backend.onPrepare = request -> {};
    }
  }

  @Test
  void describesHowAVersionRuns() throws Exception {
    ScriptedBackend backend = ScriptedBackend.inProcess();
    try (Node node = new Node(backend)) {
      FunctionVersion version = node.deploy("demo/f", limits(3));
      var facts = node.scheduler.describe(version);
      assertEquals("scripted", facts.get("backend"));
      assertEquals("script", facts.get("entry"));
      assertEquals("all", facts.get("reset"));
      assertEquals("3", facts.get("concurrency"));
      assertEquals("20000", facts.get("timeoutMillis"));
      assertEquals("20000", facts.get("runTimeMillis"));
      assertEquals(Long.toString(1L << 20), facts.get("stackBytes"));
      assertEquals("timeout, runTime, input, output, log, concurrency, stack", facts.get("limitsHonoured"));
      node.remove(version);
      assertEquals(ErrorCode.VERSION_NOT_FOUND, assertThrows(InstarException.class, () -> node.scheduler.describe(version)).code());
    }
  }

  @Test
  void callsWaitWhileTheirOnlyBackendIsAway() throws Exception {
    ScriptedBackend first = ScriptedBackend.inProcess();
    try (Node node = new Node(first)) {
      node.deploy("demo/f", limits(3));
      completed(node.invoke("demo/f"));
      node.unbind(first);
      List<CompletableFuture<Outcome>> calls = new ArrayList<>();
      for (int i = 0; i < 50; i++) {
        calls.add(node.start("demo/f"));
      }
      eventually("wait", () -> node.waiting() == 50);
      ScriptedBackend second = ScriptedBackend.inProcess();
      node.bind(second, 0);
      allCompleted(calls);
      assertEquals(50, second.used.size());
      assertEquals(2, node.scheduler.backends().getFirst().generation());
    }
  }

  @Test
  void aBackendThatStaysAwayIsToldWithATimeToComeBack() throws Exception {
    ScriptedBackend backend = ScriptedBackend.inProcess();
    try (Node node = new Node(settings("backendWait", Duration.ofMillis(30)), backend)) {
      node.deploy("demo/f", limits(3));
      node.unbind(backend);
      assertTrue(failed(ErrorCode.BACKEND_UNAVAILABLE, node.invoke("demo/f")).retryAfter().isPresent());
    }
  }

  @Test
  void aDrainLetsRunningCallsEndAndSendsTheOthersElsewhere() throws Exception {
    ScriptedBackend old = ScriptedBackend.remote();
    ScriptedBackend fresh = ScriptedBackend.remote();
    CountDownLatch go = new CountDownLatch(1);
    old.script("f", (sandbox, call) -> sandbox.await(go));
    try (Node node = new Node(old)) {
      node.deploy("demo/f", limits(1));
      CompletableFuture<Outcome> running = node.start("demo/f");
      eventually("runs", () -> old.running.get() == 1);
      CompletableFuture<Outcome> waiting = node.start("demo/f");
      eventually("waits", () -> node.waiting() == 1);
      node.bind(fresh, 0);
      CompletableFuture<Void> unbound = Node.async(() -> {
        node.unbind(old);
        return null;
      });
      completed(waiting.get());
      assertEquals(1, fresh.used.size());
      assertFalse(unbound.isDone());
      assertEquals(BackendStatus.State.DRAINING, node.scheduler.backends().getFirst().state());
      go.countDown();
      completed(running.get());
      unbound.get();
    }
  }

  @ParameterizedTest
  @EnumSource(Shape.class)
  void aDrainThatTakesTooLongKills(Shape shape) throws Exception {
    ScriptedBackend backend = backend(shape);
    backend.script("f", (sandbox, call) -> sandbox.work(60_000));
    try (Node node = new Node(settings("drain", Duration.ofMillis(50)), backend)) {
      node.deploy("demo/f", limits(1));
      CompletableFuture<Outcome> running = node.start("demo/f");
      eventually("runs", () -> backend.running.get() == 1);
      node.unbind(backend);
      assertTrue(failed(ErrorCode.BACKEND_UNAVAILABLE, running.get()).retryAfter().isPresent());
    }
  }

  @Test
  void aDrainEndsAPreparationToo() throws Exception {
    ScriptedBackend backend = ScriptedBackend.remote();
    backend.onPrepare = request -> new CountDownLatch(1).await();
    try (Node node = new Node(settings("drain", Duration.ofMillis(50), "backendWait", Duration.ofMillis(50)), backend)) {
      node.deploy("demo/f", limits(1));
      CompletableFuture<Outcome> call = node.start("demo/f");
      eventually("prepares", () -> backend.prepares.get() == 1);
      node.unbind(backend);
      failed(ErrorCode.BACKEND_UNAVAILABLE, call.get());
    }
  }

  @Test
  void stoppingRefusesDrainsAndLeavesNoThread() throws Exception {
    ScriptedBackend backend = ScriptedBackend.inProcess();
    CountDownLatch go = backend.hold("f");
    try (Node node = new Node(backend)) {
      node.deploy("demo/f", limits(1));
      CompletableFuture<Outcome> running = node.start("demo/f");
      eventually("runs", () -> backend.running.get() == 1);
      CompletableFuture<Outcome> waiting = node.start("demo/f");
      eventually("waits", () -> node.waiting() == 1);
      CompletableFuture<Void> stopped = Node.async(() -> {
        node.stop();
        return null;
      });
      assertTrue(failed(ErrorCode.NOT_READY, waiting.get()).retryAfter().isPresent());
      failed(ErrorCode.NOT_READY, node.invoke("demo/f"));
      assertFalse(stopped.isDone());
      go.countDown();
      completed(running.get());
      stopped.get();
    }
    eventually("threads end", () -> Thread.getAllStackTraces().keySet().stream().noneMatch(t -> t.getName().startsWith("instar-")));
  }

  @Test
  void isNotReadyWithoutARegistry() throws Exception {
    try (Node node = new Node(ScriptedBackend.remote())) {
      node.scheduler.registry = null;
      failed(ErrorCode.NOT_READY, node.invoke("demo/f"));
    }
  }

  @Test
  void loweredCapsHoldAsSandboxesComeBackAndRaisedOnesAtOnce() throws Exception {
    ScriptedBackend backend = ScriptedBackend.remote();
    AtomicInteger round = new AtomicInteger();
    List<CountDownLatch> gates = List.of(new CountDownLatch(1), new CountDownLatch(1));
    backend.script("f", (sandbox, call) -> sandbox.await(gates.get(round.get())));
    try (Node node = new Node(backend)) {
      node.deploy("demo/f", limits(10));
      List<CompletableFuture<Outcome>> calls = new ArrayList<>();
      for (int i = 0; i < 6; i++) {
        calls.add(node.start("demo/f"));
      }
      eventually("six run", () -> backend.running.get() == 6);
      node.scheduler.apply(settings("maxSandboxes", 2));
      gates.getFirst().countDown();
      allCompleted(calls);
      eventually("two left", () -> backend.open.get() <= 2);
      round.set(1);
      calls.clear();
      for (int i = 0; i < 5; i++) {
        calls.add(node.start("demo/f"));
      }
      eventually("two run, three wait", () -> backend.running.get() == 2 && node.waiting() == 3);
      node.scheduler.apply(settings("maxSandboxes", 5));
      eventually("all run", () -> backend.running.get() == 5);
      gates.getLast().countDown();
      allCompleted(calls);
      node.scheduler.apply(settings("maxIdle", 1));
      eventually("one left", () -> backend.open.get() == 1);
    }
  }

  @Test
  void inProcessThreadsFollowTheConfiguration() throws Exception {
    ScriptedBackend backend = ScriptedBackend.inProcess();
    CountDownLatch go = backend.hold("f");
    try (Node node = new Node(settings("inProcessThreads", 1), backend)) {
      node.deploy("demo/f", limits(10));
      List<CompletableFuture<Outcome>> calls = List.of(node.start("demo/f"), node.start("demo/f"), node.start("demo/f"));
      eventually("one runs", () -> backend.running.get() == 1 && node.waiting() == 2);
      node.scheduler.apply(settings("inProcessThreads", 3));
      eventually("three run", () -> backend.running.get() == 3);
      node.scheduler.apply(settings("inProcessThreads", 2));
      go.countDown();
      allCompleted(calls);
    }
  }

  @Test
  void theLogsSinkIsClosedWhenTheCallerHasItsAnswer() throws Exception {
    ScriptedBackend backend = ScriptedBackend.inProcess();
    backend.script("f", (sandbox, call) -> call.log().write("hi".getBytes(StandardCharsets.UTF_8), 0, 2));
    List<String> log = new CopyOnWriteArrayList<>();
    try (Node node = new Node(backend)) {
      node.scheduler.logs = new RecordingLogs(log);
      node.deploy("demo/f", limits(1));
      completed(node.invoke("demo/f"));
      assertEquals(List.of("open demo/f@1 1000", "hi", "close"), log);
    }
  }

  @Test
  void aCallThatFailsAfterItHasBegunToAnswerHasItsReasonInTheLog() throws Exception {
    ScriptedBackend backend = ScriptedBackend.inProcess();
    backend.script("late", (sandbox, call) -> {
      call.output().write(new byte[5]);
      throw new InstarException(ErrorCode.FUNCTION_TRAPPED, "It trapped.");
    });
    backend.script("early", (sandbox, call) -> {
      throw new InstarException(ErrorCode.FUNCTION_TRAPPED, "It trapped.");
    });
    backend.script("left", (sandbox, call) -> {
      call.output().write(new byte[5]);
      throw new InstarException(ErrorCode.CALLER_GONE, "Nobody reads.");
    });
    List<String> log = new CopyOnWriteArrayList<>();
    try (Node node = new Node(backend)) {
      node.scheduler.logs = new RecordingLogs(log);
      for (String name : List.of("late", "early", "left")) {
        node.deploy("demo/" + name, limits(1));
      }
      failed(ErrorCode.FUNCTION_TRAPPED, node.invoke("demo/late"));
      // Not in the sink of the function, whose limit may be used up.
      assertEquals(List.of("open demo/late@1 1000", "close",
          "open demo/late@1 8192", "[failed after 5 bytes of its answer: function-trapped: It trapped.]", "close"), log);
      log.clear();
      failed(ErrorCode.FUNCTION_TRAPPED, node.invoke("demo/early"));
      failed(ErrorCode.CALLER_GONE, node.invoke("demo/left"));
      assertEquals(List.of("open demo/early@1 1000", "close", "open demo/left@1 1000", "close"), log);
    }
  }

  @Test
  void aCallThatIgnoresItsKillDoesNotHoldItsCaller() throws Exception {
    ScriptedBackend backend = ScriptedBackend.inProcess();
    CountDownLatch go = new CountDownLatch(1);
    backend.script("f", (sandbox, call) -> {
      go.await();
      try {
        call.output().write(1);
        backend.faults.add("wrote after its call had ended");
      } catch (IOException expected) {
        // The call has ended.
      }
    });
    try (Node node = new Node(backend)) {
      node.deploy("demo/f", limits(1));
      failed(ErrorCode.TIMED_OUT, node.invoke("demo/f", Duration.ofMillis(10)));
      assertEquals(1, backend.running.get());
      go.countDown();
      eventually("ends", () -> backend.open.get() == 0);
    }
  }

  @Test
  void theActiveVersionIsCalledAndAnyByItsNumber() throws Exception {
    ScriptedBackend backend = ScriptedBackend.remote();
    try (Node node = new Node(backend)) {
      FunctionVersion one = node.deploy("demo/f", limits(1));
      FunctionVersion two = new FunctionVersion(one.name(), 2, "uid-two", one.created(), one.spec());
      node.functions.put(one.name(), new Function(one.name(), List.of(one, two), 2, Optional.of(1)));
      assertEquals(2, completed(node.invoke("demo/f")).version().number());
      Invocation call = new Invocation("x", one.name(), OptionalInt.of(1), CallInput.of(new byte[0]),
          new ByteArrayOutputStream(), Optional.empty(), false);
      assertEquals(1, completed(node.scheduler.invoke(call)).version().number());
      Invocation none = new Invocation("x", one.name(), OptionalInt.of(3), CallInput.of(new byte[0]),
          new ByteArrayOutputStream(), Optional.empty(), false);
      failed(ErrorCode.VERSION_NOT_FOUND, node.scheduler.invoke(none));
      failed(ErrorCode.FUNCTION_NOT_FOUND, node.invoke("demo/none"));
    }
  }

  @Test
  void anInterruptedPublisherLeavesThePreparationToOthers() throws Exception {
    ScriptedBackend backend = ScriptedBackend.remote();
    CountDownLatch go = new CountDownLatch(1);
    backend.onPrepare = request -> go.await();
    try (Node node = new Node(backend)) {
      FunctionVersion version = node.deploy("demo/f", limits(1));
      CompletableFuture<Outcome> caller = node.start("demo/f");
      eventually("prepares", () -> backend.prepares.get() == 1);
      CompletableFuture<Void> result = new CompletableFuture<>();
      Thread publisher = Thread.ofVirtual().start(() -> {
        try {
          node.scheduler.prepare(version);
          result.complete(null);
        } catch (InterruptedException e) {
          result.completeExceptionally(e);
        }
      });
      publisher.interrupt();
      assertInstanceOf(InterruptedException.class, assertThrows(ExecutionException.class, () -> result.get(10, TimeUnit.SECONDS)).getCause());
      go.countDown();
      completed(caller.get(10, TimeUnit.SECONDS));
      assertEquals(1, backend.prepares.get());
    }
  }
}
