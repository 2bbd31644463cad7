package dev.instar.scheduler;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.function.FunctionSpec;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.invocation.Outcome;
import dev.instar.api.lease.Lease;
import dev.instar.api.lease.LeaseProvider;
import dev.instar.api.lease.LeaseRequest;
import dev.instar.api.lease.Leases;
import dev.instar.api.placement.PlacementPolicy;
import dev.instar.api.sandbox.BackendDescription.Shape;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class LendersTest {
  private final Queue<String> events = new ConcurrentLinkedQueue<>();

  /** Notes what it lends and gets back; how it refuses is a field. */
  private final class Lender implements LeaseProvider {
    private final String name;
    private final String kind;
    private volatile boolean none;
    private volatile Optional<ErrorCode> refuses = Optional.empty();

    Lender(String name, String kind) {
      this.name = name;
      this.kind = kind;
    }

    @Override
    public String kind() {
      return kind;
    }

    @Override
    public Optional<? extends Lease> take(LeaseRequest request) {
      refuses.ifPresent(code -> {
        throw new InstarException(code, "refused by " + name);
      });
      if (none) {
        return Optional.empty();
      }
      events.add(name + " lends");
      return Optional.of(new Lent(name));
    }

    @Override
    public void check(FunctionVersion version) {
      refuses.ifPresent(code -> {
        throw new InstarException(code, "refused by " + name);
      });
    }

    @Override
    public Map<String, String> describe(FunctionVersion version) {
      return Map.of(kind, "by " + name, "limits", kind + "Limit");
    }
  }

  private final class Lent implements Lease {
    private final String name;
    private final AtomicBoolean closed = new AtomicBoolean();
    private volatile boolean current = true;

    Lent(String name) {
      this.name = name;
    }

    @Override
    public boolean current() {
      return current;
    }

    @Override
    public void close() {
      events.add(closed.compareAndSet(false, true) ? name + " has it back" : name + " had it back twice");
    }
  }

  private ScriptedBackend backend(Queue<Leases> got) {
    ScriptedBackend backend = new ScriptedBackend("scripted", Shape.REMOTE, true, "cgroup", "network");
    backend.onStart = context -> {
      events.add("start");
      got.add(context.leases());
    };
    return backend;
  }

  private List<String> events() {
    return List.copyOf(events);
  }

  @Test
  void aSandboxHasALeaseOfEachKindFromItsStartUntilAfterItsClose() throws Exception {
    Queue<Leases> got = new ConcurrentLinkedQueue<>();
    ScriptedBackend backend = backend(got);
    Lender cgroups = new Lender("c", "cgroup");
    try (Node node = new Node(backend)) {
      node.scheduler.bindLender(cgroups, Map.of());
      node.scheduler.bindLender(new Lender("n", "network"), Map.of());
      node.scheduler.bindLender(new Lender("x", "microphone"), Map.of());
      FunctionVersion version = node.deploy("u/f", Node.limits(1));
      Node.completed(node.invoke("u/f"));
      Node.completed(node.invoke("u/f"));
      assertEquals(List.of("c lends", "n lends", "start"), events());
      assertEquals("c", got.element().find(Lent.class).orElseThrow().name);
      assertEquals(2, got.element().held().size());

      // Who has it is not asked who lent it.
      node.scheduler.unbindLender(cgroups);
      Node.completed(node.invoke("u/f"));
      Node.eventually("idle", () -> node.scheduler.desk().idle() == 1);
      node.remove(version);
      Node.eventually("closed", () -> node.scheduler.desk().units() == 0);
      assertEquals(List.of("c lends", "n lends", "start", "n has it back", "c has it back"), events());
    }
  }

  @Test
  void aSandboxWhoseLeaseIsOutOfDateGetsNoFurtherCall() throws Exception {
    Queue<Leases> got = new ConcurrentLinkedQueue<>();
    ScriptedBackend backend = backend(got);
    try (Node node = new Node(backend)) {
      node.scheduler.bindLender(new Lender("c", "cgroup"), Map.of());
      node.scheduler.bindLender(new Lender("n", "network"), Map.of());
      CountDownLatch within = new CountDownLatch(1);
      CountDownLatch go = new CountDownLatch(1);
      backend.script("f", (sandbox, call) -> {
        within.countDown();
        go.await();
      });
      node.deploy("u/f", Node.limits(1));
      CompletableFuture<Outcome> running = node.start("u/f");
      within.await();
      got.element().find(Lent.class).orElseThrow().current = false;
      assertFalse(running.isDone(), "it goes on to its end");
      go.countDown();
      Node.completed(running.get());
      assertEquals(List.of("c lends", "n lends", "start"), events());
      Node.completed(node.invoke("u/f"));
      assertEquals(List.of("c lends", "n lends", "start", "n has it back", "c has it back", "c lends", "n lends", "start"), events());
      Node.completed(node.invoke("u/f"));
      assertEquals(8, events.size(), "what it has now is what it should be");
    }
  }

  @Test
  void whatWouldBeRefusedIsToldToTheDeployer() throws Exception {
    ScriptedBackend backend = backend(new ConcurrentLinkedQueue<>());
    Lender networks = new Lender("n", "network");
    try (Node node = new Node(backend)) {
      node.scheduler.bindLender(networks, Map.of());
      FunctionVersion candidate = node.candidate("u/f", "deploy");
      node.scheduler.prepare(candidate);
      networks.refuses = Optional.of(ErrorCode.BAD_REQUEST);
      assertEquals("refused by n", assertThrows(InstarException.class, () -> node.scheduler.prepare(candidate)).problem().detail());
      networks.refuses = Optional.empty();
      FunctionVersion secrets = new FunctionVersion(candidate.name(), 1, "uid-s", candidate.created(),
          new FunctionSpec(candidate.spec().variants(), candidate.spec().limits(), Map.of(), Map.of(), candidate.spec().snapshot(), List.of("word")));
      InstarException refused = assertThrows(InstarException.class, () -> node.scheduler.prepare(secrets));
      assertEquals(ErrorCode.BAD_REQUEST, refused.code());
      assertTrue(refused.getMessage().contains("'scripted'") && refused.getMessage().contains("word"), refused::getMessage);
      // However it came there: nothing starts without what it needs.
      node.scheduler.bindLender(new Lender("c", "cgroup"), Map.of());
      node.publish(secrets);
      Node.failed(ErrorCode.SECRET_MISSING, node.invoke("u/f"));
      Node.eventually("closed", () -> node.scheduler.desk().units() == 0);
      assertEquals(List.of("c lends", "n lends", "n has it back", "c has it back"), events());
      events.clear();
    }
    assertEquals(List.of(), events());
  }

  @Test
  void aPolicyTellsTheDeployerOfALabelThatSaysNothing() throws Exception {
    PlacementPolicy policy = new PlacementPolicy() {
      @Override
      public void check(FunctionVersion version) {
        if (version.name().function().equals("wrong")) {
          throw new InstarException(ErrorCode.BAD_REQUEST, "no such place");
        }
        throw new IllegalStateException("a policy with a fault");
      }

      @Override
      public int choose(FunctionVersion version, List<Candidate> candidates) {
        return 0;
      }
    };
    try (Node node = new Node(new ScriptedBackend("scripted", Shape.REMOTE, true))) {
      node.scheduler.bindPlacement(policy);
      assertEquals("no such place", assertThrows(InstarException.class, () -> node.scheduler.prepare(node.candidate("u/wrong", "deploy"))).problem().detail());
      node.scheduler.prepare(node.candidate("u/f", "deploy"));
    }
  }

  @Test
  void whatWasTakenGoesBackWhenTheNextIsRefusedOrTheStartFails() throws Exception {
    ScriptedBackend backend = backend(new ConcurrentLinkedQueue<>());
    Lender networks = new Lender("n", "network");
    networks.refuses = Optional.of(ErrorCode.NODE_BUSY);
    try (Node node = new Node(backend)) {
      node.scheduler.bindLender(new Lender("c", "cgroup"), Map.of());
      node.scheduler.bindLender(networks, Map.of());
      node.deploy("u/f", Node.limits(1));
      assertEquals("refused by n", Node.failed(ErrorCode.NODE_BUSY, node.invoke("u/f")).detail());
      Node.eventually("closed", () -> node.scheduler.desk().units() == 0);
      assertEquals(List.of("c lends", "c has it back"), events());

      events.clear();
      networks.refuses = Optional.empty();
      backend.onStart = context -> {
        throw new InstarException(ErrorCode.SANDBOX_CRASHED, "at its start");
      };
      Node.failed(ErrorCode.SANDBOX_CRASHED, node.invoke("u/f"));
      Node.eventually("closed", () -> node.scheduler.desk().units() == 0);
      assertEquals(List.of("c lends", "n lends", "n has it back", "c has it back"), events());
    }
  }

  @Test
  void aHostThatHasNoneLeavesItToTheBackend() throws Exception {
    Queue<Leases> got = new ConcurrentLinkedQueue<>();
    Lender networks = new Lender("n", "network");
    networks.none = true;
    try (Node node = new Node(backend(got))) {
      node.scheduler.bindLender(new Lender("c", "cgroup"), Map.of());
      node.scheduler.bindLender(networks, Map.of());
      node.deploy("u/f", Node.limits(1));
      Node.completed(node.invoke("u/f"));
      assertEquals(1, got.element().held().size());
    }
  }

  @Test
  void aStartWaitsForALenderThatIsBeingReplaced() throws Exception {
    Lender going = new Lender("old", "network");
    going.refuses = Optional.of(ErrorCode.NOT_READY);
    try (Node node = new Node(backend(new ConcurrentLinkedQueue<>()))) {
      node.scheduler.bindLender(new Lender("c", "cgroup"), Map.of());
      node.scheduler.bindLender(going, Map.of());
      node.deploy("u/f", Node.limits(1));
      CompletableFuture<Outcome> call = node.start("u/f");
      Node.eventually("the first kind is lent", () -> !events.isEmpty());
      node.scheduler.unbindLender(going);
      assertFalse(call.isDone());
      node.scheduler.bindLender(new Lender("new", "network"), Map.of());
      Node.completed(call.get());
      assertEquals(List.of("c lends", "new lends", "start"), events());
    }
  }

  @Test
  void whereNobodyLendsTheCallIsToldWhatIsMissing() throws Exception {
    Node node = new Node(Node.settings("backendWait", Duration.ofMillis(50)), backend(new ConcurrentLinkedQueue<>()));
    try (node) {
      node.scheduler.bindLender(new Lender("c", "cgroup"), Map.of());
      node.deploy("u/f", Node.limits(1));
      assertTrue(Node.failed(ErrorCode.NOT_READY, node.invoke("u/f")).detail().contains("network"));
    }
    assertEquals(List.of("c lends", "c has it back"), events());
  }

  @Test
  void aKilledStartStopsWaiting() throws Exception {
    CountDownLatch asked = new CountDownLatch(1);
    LeaseProvider slow = new LeaseProvider() {
      @Override
      public String kind() {
        return "cgroup";
      }

      @Override
      public Optional<? extends Lease> take(LeaseRequest request) throws InterruptedException {
        asked.countDown();
        Thread.sleep(Duration.ofMinutes(5));
        return Optional.empty();
      }

      @Override
      public Map<String, String> describe(FunctionVersion version) {
        return Map.of();
      }
    };
    try (Node node = new Node(backend(new ConcurrentLinkedQueue<>()))) {
      node.scheduler.bindLender(slow, Map.of());
      node.deploy("u/f", Node.limits(1));
      Node.failed(ErrorCode.TIMED_OUT, node.invoke("u/f", Duration.ofMillis(200)));
      assertEquals(0, asked.getCount());
    }
  }

  @Test
  void theHighestRankingLendsAndTheNewestAmongEquals() throws Exception {
    try (Node node = new Node(new ScriptedBackend("scripted", Shape.REMOTE, false, "cgroup"))) {
      Lender first = new Lender("first", "cgroup");
      Lender third = new Lender("third", "cgroup");
      node.scheduler.bindLender(first, Map.of());
      node.scheduler.bindLender(new Lender("second", "cgroup"), Map.of());
      node.scheduler.bindLender(third, Map.of("service.ranking", 5));
      FunctionVersion version = node.deploy("u/f", Node.limits(1));
      assertEquals("by third", node.scheduler.describe(version).get("cgroup"));
      assertTrue(node.scheduler.describe(version).get("limitsHonoured").endsWith(", cgroupLimit"));
      node.scheduler.unbindLender(third);
      assertEquals("by second", node.scheduler.describe(version).get("cgroup"));
    }
  }
}
