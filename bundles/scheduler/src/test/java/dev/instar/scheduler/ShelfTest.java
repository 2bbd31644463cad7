package dev.instar.scheduler;

import static dev.instar.scheduler.Node.allCompleted;
import static dev.instar.scheduler.Node.completed;
import static dev.instar.scheduler.Node.eventually;
import static dev.instar.scheduler.Node.limits;
import static dev.instar.scheduler.Node.settings;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.instar.api.function.FunctionVersion;
import dev.instar.api.invocation.Outcome;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

class ShelfTest {
  private static Set<String> prepared(Node node) {
    return node.scheduler.desk().shelf().pools().stream().map(pool -> pool.version().name().toString()).collect(Collectors.toSet());
  }

  @Test
  void keepsWhatWasPreparedLast() throws Exception {
    ScriptedBackend backend = ScriptedBackend.remote();
    try (Node node = new Node(settings("preparedBytes", 2 * Shelf.LEAST), backend)) {
      for (int i = 0; i < 5; i++) {
        node.scheduler.prepare(node.deploy("demo/f" + i, limits(1)));
      }
      assertEquals(2, backend.openPrepared.get());
      assertEquals(Set.of("demo/f3", "demo/f4"), prepared(node));
      assertEquals(2 * Shelf.LEAST, node.scheduler.desk().shelf().total());
      completed(node.invoke("demo/f4"));
      assertEquals(5, backend.prepares.get());
      completed(node.invoke("demo/f0"));
      assertEquals(6, backend.prepares.get());
    }
  }

  @Test
  void leavesWhatHasASandboxUntilThatHasGone() throws Exception {
    ScriptedBackend backend = ScriptedBackend.remote();
    try (Node node = new Node(settings("preparedBytes", Shelf.LEAST), backend)) {
      node.deploy("demo/used", limits(1));
      completed(node.invoke("demo/used"));
      node.scheduler.prepare(node.deploy("demo/a", limits(1)));
      node.scheduler.prepare(node.deploy("demo/b", limits(1)));
      assertEquals(Set.of("demo/used", "demo/b"), prepared(node));
      completed(node.invoke("demo/used"));
      assertEquals(3, backend.prepares.get());
      node.scheduler.apply(settings("preparedBytes", Shelf.LEAST, "idle", Duration.ofMillis(20)));
      eventually("only what was used last is left", () -> prepared(node).equals(Set.of("demo/used")));
      assertEquals(1, backend.openPrepared.get());
    }
  }

  @Test
  void keepsTheLastOneHoweverLarge() throws Exception {
    ScriptedBackend backend = ScriptedBackend.remote();
    try (Node node = new Node(settings("preparedBytes", 1L), backend)) {
      node.scheduler.prepare(node.deploy("demo/f", limits(1)));
      completed(node.invoke("demo/f"));
      assertEquals(1, backend.prepares.get());
    }
  }

  @Test
  void countsNothingForWhatIsRemovedOrFails() throws Exception {
    ScriptedBackend backend = ScriptedBackend.remote();
    try (Node node = new Node(backend)) {
      FunctionVersion version = node.deploy("demo/f", limits(1));
      node.scheduler.prepare(version);
      assertEquals(Shelf.LEAST, node.scheduler.desk().shelf().total());
      node.remove(version);
      assertEquals(0, node.scheduler.desk().shelf().total());
      backend.onPrepare = request -> {
        throw new IllegalStateException("on purpose");
      };
      node.deploy("demo/g", limits(1));
      node.invoke("demo/g");
      assertEquals(0, node.scheduler.desk().shelf().total());
    }
  }

  /** Each preparation drives the others from the shelf; a call still finds there what was prepared for it. */
  @Test
  void callsOfManyFunctionsAllComeThrough() throws Exception {
    ScriptedBackend backend = ScriptedBackend.remote();
    try (Node node = new Node(settings("preparedBytes", Shelf.LEAST, "maxIdle", 0), backend)) {
      int functions = 50;
      for (int i = 0; i < functions; i++) {
        node.deploy("demo/f" + i, limits(2));
      }
      for (int round = 0; round < 4; round++) {
        List<CompletableFuture<Outcome>> calls = new ArrayList<>();
        for (int i = 0; i < functions; i++) {
          calls.add(node.start("demo/f" + i));
        }
        allCompleted(calls);
      }
      eventually("one is left", () -> prepared(node).size() <= 1);
    }
  }
}
