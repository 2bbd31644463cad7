package dev.instar.scheduler;

import static dev.instar.scheduler.Node.completed;
import static dev.instar.scheduler.Node.eventually;
import static dev.instar.scheduler.Node.failed;
import static dev.instar.scheduler.Node.limits;
import static dev.instar.scheduler.Node.settings;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.ErrorCode;
import dev.instar.api.invocation.Invocation;
import dev.instar.api.invocation.Outcome;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Calls for whose outcome no thread sleeps. */
@Timeout(60)
class BeginTest {
  private final ScriptedBackend backend = ScriptedBackend.inProcess();
  private final CompletableFuture<Optional<Outcome>> told = new CompletableFuture<>();
  private volatile Thread teller;

  private void tell(Optional<Outcome> outcome) {
    teller = Thread.currentThread();
    if (!told.complete(outcome)) {
      backend.faults.add("told twice");
    }
  }

  private Optional<Runnable> begin(Node node, String name) {
    return node.scheduler.begin(node.invocation(name), this::tell);
  }

  @Test
  void theThreadThatRanItTellsTheOutcome() throws Exception {
    try (Node node = new Node(backend)) {
      node.deploy("demo/echo", limits(4));
      completed(node.invoke("demo/echo"));
      ByteArrayOutputStream out = new ByteArrayOutputStream();
      Invocation call = node.invocation("demo/echo", new ByteArrayInputStream("hello".getBytes(StandardCharsets.UTF_8)), out, Optional.empty(), false);
      assertTrue(node.scheduler.begin(call, this::tell).isPresent());
      completed(told.get().orElseThrow());
      assertEquals("hello", out.toString(StandardCharsets.UTF_8));
      assertTrue(teller.getName().startsWith("instar-in-process-"), teller::getName);
      eventually("reset as any other", () -> backend.resets.get() == 2);
    }
  }

  @Test
  void whatHasToBeWaitedForIsNotBegun() throws Exception {
    ScriptedBackend remote = new ScriptedBackend("remote", dev.instar.api.sandbox.BackendDescription.Shape.REMOTE, false);
    try (Node node = new Node(remote)) {
      assertTrue(begin(node, "demo/unknown").isEmpty());
      node.deploy("demo/echo", limits(4));
      completed(node.invoke("demo/echo"));
      assertTrue(begin(node, "demo/echo").isEmpty(), "in a sandbox elsewhere, which is waited for");
    }
    try (Node node = new Node(backend)) {
      node.deploy("demo/echo", limits(4));
      assertTrue(begin(node, "demo/echo").isEmpty(), "not prepared yet");
      completed(node.invoke("demo/echo"));
      Invocation long0 = node.invocation("demo/echo", new ByteArrayInputStream(new byte[1]), new ByteArrayOutputStream(), Optional.empty(), true);
      assertTrue(node.scheduler.begin(long0, this::tell).isPresent(), "a cold start of what is prepared takes its turn only");
      assertTrue(completed(told.get().orElseThrow()).cold());
    }
    assertEquals(1, remote.starts.get());
  }

  @Test
  void itWaitsForItsTurn() throws Exception {
    CountDownLatch go = backend.hold("slow");
    try (Node node = new Node(settings("inProcessThreads", 1), backend)) {
      node.deploy("demo/slow", limits(4));
      node.deploy("demo/echo", limits(4));
      completed(node.invoke("demo/echo"));
      CompletableFuture<Outcome> first = node.start("demo/slow");
      eventually("runs", () -> backend.running.get() == 1);
      assertTrue(begin(node, "demo/echo").isPresent());
      eventually("waits", () -> node.waiting() == 1);
      assertFalse(told.isDone());
      go.countDown();
      completed(told.get().orElseThrow());
      completed(first.get());
    }
  }

  @Test
  void oneThatRunsCanBeEnded() throws Exception {
    backend.hold("slow");
    try (Node node = new Node(settings("drain", Duration.ofMillis(100)), backend)) {
      node.deploy("demo/slow", limits(4));
      CompletableFuture<Outcome> other = node.start("demo/slow");
      eventually("prepared", () -> backend.running.get() == 1);
      Runnable end = begin(node, "demo/slow").orElseThrow();
      eventually("runs", () -> backend.running.get() == 2);
      end.run();
      assertTrue(told.get().orElseThrow() instanceof Outcome.Failed);
      eventually("its sandbox is closed", () -> backend.open.get() == 1);
      assertFalse(other.isDone(), "another call was hit");
      end.run();
      node.stop();
      failed(ErrorCode.BACKEND_UNAVAILABLE, other.get());
    }
  }

  @Test
  void oneThatWaitsCanBeEnded() throws Exception {
    CountDownLatch go = backend.hold("slow");
    try (Node node = new Node(backend)) {
      node.deploy("demo/slow", limits(1));
      CompletableFuture<Outcome> other = node.start("demo/slow");
      eventually("runs", () -> backend.running.get() == 1);
      Runnable end = begin(node, "demo/slow").orElseThrow();
      eventually("waits", () -> node.waiting() == 1);
      end.run();
      assertTrue(told.get().orElseThrow() instanceof Outcome.Failed);
      assertEquals(0, node.waiting());
      go.countDown();
      completed(other.get());
      assertEquals(1, backend.starts.get());
    }
  }

  @Test
  void itsTimeEndsWhetherItWaitsOrRuns() throws Exception {
    CountDownLatch go = backend.hold("slow");
    try (Node node = new Node(settings("inProcessThreads", 1, "queueWait", Duration.ofMillis(100)), backend)) {
      node.deploy("demo/slow", limits(4, Duration.ofSeconds(20)));
      node.deploy("demo/brief", limits(4, Duration.ofMillis(100)));
      completed(node.invoke("demo/brief"));
      CompletableFuture<Outcome> other = node.start("demo/slow");
      eventually("runs", () -> backend.running.get() == 1);
      assertTrue(begin(node, "demo/brief").isPresent());
      failed(ErrorCode.TIMED_OUT, told.get().orElseThrow());
      go.countDown();
      completed(other.get());
      CountDownLatch never = backend.hold("brief");
      CompletableFuture<Optional<Outcome>> second = new CompletableFuture<>();
      assertTrue(node.scheduler.begin(node.invocation("demo/brief"), second::complete).isPresent());
      failed(ErrorCode.TIMED_OUT, second.get().orElseThrow());
      never.countDown();
    }
  }

  @Test
  void whoseChoiceGoesWhileItWaitsIsSentToInvoke() throws Exception {
    CountDownLatch go = backend.hold("slow");
    try (Node node = new Node(backend)) {
      var version = node.deploy("demo/slow", limits(1));
      CompletableFuture<Outcome> other = node.start("demo/slow");
      eventually("runs", () -> backend.running.get() == 1);
      assertTrue(begin(node, "demo/slow").isPresent());
      eventually("waits", () -> node.waiting() == 1);
      node.remove(version);
      assertEquals(Optional.empty(), told.get());
      assertEquals(0, node.waiting());
      go.countDown();
      completed(other.get());
    }
  }
}
