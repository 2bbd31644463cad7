package dev.instar.scheduler;

import static dev.instar.scheduler.Node.async;
import static dev.instar.scheduler.Node.completed;
import static dev.instar.scheduler.Node.eventually;
import static dev.instar.scheduler.Node.failed;
import static dev.instar.scheduler.Node.settings;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.function.FunctionName;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.invocation.Outcome;
import dev.instar.api.sandbox.BackendDescription.Shape;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.slf4j.LoggerFactory;

/** Whose initialised state is stored, and when. */
@Timeout(60)
class CheckpointsTest {
  /** Sweeps come every five milliseconds. */
  private static final Settings SWEEPING = settings("idleReplaced", Duration.ofMillis(20));

  private final ScriptedBackend backend = ScriptedBackend.remote();
  private final ListAppender<ILoggingEvent> log = new ListAppender<>();
  private final AtomicInteger others = new AtomicInteger();

  CheckpointsTest() {
    backend.onCheckpoint = request -> {};
  }

  @BeforeEach
  void listen() {
    log.start();
    logger().setLevel(Level.INFO);
    // What is told here is meant to be.
    logger().setAdditive(false);
    logger().addAppender(log);
  }

  @AfterEach
  void nothingIsLeft() {
    logger().detachAppender(log);
    logger().setAdditive(true);
    logger().setLevel(null);
    assertEquals(0, backend.storing.get());
    eventually("threads end", () -> Thread.getAllStackTraces().keySet().stream().noneMatch(t -> t.getName().equals("instar-checkpoint")));
  }

  private static Logger logger() {
    return (Logger) LoggerFactory.getLogger(Checkpoints.class);
  }

  private List<String> told() {
    List<ILoggingEvent> events;
    synchronized (log) {
      events = List.copyOf(log.list);
    }
    return events.stream().map(event -> event.getLevel() + " " + event.getFormattedMessage()).toList();
  }

  private static void prepare(Node node, FunctionVersion version) {
    try {
      node.scheduler.prepare(version);
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  private boolean stored(String name) {
    return backend.checkpoints.contains(name);
  }

  private void eventuallyStored(String name) {
    eventually(name + " is stored", () -> stored(name));
  }

  /** Returns when all has been looked at that was there before. */
  private void lookAtAll(Node node) {
    for (int i = 0; i < 3; i++) {
      String name = "other/f" + others.incrementAndGet();
      prepare(node, node.deploy(name, "deploy"));
      eventuallyStored(name);
    }
  }

  private static void hold(CountDownLatch latch) {
    for (boolean open = false; !open;) {
      try {
        latch.await();
        open = true;
      } catch (InterruptedException e) {
        // As a store that cannot be interrupted.
      }
    }
  }

  @Test
  void atDeployItIsStoredOnceAndBeforeAnyCall() throws Exception {
    try (Node node = new Node(SWEEPING, backend)) {
      prepare(node, node.deploy("demo/f", "deploy"));
      eventuallyStored("demo/f");
      completed(node.invoke("demo/f"));
      lookAtAll(node);
      assertEquals(1, Collections.frequency(backend.checkpoints, "demo/f"));
    }
  }

  @Test
  void whatCameFromTheStoreIsNotAsked() throws Exception {
    backend.pending = name -> !name.equals("demo/restored");
    try (Node node = new Node(SWEEPING, backend)) {
      prepare(node, node.deploy("demo/restored", "deploy"));
      lookAtAll(node);
      assertFalse(stored("demo/restored"));
    }
  }

  @Test
  void whatAFirstCallPreparesIsStoredToo() throws Exception {
    try (Node node = new Node(SWEEPING, backend)) {
      node.deploy("demo/f", "deploy");
      completed(node.invoke("demo/f"));
      eventuallyStored("demo/f");
    }
  }

  @Test
  void neverIsNever() throws Exception {
    try (Node node = new Node(SWEEPING, backend)) {
      prepare(node, node.deploy("demo/f", "never"));
      completed(node.invoke("demo/f"));
      lookAtAll(node);
      assertFalse(stored("demo/f"));
    }
  }

  @Test
  void aBackendThatStoresNothingIsNotAsked() throws Exception {
    ScriptedBackend without = ScriptedBackend.remote();
    try (Node node = new Node(SWEEPING, without)) {
      prepare(node, node.deploy("demo/f", "deploy"));
      completed(node.invoke("demo/f"));
      node.bind(backend, 1);
      lookAtAll(node);
      assertTrue(without.checkpoints.isEmpty());
    }
  }

  @Test
  void whatIsNotPublishedIsNotStored() throws Exception {
    try (Node node = new Node(SWEEPING, backend)) {
      FunctionVersion late = node.candidate("demo/late", "deploy");
      prepare(node, late);
      FunctionVersion refused = node.candidate("demo/refused", "deploy");
      prepare(node, refused);
      lookAtAll(node);
      assertFalse(stored("demo/late") || stored("demo/refused"));
      node.scheduler.forget(refused);
      node.publish(late);
      eventuallyStored("demo/late");
      lookAtAll(node);
      assertFalse(stored("demo/refused"));
      // Nobody knows what is published while the registry is being replaced.
      var registry = node.scheduler.registry;
      node.scheduler.registry = null;
      prepare(node, node.deploy("demo/dark", "deploy"));
      Thread.sleep(50);
      assertFalse(stored("demo/dark"));
      node.scheduler.registry = registry;
      eventuallyStored("demo/dark");
    }
  }

  @Test
  void theNthCallIsTheOneThatCounts() throws Exception {
    backend.script("f", (sandbox, call) -> {
      throw new InstarException(ErrorCode.FUNCTION_TRAPPED, "unreachable");
    });
    try (Node node = new Node(SWEEPING, backend)) {
      FunctionVersion version = node.deploy("demo/f", "calls:3");
      prepare(node, version);
      failed(ErrorCode.FUNCTION_TRAPPED, node.invoke("demo/f"));
      failed(ErrorCode.FUNCTION_TRAPPED, node.invoke("demo/f"));
      lookAtAll(node);
      assertFalse(stored("demo/f"));
      failed(ErrorCode.FUNCTION_TRAPPED, node.invoke("demo/f"));
      eventuallyStored("demo/f");
      node.remove(version);
      assertEquals(0, node.scheduler.desk().callCounts());
    }
  }

  @Test
  void callsAreCountedBeyondTheLifeOfWhatWasPrepared() throws Exception {
    ScriptedBackend next = ScriptedBackend.inProcess();
    next.onCheckpoint = request -> {};
    try (Node node = new Node(SWEEPING, backend)) {
      FunctionVersion version = node.deploy("demo/f", "calls:2");
      completed(node.invoke("demo/f"));
      node.bind(next, 1);
      node.unbind(backend);
      prepare(node, version);
      Thread.sleep(50);
      assertTrue(next.checkpoints.isEmpty());
      completed(node.invoke("demo/f"));
      eventually("it is stored", () -> next.checkpoints.contains("demo/f"));
    }
  }

  @Test
  void whatHasBeenCalledOftenEnoughIsStoredAtItsNextPreparation() throws Exception {
    try (Node node = new Node(SWEEPING, backend)) {
      backend.onCheckpoint = null;
      FunctionVersion version = node.deploy("demo/f", "calls:2");
      completed(node.invoke("demo/f"));
      completed(node.invoke("demo/f"));
      ScriptedBackend next = ScriptedBackend.remote();
      next.onCheckpoint = request -> {};
      node.bind(next, 1);
      node.unbind(backend);
      prepare(node, version);
      eventually("it is stored", () -> next.checkpoints.contains("demo/f"));
    }
  }

  @Test
  void countsOfVersionsThatWentInTheMidstOfTheirPreparationAreNotKept() throws Exception {
    CountDownLatch go = new CountDownLatch(1);
    backend.onPrepare = request -> go.await();
    try (Node node = new Node(SWEEPING, backend)) {
      FunctionVersion version = node.deploy("demo/f", "calls:2");
      CompletableFuture<Outcome> call = node.start("demo/f");
      eventually("it is being prepared", () -> backend.prepares.get() == 1);
      node.remove(version);
      go.countDown();
      failed(ErrorCode.FUNCTION_NOT_FOUND, call.get());
      eventually("closed", () -> backend.openPrepared.get() == 0);
      assertEquals(0, node.scheduler.desk().callCounts());
    }
  }

  @Test
  void onIdleItIsStoredWhenNoCallRanForAsLongAsSandboxesAreKept() throws Exception {
    long idle = TimeUnit.MILLISECONDS.toNanos(300);
    AtomicLong ended = new AtomicLong();
    AtomicLong began = new AtomicLong();
    backend.script("f", (sandbox, call) -> {
      // Longer than sandboxes are kept.
      Thread.sleep(500);
      assertFalse(stored("demo/f"));
      ended.set(Clock.now());
    });
    backend.onCheckpoint = request -> began.set(Clock.now());
    try (Node node = new Node(settings("idle", Duration.ofNanos(idle), "idleReplaced", Duration.ofMillis(20)), backend)) {
      node.deploy("demo/f", "idle");
      completed(node.invoke("demo/f"));
      assertFalse(stored("demo/f"));
      eventually("stored", () -> began.get() > 0);
      assertTrue(began.get() - ended.get() >= idle, began + " - " + ended);
    }
  }

  @Test
  void onIdleItIsStoredThoughItIsNeverCalled() throws Exception {
    try (Node node = new Node(settings("idle", Duration.ofMillis(50)), backend)) {
      prepare(node, node.deploy("demo/f", "idle"));
      eventuallyStored("demo/f");
    }
  }

  @Test
  void aFailureIsToldOnceAndFailsNoCall() throws Exception {
    backend.onCheckpoint = request -> {
      switch (request.version().name().function()) {
        case "full" -> throw new InstarException(ErrorCode.NO_SPACE, "The disk is full.");
        case "broken" -> throw new IllegalStateException("on purpose");
        case "huge" -> throw new OutOfMemoryError("on purpose");
        default -> { }
      }
    };
    try (Node node = new Node(SWEEPING, backend)) {
      List<String> names = List.of("demo/full", "demo/broken", "demo/huge");
      for (String name : names) {
        prepare(node, node.deploy(name, "deploy"));
        eventuallyStored(name);
      }
      lookAtAll(node);
      for (String name : names) {
        completed(node.invoke(name));
        assertEquals(1, Collections.frequency(backend.checkpoints, name));
      }
      assertEquals(List.of("WARN The initialised state of demo/full@1 is not stored (no-space): The disk is full.",
          "ERROR The backend scripted failed to store the initialised state of demo/broken@1",
          "ERROR The backend scripted failed to store the initialised state of demo/huge@1"), told());
    }
  }

  @Test
  void callsGoOnWhileItIsStored() throws Exception {
    CountDownLatch go = new CountDownLatch(1);
    backend.onCheckpoint = request -> go.await();
    try (Node node = new Node(SWEEPING, backend)) {
      node.deploy("demo/f", "deploy");
      completed(node.invoke("demo/f"));
      eventuallyStored("demo/f");
      completed(node.invoke("demo/f"));
      completed(node.invokeCold("demo/f"));
      assertEquals("script", node.scheduler.describe(node.functions.values().iterator().next().activeVersion()).get("entry"));
      go.countDown();
    }
  }

  @Test
  void aDrainEndsACheckpoint() throws Exception {
    AtomicInteger interrupted = new AtomicInteger();
    backend.onCheckpoint = request -> {
      try {
        new CountDownLatch(1).await();
      } catch (InterruptedException e) {
        interrupted.incrementAndGet();
        throw e;
      }
    };
    try (Node node = new Node(SWEEPING, backend)) {
      prepare(node, node.deploy("demo/f", "deploy"));
      prepare(node, node.deploy("demo/g", "deploy"));
      eventually("one is being stored", () -> backend.storing.get() == 1);
      node.unbind(backend);
      assertEquals(1, interrupted.get());
      assertEquals(1, backend.checkpoints.size(), "one that was retired before its turn was begun");
      assertEquals(List.of(), told());
    }
  }

  @Test
  void aDrainWaitsForACheckpointThatCannotBeInterrupted() throws Exception {
    CountDownLatch go = new CountDownLatch(1);
    backend.onCheckpoint = request -> hold(go);
    try (Node node = new Node(SWEEPING, backend)) {
      prepare(node, node.deploy("demo/f", "deploy"));
      eventuallyStored("demo/f");
      CompletableFuture<Void> gone = async(() -> {
        node.unbind(backend);
        return null;
      });
      Thread.sleep(50);
      assertFalse(gone.isDone());
      assertEquals(1, backend.openPrepared.get());
      go.countDown();
      gone.get(10, TimeUnit.SECONDS);
    }
  }

  @Test
  void theEndOfTheSchedulerEndsACheckpoint() throws Exception {
    backend.onCheckpoint = request -> new CountDownLatch(1).await();
    try (Node node = new Node(SWEEPING, backend)) {
      prepare(node, node.deploy("demo/f", "deploy"));
      eventuallyStored("demo/f");
      node.stop();
      assertEquals(0, backend.openPrepared.get());
      assertEquals(0, backend.storing.get());
    }
  }

  @Test
  void aRemovalEndsTheCheckpointOfItsVersionOnly() throws Exception {
    CountDownLatch go = new CountDownLatch(1);
    backend.onCheckpoint = request -> go.await();
    try (Node node = new Node(SWEEPING, backend)) {
      FunctionVersion removed = node.deploy("demo/removed", "deploy");
      prepare(node, removed);
      eventuallyStored("demo/removed");
      FunctionVersion inLine = node.deploy("demo/in-line", "deploy");
      prepare(node, inLine);
      prepare(node, node.deploy("demo/kept", "deploy"));
      node.remove(inLine);
      node.remove(removed);
      eventuallyStored("demo/kept");
      assertEquals(1, backend.storing.get());
      eventually("the others are closed", () -> backend.openPrepared.get() == 1);
      assertEquals(List.of("demo/removed", "demo/kept"), List.copyOf(backend.checkpoints));
      go.countDown();
    }
  }

  @Test
  void whatIsBeingStoredIsNotEvicted() throws Exception {
    CountDownLatch go = new CountDownLatch(1);
    backend.onCheckpoint = request -> hold(go);
    try (Node node = new Node(settings("idle", Duration.ofMillis(20), "idleReplaced", Duration.ofMillis(20), "prepared", Duration.ofMillis(20),
        "preparedBytes", Shelf.LEAST), backend)) {
      prepare(node, node.deploy("demo/f", "deploy"));
      eventuallyStored("demo/f");
      completed(node.invoke("demo/f"));
      for (int i = 0; i < 5; i++) {
        prepare(node, node.deploy("demo/never" + i, "never"));
      }
      eventually("all others are evicted", () -> backend.openPrepared.get() == 1);
      assertEquals(1, backend.storing.get());
      go.countDown();
      eventually("then it is, too", () -> backend.openPrepared.get() == 0);
      node.scheduler.apply(SWEEPING);
      prepare(node, node.deploy("demo/f", "deploy"));
      eventually("the next preparation is asked again", () -> Collections.frequency(backend.checkpoints, "demo/f") == 2);
    }
  }

  @Test
  void oneIsStoredAtATimeWhileCallsAndRemovalsComeFromAllSides() throws Exception {
    backend.onCheckpoint = request -> Thread.sleep(2);
    ScriptedBackend second = new ScriptedBackend("second", Shape.IN_PROCESS, true);
    second.onCheckpoint = request -> Thread.sleep(2);
    try (Node node = new Node(SWEEPING, backend)) {
      List<CompletableFuture<Void>> users = new ArrayList<>();
      for (int u = 0; u < 4; u++) {
        String user = "user" + u;
        users.add(async(() -> {
          for (int i = 0; i < 25; i++) {
            FunctionVersion version = node.deploy(user + "/f" + i, List.of("deploy", "calls:2", "idle", "never").get(i % 4));
            prepare(node, version);
            completed(node.invoke(user + "/f" + i));
            completed(node.invoke(user + "/f" + i));
            if (i % 3 == 0) {
              node.remove(version);
            }
          }
          return null;
        }));
      }
      Thread.sleep(50);
      node.bind(second, 1);
      node.unbind(backend);
      for (CompletableFuture<Void> user : users) {
        user.get(30, TimeUnit.SECONDS);
      }
      for (int u = 0; u < 4; u++) {
        String user = "user" + u;
        for (String name : List.of(user + "/f16", user + "/f17", user + "/f20")) {
          // For those that the swap met before their turn.
          prepare(node, node.functions.get(FunctionName.parse(name)).activeVersion());
          eventually(name + " is stored", () -> stored(name) || second.checkpoints.contains(name));
        }
      }
      assertEquals(List.of(), told());
    }
  }

  @Test
  void itsThreadComesAfterTheOthersAndLeavesThemAsTheyWere() throws Exception {
    assumeTrue(LinuxThreads.ofHost().isPresent(), "the host does not let threads be lowered");
    Set<Integer> during = ConcurrentHashMap.newKeySet();
    Set<Integer> calls = ConcurrentHashMap.newKeySet();
    backend.onCheckpoint = request -> during.add(niceness());
    backend.script("f", (sandbox, call) -> calls.add(niceness()));
    int before = niceness();
    try (Node node = new Node(SWEEPING, backend)) {
      node.deploy("demo/f", "deploy");
      completed(node.invoke("demo/f"));
      eventually("stored", () -> !during.isEmpty());
      completed(node.invoke("demo/f"));
    }
    assertEquals(Set.of(19), during);
    assertEquals(Set.of(before), calls);
  }

  /** Of this thread, as the kernel tells it: field 19 of proc_pid_stat(5). */
  private static int niceness() {
    try {
      String stat = Files.readString(Path.of("/proc/thread-self/stat"));
      return Integer.parseInt(stat.substring(stat.lastIndexOf(')') + 2).split(" ")[16]);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
