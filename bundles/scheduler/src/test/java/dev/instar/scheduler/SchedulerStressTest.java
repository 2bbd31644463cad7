package dev.instar.scheduler;

import static dev.instar.scheduler.Node.completed;
import static dev.instar.scheduler.Node.limits;
import static dev.instar.scheduler.Node.settings;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.function.FunctionName;
import dev.instar.api.function.Variant;
import dev.instar.api.invocation.Outcome;
import dev.instar.api.sandbox.BackendDescription.Shape;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Many things at once; what must hold is checked when all have ended. */
@Timeout(120)
class SchedulerStressTest {
  @ParameterizedTest
  @EnumSource(Shape.class)
  void swapsUnderLoadLoseNoCall(Shape shape) throws Exception {
    ScriptedBackend[] current = {script(new ScriptedBackend("scripted", shape, shape == Shape.IN_PROCESS))};
    try (Node node = new Node(settings("inProcessThreads", 4), current)) {
      for (int i = 0; i < 4; i++) {
        node.deploy("demo/f" + i, limits(3));
      }
      AtomicBoolean over = new AtomicBoolean();
      AtomicInteger calls = new AtomicInteger();
      List<CompletableFuture<Void>> callers = new ArrayList<>();
      for (int i = 0; i < 24; i++) {
        String name = "demo/f" + i % 4;
        callers.add(Node.async(() -> {
          while (!over.get()) {
            completed(calls.get() % 2 == 0 ? node.invoke(name) : node.begun(node.invocation(name)));
            calls.incrementAndGet();
          }
          return null;
        }));
      }
      for (int swap = 0; swap < 20; swap++) {
        int before = calls.get();
        Node.eventually("calls go on", () -> calls.get() > before + 20 || callers.stream().anyMatch(CompletableFuture::isDone));
        ScriptedBackend next = script(new ScriptedBackend("scripted", shape, shape == Shape.IN_PROCESS));
        if (swap % 2 == 0) {
          node.bind(next, 0);
          node.unbind(current[0]);
        } else {
          // The old one first: there is a gap, in which calls wait.
          node.unbind(current[0]);
          node.bind(next, 0);
        }
        current[0] = next;
      }
      over.set(true);
      for (CompletableFuture<Void> caller : callers) {
        caller.get(30, TimeUnit.SECONDS);
      }
    }
  }

  private static ScriptedBackend script(ScriptedBackend backend) {
    for (int i = 0; i < 4; i++) {
      backend.script("f" + i, (sandbox, call) -> sandbox.work(1));
    }
    return backend;
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void nothingIsLostInDisorder(long seed) throws Exception {
    ScriptedBackend in = disorderly(new ScriptedBackend("in", Shape.IN_PROCESS, true), seed);
    ScriptedBackend out = disorderly(new ScriptedBackend("out", Shape.REMOTE, false), seed + 100);
    Map<ErrorCode, AtomicInteger> failures = new EnumMap<>(ErrorCode.class);
    for (ErrorCode code : ErrorCode.values()) {
      failures.put(code, new AtomicInteger());
    }
    AtomicInteger completed = new AtomicInteger();
    AtomicInteger interrupted = new AtomicInteger();
    Settings tight = settings("maxSandboxes", 8, "maxSandboxesPerBackend", 6, "maxIdle", 5, "maxIdlePerFunction", 2, "idle", Duration.ofMillis(20),
        "idleReplaced", Duration.ofMillis(5), "prepared", Duration.ofMillis(30), "functionQueue", 12, "queue", 40, "userPercent", 60,
        "queueWait", Duration.ofMillis(200), "inProcessThreads", 3, "inProcessWaiting", 2, "backendWait", Duration.ofMillis(50), "drain",
        Duration.ofMillis(20));
    try (Node node = new Node(tight, in, out)) {
      for (int i = 0; i < 6; i++) {
        deploy(node, i);
      }
      AtomicBoolean over = new AtomicBoolean();
      List<CompletableFuture<Void>> workers = new ArrayList<>();
      for (int w = 0; w < 60; w++) {
        Random random = new Random(seed * 1000 + w);
        workers.add(Node.async(() -> {
          while (!over.get()) {
            call(node, random, completed, interrupted, failures);
          }
          return null;
        }));
      }
      Random random = new Random(seed);
      long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(3);
      ScriptedBackend[] backends = {in, out};
      while (System.nanoTime() < end) {
        Thread.sleep(random.nextInt(15));
        switch (random.nextInt(6)) {
          case 0 -> {
            // Removed and made again.
            int i = random.nextInt(6);
            var old = node.functions.get(FunctionName.parse(name(i)));
            node.remove(old.activeVersion());
            deploy(node, i);
          }
          case 1 -> node.scheduler.versionDeactivated(node.functions.get(FunctionName.parse(name(random.nextInt(6)))).activeVersion());
          case 2 -> {
            int which = random.nextInt(2);
            ScriptedBackend next = disorderly(new ScriptedBackend(which == 0 ? "in" : "out", which == 0 ? Shape.IN_PROCESS : Shape.REMOTE,
                which == 0), random.nextLong());
            if (random.nextBoolean()) {
              node.bind(next, 0);
              node.unbind(backends[which]);
            } else {
              node.unbind(backends[which]);
              node.bind(next, 0);
            }
            backends[which] = next;
          }
          case 3 -> node.scheduler.apply(random.nextBoolean() ? tight
              : settings("maxSandboxes", 3, "maxIdle", 1, "functionQueue", 5, "queue", 20, "queueWait", Duration.ofMillis(50), "inProcessThreads", 1,
                  "idle", Duration.ofMillis(20), "drain", Duration.ofMillis(20), "backendWait", Duration.ofMillis(50)));
          default -> { }
        }
      }
      over.set(true);
      for (CompletableFuture<Void> worker : workers) {
        worker.get(30, TimeUnit.SECONDS);
      }
    }
    assertTrue(completed.get() > 100, () -> "hardly anything was completed: " + completed);
    assertTrue(interrupted.get() > 0, "no interrupt");
    for (ErrorCode code : List.of(ErrorCode.TIMED_OUT, ErrorCode.FUNCTION_TRAPPED, ErrorCode.SANDBOX_CRASHED, ErrorCode.CALLER_GONE)) {
      assertTrue(failures.get(code).get() > 0, () -> "never " + code + ": " + failures);
    }
    // What a node must not say whatever its users, backends and operators do; each drawn backend fault is one that it names otherwise.
    assertEquals(0, failures.get(ErrorCode.NOT_READY).get(), failures::toString);
    assertEquals(0, failures.get(ErrorCode.INTERNAL).get(), failures::toString);
  }

  private static String name(int i) {
    return (i < 4 ? "busy/" : "calm/") + "f" + i;
  }

  private static void deploy(Node node, int i) {
    node.deploy(name(i), limits(1 + i % 3, Duration.ofSeconds(5)),
        new Variant(Node.DIGEST, "wasm", Optional.of(i % 2 == 0 ? "in" : "out")));
  }

  private static void call(Node node, Random random, AtomicInteger completed, AtomicInteger interrupted,
      Map<ErrorCode, AtomicInteger> failures) throws Exception {
    String name = name(random.nextInt(6));
    Optional<Duration> timeout = random.nextInt(4) == 0 ? Optional.of(Duration.ofMillis(1 + random.nextInt(20))) : Optional.empty();
    InputStream body = random.nextInt(8) == 0 ? new SlowInput(random.nextBoolean()) : new ByteArrayInputStream(new byte[] {(byte) random.nextInt()});
    var invocation = node.invocation(name, body, new ByteArrayOutputStream(), timeout, random.nextInt(10) == 0);
    boolean begun = random.nextBoolean();
    CompletableFuture<Void> done = new CompletableFuture<>();
    Thread caller = Thread.ofVirtual().start(() -> {
      try {
        switch (begun ? node.begun(invocation) : node.scheduler.invoke(invocation)) {
          case Outcome.Completed c -> completed.incrementAndGet();
          case Outcome.Failed f -> failures.get(f.problem().code()).incrementAndGet();
        }
        done.complete(null);
      } catch (InterruptedException e) {
        interrupted.incrementAndGet();
        done.complete(null);
      } catch (Throwable e) {
        done.completeExceptionally(e);
      }
    });
    if (random.nextInt(10) == 0) {
      Thread.sleep(random.nextInt(3));
      caller.interrupt();
    }
    done.get(20, TimeUnit.SECONDS);
  }

  /** Comes after a moment, or breaks. */
  private static final class SlowInput extends InputStream {
    private final boolean breaks;
    private boolean read;

    SlowInput(boolean breaks) {
      this.breaks = breaks;
    }

    @Override
    public int read() throws IOException {
      if (read) {
        return -1;
      }
      read = true;
      try {
        Thread.sleep(2);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new IOException(e);
      }
      if (breaks) {
        throw new IOException("reset by peer");
      }
      return 1;
    }
  }

  /** Everything that a backend may do by its contract, at random. */
  private static ScriptedBackend disorderly(ScriptedBackend backend, long seed) {
    Random random = new Random(seed);
    for (int i = 0; i < 6; i++) {
      backend.script("f" + i, (sandbox, call) -> {
        int draw = draw(random, 20);
        call.input().stream().transferTo(call.output());
        switch (draw) {
          case 0 -> throw new InstarException(ErrorCode.FUNCTION_TRAPPED, "trap");
          case 1 -> {
            sandbox.dead = true;
            throw new InstarException(ErrorCode.SANDBOX_CRASHED, "crash");
          }
          case 2, 3 -> sandbox.work(30);
          case 4, 5, 6 -> sandbox.work(1 + draw(random, 3));
          case 7 -> sandbox.dead = true;
          default -> { }
        }
      });
    }
    backend.onStart = context -> {
      int draw = draw(random, 20);
      if (draw == 0) {
        throw new InstarException(ErrorCode.FUNCTION_FAILED, "no start");
      } else if (draw < 4) {
        Thread.sleep(2);
      }
    };
    backend.onPrepare = request -> {
      int draw = draw(random, 10);
      if (draw == 0) {
        throw new InstarException(ErrorCode.MODULE_REFUSED, "refused");
      }
      Thread.sleep(draw);
    };
    backend.onReset = () -> {
      if (draw(random, 40) == 0) {
        throw new InstarException(ErrorCode.INTERNAL, "no reset");
      }
    };
    return backend;
  }

  private static int draw(Random random, int bound) {
    synchronized (random) {
      return random.nextInt(bound);
    }
  }

  /** One call of each of two functions for one place, over and over: a release that a dispatch does not see leaves one waiting for ever. */
  @Test
  void noWakeUpIsLostBetweenAReleaseAndADispatch() throws Exception {
    ScriptedBackend backend = ScriptedBackend.remote();
    try (Node node = new Node(settings("maxSandboxes", 1), backend)) {
      node.scheduler.prepare(node.deploy("demo/f", limits(1)));
      node.scheduler.prepare(node.deploy("demo/g", limits(1)));
      CyclicBarrier round = new CyclicBarrier(2);
      List<CompletableFuture<Void>> callers = new ArrayList<>();
      for (String name : List.of("demo/f", "demo/g")) {
        CompletableFuture<Void> done = new CompletableFuture<>();
        Thread.ofPlatform().daemon().start(() -> {
          try {
            for (int i = 0; i < 10_000; i++) {
              round.await(20, TimeUnit.SECONDS);
              for (int spin = i % 100 * 20; spin > 0; spin--) {
                Thread.onSpinWait();
              }
              completed(node.invoke(name, Duration.ofSeconds(5)));
            }
            done.complete(null);
          } catch (Throwable e) {
            done.completeExceptionally(e);
          }
        });
        callers.add(done);
      }
      for (CompletableFuture<Void> caller : callers) {
        caller.get(100, TimeUnit.SECONDS);
      }
    }
  }

  @Test
  void aWatchIsNeverMissed() throws Exception {
    Random random = new Random(7);
    try (Watchdog watchdog = new Watchdog()) {
      AtomicInteger fired = new AtomicInteger();
      List<CompletableFuture<Integer>> arming = new ArrayList<>();
      for (int t = 0; t < 8; t++) {
        long seed = random.nextLong();
        arming.add(Node.async(() -> {
          Random mine = new Random(seed);
          int left = 0;
          for (int i = 0; i < 2000; i++) {
            Watchdog.Watch watch = watchdog.arm(Clock.now() + mine.nextInt(3_000_000), fired::incrementAndGet);
            if (mine.nextBoolean() || !watch.disarm()) {
              left++;
            }
          }
          return left;
        }));
      }
      int expected = 0;
      for (CompletableFuture<Integer> one : arming) {
        expected += one.get();
      }
      int all = expected;
      Node.eventually("all fire", () -> fired.get() == all && watchdog.armed() == 0);
    }
  }
}
