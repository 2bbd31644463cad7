package dev.instar.scheduler;

import static dev.instar.scheduler.Node.completed;
import static dev.instar.scheduler.Node.eventually;
import static dev.instar.scheduler.Node.settings;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import dev.instar.api.Digest;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.invocation.Outcome;
import dev.instar.api.snapshot.SnapshotInfo;
import dev.instar.api.snapshot.SnapshotKey;
import dev.instar.api.snapshot.SnapshotLayer;
import dev.instar.api.snapshot.SnapshotStore;
import java.lang.reflect.Proxy;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Queue;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What is prepared before anybody calls it. */
@Timeout(60)
class AheadTest {
  private final ScriptedBackend backend = ScriptedBackend.remote();
  private final Queue<String> prepared = new ConcurrentLinkedQueue<>();
  private final List<SnapshotInfo> states = new ArrayList<>();

  AheadTest() {
    backend.onPrepare = request -> prepared.add(request.version().name().toString());
  }

  /** A node that has started, with the states that {@link #state} has made. */
  private void start(Node node) {
    // Nothing else may be asked.
    node.scheduler.snapshots = (SnapshotStore) Proxy.newProxyInstance(SnapshotStore.class.getClassLoader(), new Class<?>[] {SnapshotStore.class},
        (proxy, method, arguments) -> {
          assertEquals("list", method.getName());
          return List.copyOf(states);
        });
    node.scheduler.started();
  }

  private void started(Node node) {
    start(node);
    eventually("it has ended", () -> !node.scheduler.ahead().runs());
  }

  /** @param used later is more recent */
  private void state(long bytes, int used, FunctionVersion... versions) {
    Digest id = Digest.of(new byte[] {(byte) states.size()});
    SnapshotLayer layer = new SnapshotLayer(id, Optional.empty(), new SnapshotKey("scripted", "1", new TreeMap<>(), List.of()), Instant.EPOCH, "a test", id, 0,
        List.of(), new TreeMap<>());
    states.add(new SnapshotInfo(layer, bytes, Instant.ofEpochSecond(60L * used), Set.of(uids(versions)), 0));
  }

  private static String[] uids(FunctionVersion... versions) {
    return List.of(versions).stream().map(FunctionVersion::uid).toArray(String[]::new);
  }

  private static Settings room(int functions, Object... more) {
    List<Object> all = new ArrayList<>(List.of("preparedBytes", functions * Shelf.LEAST));
    all.addAll(List.of(more));
    return settings(all.toArray());
  }

  @Test
  void whatHasAStoredStateIsPreparedTheMostRecentlyUsedFirst() throws Exception {
    try (Node node = new Node(backend)) {
      state(100, 1, node.deploy("demo/old", "deploy"));
      state(100, 3, node.deploy("demo/new", "deploy"));
      state(100, 2, node.deploy("demo/between", "deploy"), node.deploy("demo/same", "never"));
      node.deploy("demo/none", "deploy");
      started(node);
      List<String> order = List.copyOf(prepared);
      assertEquals("demo/new", order.getFirst());
      assertEquals("demo/old", order.getLast());
      assertEquals(Set.of("demo/between", "demo/same"), Set.copyOf(order.subList(1, 3)));
      assertEquals(4, order.size());
      assertEquals(0, backend.starts.get());
      completed(node.invoke("demo/old"));
      assertEquals(4, prepared.size());
    }
  }

  @Test
  void versionsThatAreNotActiveAreLeftAlone() {
    try (Node node = new Node(backend)) {
      FunctionVersion gone = node.deploy("demo/f", "deploy");
      state(100, 1, gone);
      node.deploy("demo/f", "deploy");
      started(node);
      assertEquals(List.of(), List.copyOf(prepared));
    }
  }

  @Test
  void nothingThatIsPreparedGoesForIt() throws Exception {
    try (Node node = new Node(room(3), backend)) {
      FunctionVersion called = node.deploy("demo/called", "deploy");
      completed(node.invoke("demo/called"));
      state(100, 9, called);
      for (int i = 1; i <= 5; i++) {
        state(100, i, node.deploy("demo/f" + i, "deploy"));
      }
      started(node);
      assertEquals(List.of("demo/called", "demo/f5", "demo/f4"), List.copyOf(prepared));
      assertEquals(3, backend.openPrepared.get());
    }
  }

  @Test
  void statesTakeNoMoreRoomThanMayStayPrepared() {
    try (Node node = new Node(room(4), backend)) {
      state(3 * Shelf.LEAST, 4, node.deploy("demo/large", "deploy"));
      state(2 * Shelf.LEAST, 3, node.deploy("demo/larger-than-the-rest", "deploy"));
      state(100, 2, node.deploy("demo/small", "deploy"));
      state(100, 1, node.deploy("demo/one-too-many", "deploy"));
      started(node);
      assertEquals(List.of("demo/large", "demo/small"), List.copyOf(prepared));
    }
  }

  @Test
  void itCanBeSwitchedOff() {
    try (Node node = new Node(settings("prepareAhead", false), backend)) {
      state(100, 1, node.deploy("demo/f", "deploy"));
      start(node);
      assertFalse(node.scheduler.ahead().runs());
      assertEquals(List.of(), List.copyOf(prepared));
    }
  }

  @Test
  void itIsDoneOnce() {
    try (Node node = new Node(backend)) {
      state(100, 1, node.deploy("demo/f", "deploy"));
      started(node);
      state(100, 2, node.deploy("demo/g", "deploy"));
      started(node);
      assertEquals(List.of("demo/f"), List.copyOf(prepared));
    }
  }

  @Test
  void callsNeitherWaitForItNorPrepareAgainWhatItPrepares() throws Exception {
    CountDownLatch go = new CountDownLatch(1);
    backend.onPrepare = request -> {
      prepared.add(request.version().name().toString());
      if (request.version().name().function().equals("slow")) {
        go.await();
      }
    };
    try (Node node = new Node(backend)) {
      state(100, 3, node.deploy("demo/slow", "deploy"));
      state(100, 2, node.deploy("demo/f", "deploy"));
      start(node);
      eventually("it has begun", () -> prepared.contains("demo/slow"));
      completed(node.invoke("demo/f"));
      CompletableFuture<Outcome> joined = node.start("demo/slow");
      eventually("the call waits", () -> node.waiting() == 1);
      go.countDown();
      completed(joined.get());
      eventually("it has ended", () -> !node.scheduler.ahead().runs());
      assertEquals(List.of("demo/slow", "demo/f"), List.copyOf(prepared));
    }
  }

  @Test
  void oneThatFailsIsLeftToItsCalls() throws Exception {
    backend.onPrepare = request -> {
      if (prepared.add(request.version().name().toString()) && prepared.size() == 1) {
        throw new InstarException(ErrorCode.INTERNAL, "not now");
      }
    };
    try (Node node = new Node(backend)) {
      state(100, 2, node.deploy("demo/failing", "deploy"));
      state(100, 1, node.deploy("demo/f", "deploy"));
      started(node);
      assertEquals(List.of("demo/failing", "demo/f"), List.copyOf(prepared));
      completed(node.invoke("demo/failing"));
    }
  }

  @Test
  void itEndsWhereTheNodeHasNoRoomLeft() throws Exception {
    backend.onPrepare = request -> {
      if (prepared.add(request.version().name().toString()) && prepared.size() == 2) {
        throw new InstarException(ErrorCode.NODE_BUSY, "no memory");
      }
    };
    try (Node node = new Node(backend)) {
      for (int i = 1; i <= 4; i++) {
        state(100, i, node.deploy("demo/f" + i, "deploy"));
      }
      started(node);
      assertEquals(List.of("demo/f4", "demo/f3"), List.copyOf(prepared));
      completed(node.invoke("demo/f3"));
    }
  }

  @Test
  void nothingIsKeptOfAFunctionThatWasRemovedMeanwhile() {
    try (Node node = new Node(backend)) {
      FunctionVersion version = node.deploy("demo/f", "deploy");
      state(100, 1, version);
      // As if the removal had been told just before there was anything to be told of.
      backend.onPrepare = request -> node.functions.remove(version.name());
      started(node);
      eventually("it is closed", () -> backend.openPrepared.get() == 0);
    }
  }

  @Test
  void aStopEndsIt() {
    backend.onPrepare = request -> {
      prepared.add(request.version().name().toString());
      new CountDownLatch(1).await();
    };
    try (Node node = new Node(backend)) {
      state(100, 2, node.deploy("demo/f", "deploy"));
      state(100, 1, node.deploy("demo/g", "deploy"));
      start(node);
      eventually("it has begun", () -> !prepared.isEmpty());
      node.stop();
      assertFalse(node.scheduler.ahead().runs());
      assertEquals(List.of("demo/f"), List.copyOf(prepared));
    }
  }
}
