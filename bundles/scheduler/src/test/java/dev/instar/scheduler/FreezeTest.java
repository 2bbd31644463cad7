package dev.instar.scheduler;

import static dev.instar.scheduler.Node.completed;
import static dev.instar.scheduler.Node.eventually;
import static dev.instar.scheduler.Node.settings;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import dev.instar.api.invocation.Outcome;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What is idle is stopped, and goes on with its next call. */
@Timeout(60)
class FreezeTest {
  private final ScriptedBackend backend = ScriptedBackend.remote();

  private static Settings soon() {
    // The shorter idle time makes the sweeps frequent.
    return settings("freeze", Duration.ofMillis(1), "idleReplaced", Duration.ofMillis(20));
  }

  private boolean frozen() {
    return backend.used.peek() != null && backend.used.peek().frozen;
  }

  @Test
  void anIdleSandboxIsFrozenAndThawedForItsNextCall() throws Exception {
    try (Node node = new Node(soon(), backend)) {
      node.deploy("u/f", Node.limits(4));
      for (int i = 0; i < 3; i++) {
        completed(node.invoke("u/f"));
        eventually("frozen", this::frozen);
      }
      assertEquals(1, backend.starts.get());
    }
  }

  @Test
  void callsThatComeWhileItIsBeingFrozenFindItThawed() throws Exception {
    try (Node node = new Node(soon(), backend)) {
      node.deploy("u/f", Node.limits(4));
      for (int round = 0; round < 60; round++) {
        List<CompletableFuture<Outcome>> calls = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
          calls.add(node.start("u/f"));
        }
        Node.allCompleted(calls);
        Thread.sleep(round % 7);
      }
      // The backend notes calls of frozen sandboxes, and frozen ones in calls; it is asked in close().
      eventually("one was frozen", () -> backend.freezes.get() > 0);
    }
  }

  @Test
  void whatCannotBeFrozenIsAskedOnceForEachRest() throws Exception {
    backend.freezable = false;
    try (Node node = new Node(soon(), backend)) {
      node.deploy("u/f", Node.limits(1));
      completed(node.invoke("u/f"));
      eventually("asked", () -> backend.freezes.get() == 1);
      node.deploy("u/g", Node.limits(1));
      completed(node.invoke("u/g"));
      eventually("the other is asked, too", () -> backend.freezes.get() == 2);
      completed(node.invoke("u/f"));
      eventually("asked again", () -> backend.freezes.get() == 3);
      assertFalse(frozen());
    }
  }

  @Test
  void whatDoesNotGoOnIsReplaced() throws Exception {
    backend.brittle = true;
    try (Node node = new Node(soon(), backend)) {
      node.deploy("u/f", Node.limits(1));
      completed(node.invoke("u/f"));
      eventually("frozen", this::frozen);
      completed(node.invoke("u/f"));
      assertEquals(2, backend.starts.get());
      assertEquals(1, backend.closed.size());
    }
  }

  @Test
  void inProcessSandboxesAndNodesThatDoNotWantItFreezeNothing() throws Exception {
    ScriptedBackend inProcess = ScriptedBackend.inProcess();
    try (Node node = new Node(soon(), inProcess); Node other = new Node(settings("idleReplaced", Duration.ofMillis(20)), backend)) {
      node.deploy("u/f", Node.limits(1));
      other.deploy("u/f", Node.limits(1));
      completed(node.invoke("u/f"));
      completed(other.invoke("u/f"));
      // Each sweep looks at all that is idle.
      Thread.sleep(100);
      assertEquals(0, inProcess.freezes.get() + backend.freezes.get());
    }
  }
}
