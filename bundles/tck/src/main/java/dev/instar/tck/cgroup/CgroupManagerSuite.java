package dev.instar.tck.cgroup;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import dev.instar.api.cgroup.CgroupLease;
import dev.instar.api.cgroup.CgroupLimits;
import dev.instar.api.cgroup.CgroupManager;
import dev.instar.api.cgroup.CgroupRequest;
import dev.instar.api.cgroup.CgroupSupport;
import dev.instar.api.cgroup.CgroupSupport.Controller;
import dev.instar.api.cgroup.CgroupUsage;
import dev.instar.api.function.HostLimits;
import dev.instar.tck.capability.RequiresCapability;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestReporter;
import org.junit.jupiter.api.Timeout;

/**
 * What every {@link CgroupManager} does, with real processes in real cgroups. Each test gets a manager that has just started. What the host has no controller for is reported as not applicable; that a lease which
 * asks for it is refused is tested then.
 */
@Timeout(60)
@RequiresCapability("cgroups")
public abstract class CgroupManagerSuite {
  private static final int KILLED = 128 + 9;
  private static final AtomicInteger SANDBOXES = new AtomicInteger();

  private CgroupManager manager;
  private TestReporter reporter;

  /** A manager as at the start of a node, on a data directory that no other has been on. */
  protected abstract CgroupManager started() throws Exception;

  /** The successor of the last one in the same run of the node, when its bundle was replaced: the new one starts before the old one stops, and the old one has stopped on return. */
  protected abstract CgroupManager replaced() throws Exception;

  /** The next run of the node on the same data directory, when the last one was killed: nothing of the last one's has been tidied up. */
  protected abstract CgroupManager startedAfterKill() throws Exception;

  /** The last one stops, and the node with it. */
  protected abstract void stopped() throws Exception;

  /** The directories of all cgroups that the managers of this test have made and that are there. */
  protected abstract List<Path> left() throws Exception;

  @BeforeEach
  void start(TestReporter reporter) throws Exception {
    this.reporter = reporter;
    manager = started();
    assertTrue(manager.probe().usable(), () -> "a host on which nothing can be tested: " + manager.probe());
  }

  @AfterEach
  void nothingIsLeft() throws Exception {
    stopped();
    assertEquals(List.of(), left(), "cgroups that are left when the node has stopped");
  }

  private boolean has(Controller... controllers) {
    if (manager.probe().controllers().containsAll(List.of(controllers))) {
      return true;
    }
    reporter.publishEntry("not applicable", "this host has no controller for one of " + List.of(controllers));
    return false;
  }

  private static HostLimits processes(int count) {
    return new HostLimits(OptionalInt.empty(), OptionalInt.empty(), Optional.empty(), OptionalInt.of(count), OptionalInt.empty());
  }

  private static HostLimits cpu(int millis) {
    return new HostLimits(OptionalInt.of(millis), OptionalInt.of(50), Optional.empty(), OptionalInt.empty(), OptionalInt.empty());
  }

  private static HostLimits cpus(String list) {
    return new HostLimits(OptionalInt.empty(), OptionalInt.empty(), Optional.of(list), OptionalInt.empty(), OptionalInt.empty());
  }

  private CgroupLease lease(HostLimits limits) throws InterruptedException {
    return lease(new CgroupLimits(OptionalLong.empty(), limits));
  }

  private CgroupLease lease(CgroupLimits limits) throws InterruptedException {
    return manager.lease(new CgroupRequest("tck-" + SANDBOXES.incrementAndGet(), "user/function@1", limits));
  }

  private static void eventually(String what, Callable<Boolean> condition) throws Exception {
    for (int i = 0; i < 10_000; i++) {
      if (condition.call()) {
        return;
      }
      Thread.sleep(2);
    }
    throw new AssertionError("never: " + what);
  }

  /** Whether it is there, and not only as a name that its parent has not taken note of. */
  private static boolean runs(long pid) throws IOException {
    try {
      return !Files.readString(Path.of("/proc/" + pid + "/stat")).replaceFirst("^.*\\) ", "").startsWith("Z");
    } catch (NoSuchFileException e) {
      return false;
    }
  }

  private List<String> names() {
    return manager.leases().stream().map(CgroupLease::name).toList();
  }

  // ---- limits, and what dies of them

  @Test
  void whatUsesMoreMemoryThanItMayIsKilledAndThatCanBeToldAfterwards() throws Exception {
    if (!has(Controller.MEMORY)) {
      return;
    }
    long limit = 32 << 20;
    try (CgroupLease lease = lease(new CgroupLimits(OptionalLong.of(limit), HostLimits.NONE))) {
      CgroupUsage before = lease.usage();
      // It keeps what may be the last line: all of it.
      try (Inmate inmate = Inmate.of(lease, "exec tail /dev/zero")) {
        assertEquals(KILLED, inmate.status());
      }
      CgroupUsage usage = lease.usage();
      assertTrue(usage.oomKills().orElse(0) > 0, usage::toString);
      assertTrue(usage.memoryPeakBytes().isEmpty() || usage.memoryPeakBytes().getAsLong() <= limit && usage.memoryPeakBytes().getAsLong() > limit / 2, usage::toString);
      Problem problem = lease.failureSince(before).orElseThrow().problem();
      assertEquals(ErrorCode.OUT_OF_MEMORY, problem.code());
      assertEquals(limit, problem.members().get("limitBytes"));
      assertEquals(usage.memoryPeakBytes().isPresent(), problem.members().containsKey("peakBytes"));
      assertEquals(Optional.empty(), lease.failureSince(lease.usage()), "what was told is not told of the next call");
    }
  }

  @Test
  void whatForksMoreThanItMayIsRefusedAndThatCanBeToldAfterwards() throws Exception {
    if (!has(Controller.PIDS)) {
      return;
    }
    try (CgroupLease lease = lease(processes(8))) {
      CgroupUsage before = lease.usage();
      try (Inmate inmate = Inmate.of(lease, "for i in 1 2 3 4 5 6 7 8 9; do sleep 60 & done; wait")) {
        // A shell ends at the first that it can't have.
        assertTrue(inmate.status() != 0, "nothing was refused");
      }
      assertTrue(lease.usage().processRefusals().orElse(0) > 0, () -> lease.usage().toString());
      Problem problem = lease.failureSince(before).orElseThrow().problem();
      assertEquals(ErrorCode.TOO_MANY_PROCESSES, problem.code());
      assertEquals(8, problem.members().get("limitCount"));
    }
  }

  @Test
  void whatComputesMoreThanItMayWaits() throws Exception {
    if (!has(Controller.CPU)) {
      return;
    }
    try (CgroupLease lease = lease(cpu(100)); Inmate inmate = Inmate.of(lease, "while :; do :; done")) {
      eventually("it waits", () -> lease.usage().throttledMicros().orElse(0) > 0);
      assertTrue(lease.usage().cpuMicros().isEmpty() || lease.usage().cpuMicros().getAsLong() > 0);
      assertTrue(inmate.alive());
    }
  }

  @Test
  void itRunsOnTheProcessorsThatItMay() throws Exception {
    if (!has(Controller.CPUSET)) {
      return;
    }
    String allowed = Files.readAllLines(Path.of("/proc/self/status")).stream().filter(line -> line.startsWith("Cpus_allowed_list:")).findFirst().orElseThrow();
    String last = allowed.replaceFirst(".*[^0-9]([0-9]+)$", "$1");
    try (CgroupLease lease = lease(cpus(last)); Inmate inmate = Inmate.of(lease, "grep Cpus_allowed_list /proc/self/status")) {
      assertEquals(last, inmate.said().replace("Cpus_allowed_list:", "").strip());
    }
  }

  @Test
  void aLimitThatTheHostCannotHoldIsRefusedByItsName() throws Exception {
    if (has(Controller.CPUSET)) {
      InstarException refused = assertThrows(InstarException.class, () -> lease(cpus("9999")));
      assertEquals(ErrorCode.BAD_REQUEST, refused.code());
      assertEquals("cpuset", refused.problem().members().get("limit"));
    } else {
      assertEquals("cpuset", assertThrows(InstarException.class, () -> lease(cpus("0"))).problem().members().get("limit"));
    }
    if (!manager.probe().controllers().contains(Controller.MEMORY)) {
      assertThrows(InstarException.class, () -> lease(new CgroupLimits(OptionalLong.of(1 << 20), HostLimits.NONE)));
    }
    assertEquals(List.of(), manager.leases());
  }

  @Test
  void limitsChangeWhileItRuns() throws Exception {
    if (!has(Controller.PIDS)) {
      return;
    }
    try (CgroupLease lease = lease(processes(2)); Inmate inmate = Inmate.of(lease, "sleep 60 & echo one; read go; sleep 60 & sleep 60 & echo more; wait")) {
      assertEquals("one", inmate.line());
      lease.adjust(new CgroupLimits(OptionalLong.empty(), processes(20)));
      assertEquals(OptionalInt.of(20), lease.request().limits().host().processes());
      assertEquals(OptionalInt.of(20), manager.leases().getFirst().request().limits().host().processes());
    }
  }

  // ---- ways in

  @Test
  void whatWritesItselfIntoTheDirectoriesIsInside() throws Exception {
    try (CgroupLease lease = lease(HostLimits.NONE)) {
      String enter = lease.directories().stream().map(path -> "echo 0 > " + path + "/cgroup.procs").collect(Collectors.joining("; "));
      Process process = new ProcessBuilder("sh", "-c", enter + "; sleep 60 & echo $!; wait").start();
      try {
        long child = Long.parseLong(process.inputReader().readLine());
        assertEquals(Set.of(process.pid(), child), Set.copyOf(lease.processes()));
        lease.kill();
        assertEquals(List.of(), lease.processes());
        assertFalse(runs(child));
      } finally {
        process.destroyForcibly();
      }
    }
  }

  @Test
  @RequiresCapability("python3")
  void aProcessCanBeClonedIntoIt() throws Exception {
    try (CgroupLease lease = lease(HostLimits.NONE)) {
      assertEquals(manager.probe().clones(), lease.descriptor().isPresent());
      if (lease.descriptor().isEmpty()) {
        reporter.publishEntry("not applicable", "CLONE_INTO_CGROUP needs version 2");
        return;
      }
      // clone3 is number 435 on every architecture; its arguments are flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup.
      String clone = """
          import ctypes, os, struct, sys
          fd = os.open(sys.argv[1], os.O_PATH)
          args = ctypes.create_string_buffer(struct.pack('11Q', 0x200000000, 0, 0, 0, 17, 0, 0, 0, 0, 0, fd))
          pid = ctypes.CDLL(None, use_errno=True).syscall(435, args, 88)
          if pid == 0:
            os.execvp('sleep', ['sleep', '60'])
          print(pid if pid > 0 else -ctypes.get_errno(), flush=True)
          """;
      Process process = new ProcessBuilder("python3", "-c", clone, "/proc/" + ProcessHandle.current().pid() + "/fd/" + lease.descriptor().getAsInt())
          .redirectError(ProcessBuilder.Redirect.INHERIT).start();
      long child = Long.parseLong(process.inputReader().readLine());
      assertTrue(child > 0, () -> "errno " + -child);
      assertEquals(List.of(child), lease.processes());
      lease.close();
      assertFalse(runs(child));
    }
  }

  @Test
  void whatARuntimeHasMadeInsideGoesWithIt() throws Exception {
    CgroupLease lease = lease(HostLimits.NONE);
    List<Path> directories = lease.directories();
    for (Path directory : directories) {
      // As an OCI runtime does at runtimePath.
      Files.createDirectories(directory.resolve("sandbox/deeper"));
    }
    lease.runtimePath().ifPresent(path -> directories.forEach(directory -> assertTrue(directory.resolve("sandbox").toString().endsWith(path), path)));
    lease.close();
    assertEquals(List.of(), directories.stream().filter(Files::exists).toList());
  }

  // ---- freeze, kill, close

  @Test
  void whatIsFrozenStandsStillAndGoesOnWhenThawed() throws Exception {
    if (!manager.probe().freezes()) {
      reporter.publishEntry("not applicable", "this host can't freeze");
      return;
    }
    try (CgroupLease lease = lease(HostLimits.NONE); Inmate inmate = Inmate.of(lease, "i=0; while :; do i=$((i+1)); echo $i; done")) {
      inmate.line();
      lease.freeze();
      long had = ticks(inmate.pid());
      Thread.sleep(100);
      assertEquals(had, ticks(inmate.pid()));
      lease.thaw();
      Thread reader = Thread.ofPlatform().daemon().start(() -> {
        try {
          inmate.said();
        } catch (IOException e) {
          // It was killed.
        }
      });
      eventually("it goes on", () -> ticks(inmate.pid()) > had);
      lease.freeze();
      lease.kill();
      assertEquals(KILLED, inmate.status());
      reader.join();
    }
  }

  /** Processor time of a process, in the kernel's ticks. */
  private static long ticks(long pid) throws IOException {
    String[] fields = Files.readString(Path.of("/proc/" + pid + "/stat")).replaceFirst("^.*\\) ", "").split(" ");
    return Long.parseLong(fields[11]) + Long.parseLong(fields[12]);
  }

  @Test
  void aKillReachesWhateverForksMeanwhileAndNothingEntersAfterIt() throws Exception {
    try (CgroupLease lease = lease(has(Controller.PIDS) ? processes(200) : HostLimits.NONE)) {
      Inmate inmate = Inmate.of(lease, "trap '' TERM INT HUP; echo begin; while :; do (sleep 60 &) ; done 2>/dev/null");
      assertEquals("begin", inmate.line());
      eventually("it forks", () -> lease.processes().size() > 20);
      lease.kill();
      lease.kill();
      // Killed, or at its end because it was refused one more: a shell ends then.
      assertTrue(inmate.status() != 0);
      assertEquals(List.of(), lease.processes());
      assertThrows(IllegalStateException.class, () -> lease.enter(inmate.pid()));
      inmate.close();
    }
  }

  @Test
  void aCloseEndsWhatIsInsideAndCountsOnce() throws Exception {
    CgroupLease lease = lease(HostLimits.NONE);
    List<Path> directories = lease.directories();
    try (Inmate inmate = Inmate.of(lease, "sleep 60 & sleep 60")) {
      eventually("it has forked", () -> lease.processes().size() == 3);
      lease.close();
      assertEquals(KILLED, inmate.status());
    }
    assertEquals(List.of(), directories.stream().filter(Files::exists).toList());
    assertEquals(List.of(), manager.leases());
    CgroupLease other = lease(HostLimits.NONE);
    lease.close();
    assertEquals(List.of(other.name()), names());
    assertThrows(IllegalStateException.class, lease::usage);
    assertThrows(IllegalStateException.class, lease::kill);
    assertThrows(IllegalStateException.class, lease::directories);
    other.close();
  }

  @Test
  void whatWasRemovedByOthersIsNoFailureOfTheClose() throws Exception {
    CgroupLease lease = lease(HostLimits.NONE);
    for (Path directory : lease.directories()) {
      Files.delete(directory);
    }
    lease.usage();
    lease.kill();
    lease.close();
    assertEquals(List.of(), manager.leases());
  }

  @Test
  void manyAtOnceGetEachItsOwn() throws Exception {
    try (ExecutorService threads = Executors.newFixedThreadPool(8)) {
      List<Future<List<CgroupLease>>> all = new ArrayList<>();
      for (int i = 0; i < 8; i++) {
        all.add(threads.submit(() -> {
          List<CgroupLease> mine = new ArrayList<>();
          for (int n = 0; n < 25; n++) {
            mine.add(lease(HostLimits.NONE));
            if (n % 3 == 0) {
              mine.removeFirst().close();
            }
          }
          return mine;
        }));
      }
      List<CgroupLease> held = new ArrayList<>();
      for (Future<List<CgroupLease>> mine : all) {
        held.addAll(mine.get());
      }
      assertEquals(held.size(), held.stream().map(CgroupLease::name).distinct().count());
      assertEquals(Set.copyOf(held.stream().map(CgroupLease::name).toList()), Set.copyOf(names()));
      held.forEach(CgroupLease::close);
      assertEquals(List.of(), manager.leases());
    }
  }

  @Test
  void whoeverWasInterruptedGetsNothing() {
    Thread.currentThread().interrupt();
    assertThrows(InterruptedException.class, () -> lease(HostLimits.NONE));
    assertFalse(Thread.interrupted());
    assertEquals(List.of(), manager.leases());
  }

  // ---- replaced, killed, stopped

  @Test
  void leasesOutliveTheManagerThatLentThem() throws Exception {
    CgroupLease kept = lease(has(Controller.PIDS) ? processes(10) : HostLimits.NONE);
    CgroupLease closed = lease(HostLimits.NONE);
    CgroupManager before = manager;
    try (Inmate inmate = Inmate.of(kept, "sleep 60 & wait")) {
      eventually("it has forked", () -> kept.processes().size() == 2);
      manager = replaced();
      assertTrue(inmate.alive(), "what ran in it was ended");
      assertEquals(List.of(kept.name(), closed.name()), names());
      assertEquals(kept.request(), manager.leases().getFirst().request());
      assertEquals(Set.copyOf(kept.processes()), Set.copyOf(manager.leases().getFirst().processes()));
      assertEquals(ErrorCode.NOT_READY, assertThrows(InstarException.class, () -> before.lease(new CgroupRequest("late", "user/function@1", CgroupLimits.NONE))).code());

      closed.close();
      assertEquals(List.of(kept.name()), names());
      CgroupLease another = lease(HostLimits.NONE);
      assertEquals(List.of(kept.name(), another.name()), names());
      another.close();
      kept.close();
      assertEquals(KILLED, inmate.status());
      assertEquals(List.of(), manager.leases());
    }
  }

  @Test
  void theNextRunRemovesWhatAKilledOneLeftAndNothingElse() throws Exception {
    CgroupLease lost = lease(HostLimits.NONE);
    List<Path> directories = lost.directories();
    // One that another made beside them.
    List<Path> foreign = new ArrayList<>();
    for (Path directory : directories) {
      foreign.add(Files.createDirectory(directory.getParent().resolveSibling("instar-tck-foreign-" + ProcessHandle.current().pid())));
    }
    try (Inmate inmate = Inmate.of(lost, "sleep 60 & wait")) {
      eventually("it has forked", () -> lost.processes().size() == 2);
      manager = startedAfterKill();
      assertEquals(KILLED, inmate.status());
      assertEquals(List.of(), directories.stream().filter(Files::exists).toList());
      assertEquals(foreign, foreign.stream().filter(Files::exists).toList());
      assertEquals(List.of(), manager.leases());
      lease(HostLimits.NONE).close();
    } finally {
      for (Path path : foreign) {
        Files.delete(path);
      }
    }
  }

  @Test
  void whenTheNodeStopsNothingStays() throws Exception {
    CgroupLease held = lease(HostLimits.NONE);
    try (Inmate inmate = Inmate.of(held, "sleep 60 & wait")) {
      stopped();
      assertEquals(KILLED, inmate.status());
      assertEquals(List.of(), left());
      // Its owner gives it back too late, and twice.
      held.close();
      held.close();
      assertEquals(List.of(), left());
      assertEquals(ErrorCode.NOT_READY, assertThrows(InstarException.class, () -> lease(HostLimits.NONE)).code());
    }
  }

  @Test
  void theProbeSaysWhatIsThereAndWhatIsNot() {
    CgroupSupport support = manager.probe();
    assertTrue(support.mode() != CgroupSupport.Mode.NONE);
    for (Controller controller : Controller.values()) {
      assertEquals(!support.controllers().contains(controller), support.missing().stream().anyMatch(missing -> !missing.remedy().isBlank() && names(missing.what(), controller)),
          () -> controller + " in " + support);
    }
  }

  private static boolean names(String what, Controller controller) {
    return what.endsWith(" " + switch (controller) {
      case IO -> what.endsWith("blkio") ? "blkio" : "io";
      default -> controller.name().toLowerCase(Locale.ROOT);
    });
  }
}
