package dev.instar.backend.container;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.function.Image;
import dev.instar.api.function.Limits;
import dev.instar.api.sandbox.Sandbox;
import dev.instar.tck.capability.RequiresCapability;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What a hostile program in a container can't do, and what it leaves. */
@RequiresCapability("container")
@Timeout(value = 120, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class IsolationTest {
  /** Each line tries one thing and says its name if it was allowed. */
  private static final String TRIES = """
      t() { name=$1; shift; "$@" >/dev/null 2>&1 </dev/null && echo $name; }
      t own-tmp touch /tmp/x
      t own-root touch /x
      t mount mount -t tmpfs tmpfs /home
      t mount-proc mount -t proc proc /home
      t remount mount -o remount,rw /proc/sys
      t user-namespace unshare -U true
      t mount-namespace unshare -m true
      t network-namespace unshare -n true
      t chroot chroot / /bin/busybox true
      t block-device mknod /tmp/b b 254 0
      t memory-device mknod /tmp/m c 1 1
      t set-hostname hostname other
      t kernel-log dmesg
      t clock hwclock -w
      t sysctl-write sh -c 'echo 0 >/proc/sys/kernel/randomize_va_space'
      t sysrq sh -c 'echo h >/proc/sysrq-trigger'
      t core-pattern sh -c 'echo x >/proc/sys/kernel/core_pattern'
      t kcore head -c 1 /proc/kcore
      t keys sh -c 'head -c 1 /proc/keys | grep -q .'
      t cgroup-write mkdir /sys/fs/cgroup/x
      t oom-score sh -c 'echo -1000 >/proc/self/oom_score_adj'
      t raw-socket ping -c 1 -W 1 127.0.0.1
      t network-changed ip addr add 10.9.9.9/32 dev lo
      t neighbours sh -c 'ls -d /proc/[0-9]* | wc -l | grep -qv "^[0-9]$"'
      t reach-loopback-of-the-node nc -w 1 127.0.0.1 %d
      t reach-outside nc -w 1 192.0.2.1 80
      # The shell itself keeps its own standard output as 10 meanwhile.
      t inherited-descriptors sh -c 'ls /proc/$$/fd >/tmp/fds; grep -v "^[0-2]$" /tmp/fds | grep -v "^10$"'
      true
      """;
  @TempDir
  Path directory;
  private Bench bench;

  @BeforeEach
  void open() throws Exception {
    bench = new Bench(directory, "");
  }

  @AfterEach
  void close() throws Exception {
    bench.close();
    assertFalse(Files.exists(Path.of("/run", "instar-" + Mark.of(directory).directory())), "left in /run");
  }

  /** The list of what is allowed is all that may be said. */
  @Test
  void whatIsForbiddenIsRefused() throws Exception {
    try (var server = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      String allowed = bench.call(bench.script("sh -c \"$(cat)\""), TRIES.formatted(server.getLocalPort()));
      assertEquals(Set.of("own-tmp", "own-root"), new TreeSet<>(allowed.lines().toList()), bench.logged());
    }
  }

  /**
   * The same program tells of what it could do where it can: beside a container, with namespaces of its own that keep the host from harm, but root of the host in
   * them. Left out is what would change the host all the same.
   */
  @Test
  void whatWereAllowedWouldBeSaid() throws Exception {
    Set<String> harmless = Set.of("own-tmp", "own-root", "mount", "mount-proc", "user-namespace", "mount-namespace", "network-namespace", "chroot", "block-device", "memory-device", "set-hostname",
        "network-changed", "raw-socket", "reach-loopback-of-the-node", "inherited-descriptors");
    try (var server = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      String some = TRIES.formatted(server.getLocalPort()).lines().filter(line -> !line.startsWith("t ") || harmless.contains(line.split(" ")[1])).collect(Collectors.joining("\n"));
      // A listener of its own stands for the node's, whose loopback is not in the namespace.
      Path script = directory.resolve("tries");
      Files.writeString(script, "busybox umount -l /old; busybox mkdir -p /proc /dev /tmp; busybox mount -t proc proc /proc; busybox mknod -m 666 /dev/null c 1 3; busybox ip link set lo up\n"
          + "nc -ll -p " + server.getLocalPort() + " -e true & sleep 0.3; exec 7</dev/null\n" + some + "\n");
      Path root = bench.busybox.root();
      Files.copy(script, root.resolve("tries"));
      Process process = new ProcessBuilder("unshare", "--mount", "--uts", "--ipc", "--net", "--pid", "--fork", "--kill-child", "--propagation", "private", "sh", "-c",
          "mount --bind '" + root + "' '" + root + "' && cd '" + root + "' && mkdir old && pivot_root . old && exec /bin/busybox sh /tries").redirectErrorStream(true).start();
      process.getOutputStream().close();
      String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      assertEquals(harmless, new TreeSet<>(said.lines().toList()), said);
    }
  }

  @Test
  void theKernelFiltersWhatItRunsAndGivesNoPrivileges() throws Exception {
    String status = bench.call(bench.script("cat /proc/self/status"), "");
    assertTrue(status.contains("\nSeccomp:\t2\n"), status);
    assertTrue(status.contains("\nNoNewPrivs:\t1\n"), status);
    // chown, dac_override, fowner, fsetid, kill, setgid, setuid and net_bind_service, in a user namespace.
    assertTrue(status.contains("\nCapBnd:\t00000000000004fb\n"), status);
    assertTrue(status.contains("\nCapInh:\t0000000000000000\n"), status);
    assertEquals("         0 " + BusyboxImage.FIRST_ID + "      65536\n", bench.call(bench.script("cat /proc/self/uid_map"), ""));
  }

  @Test
  void nothingOfTheNodeIsSeen() throws Exception {
    String mounts = bench.call(bench.script("cat /proc/self/mountinfo; ls /; cat /etc/hosts"), "");
    assertFalse(mounts.contains(directory.toString()), mounts);
    assertTrue(mounts.contains("127.0.0.1\tlocalhost"), mounts);
  }

  @Test
  void theImageStaysAsItIs() throws Exception {
    Sandbox one = bench.script("echo spoiled >/etc/passwd; rm /bin/cat; cat /etc/passwd 2>&1; ls /bin/cat");
    assertThrows(InstarException.class, () -> bench.call(one, ""));
    assertTrue(Files.readString(bench.busybox.root().resolve("etc/passwd")).startsWith("root:"));
    assertTrue(Files.isSymbolicLink(bench.busybox.root().resolve("bin/cat")));
    assertTrue(bench.call(bench.script("cat /etc/passwd"), "").startsWith("root:"));
  }

  @Test
  void aRootThatIsReadOnlyIs() throws Exception {
    Sandbox sandbox = bench.start(bench.prepare(bench.busybox.script("touch /x 2>/dev/null && echo root; touch /tmp/x && echo tmp"), Map.of("read-only", "true"), Limits.DEFAULT),
        Duration.ofSeconds(30));
    assertEquals("tmp\n", bench.call(sandbox, ""));
  }

  @Test
  void aForkBombHurtsNobodyElse() throws Exception {
    Sandbox neighbour = bench.script("exec cat");
    Sandbox bomb = bench.script("b() { b | b & }; b; sleep 1; echo survived");
    try {
      bench.call(bomb, "");
    } catch (InstarException e) {
      assertTrue(Set.of(ErrorCode.FUNCTION_FAILED, ErrorCode.FUNCTION_TRAPPED, ErrorCode.SANDBOX_CRASHED).contains(e.code()), e.toString());
    }
    assertEquals("still here", bench.call(neighbour, "still here"));
    bomb.close();
  }

  @Test
  void aDaemonThatIgnoresAllSignalsEndsWithItsContainer() throws Exception {
    Sandbox sandbox = bench.script("trap '' TERM INT HUP; (trap '' TERM HUP; exec sleep 98765) >/dev/null 2>&1 </dev/null & echo started");
    assertEquals("started\n", bench.call(sandbox, ""));
    assertEquals(1, sleepers());
    sandbox.close();
    for (long until = System.nanoTime() + Duration.ofSeconds(10).toNanos(); sleepers() > 0 && System.nanoTime() < until;) {
      Thread.sleep(10);
    }
    assertEquals(0, sleepers());
  }

  private static long sleepers() {
    return ProcessHandle.allProcesses().filter(p -> p.info().commandLine().filter(line -> line.endsWith(" 98765")).isPresent()).count();
  }

  @Test
  void noProcessHoldsTheAnswerOpenThatACallHasLeft() throws Exception {
    Sandbox sandbox = bench.script("sleep 3600 & printf answered");
    assertEquals("answered", bench.call(sandbox, ""));
    // The end of the first is told by the process that has started it, that of a later one by its streams.
    assertEquals("answered", bench.call(sandbox, ""));
    assertFalse(sandbox.reusable());
  }

  private static Limits small() {
    Limits d = Limits.DEFAULT;
    return new Limits(d.memoryBytes(), d.tableElements(), d.stackBytes(), d.timeout(), d.runTime(), d.inputBytes(), d.outputBytes(), d.logBytes(), 20, 1 << 20, 20, d.concurrency());
  }

  /** A failure that comes of a limit of its files is told as that. */
  @Test
  void whoFailsWithItsFilesFullIsToldWhy() throws Exception {
    Sandbox full = bench.start(bench.prepare(bench.busybox.script("dd if=/dev/zero of=/a bs=64k 2>/dev/null; exit 3"), Map.of(), small()), Duration.ofSeconds(30));
    InstarException e = assertThrows(InstarException.class, () -> bench.call(full, ""));
    assertEquals(ErrorCode.FILES_FULL, e.code(), e.problem().detail());
    assertEquals(1L << 20, e.problem().members().get("limitBytes"));
    Sandbox shared = bench.start(bench.prepare(bench.busybox.script("dd if=/dev/zero of=/dev/shm/a bs=64k 2>/dev/null; exit 3"), Map.of(), small()), Duration.ofSeconds(30));
    assertEquals(ErrorCode.FILES_FULL, assertThrows(InstarException.class, () -> bench.call(shared, "")).code());
    Sandbox many = bench.start(bench.prepare(bench.busybox.script("n=0; while touch /f$n; do n=$((n+1)); done; exit 3"), Map.of(), small()), Duration.ofSeconds(30));
    e = assertThrows(InstarException.class, () -> bench.call(many, ""));
    assertEquals(ErrorCode.TOO_MANY_FILES, e.code(), e.problem().detail());
    assertEquals(20L, e.problem().members().get("limitCount"));
    Sandbox neither = bench.start(bench.prepare(bench.busybox.script("touch /f; exit 3"), Map.of(), small()), Duration.ofSeconds(30));
    assertEquals(ErrorCode.FUNCTION_FAILED, assertThrows(InstarException.class, () -> bench.call(neither, "")).code());
  }

  @Test
  void whatAContainerMayWriteIsBounded() throws Exception {
    Limits d = Limits.DEFAULT;
    Limits small = new Limits(d.memoryBytes(), d.tableElements(), d.stackBytes(), d.timeout(), d.runTime(), d.inputBytes(), d.outputBytes(), d.logBytes(),
        d.openFiles(), 1 << 20, 20, d.concurrency());
    Image image = bench.busybox.script("dd if=/dev/zero of=/tmp/a bs=64k count=100 2>/dev/null; dd if=/dev/zero of=/dev/shm/b bs=64k count=100 2>/dev/null; "
        + "stat -c %s /tmp/a /dev/shm/b");
    for (String size : bench.call(bench.start(bench.prepare(image, Map.of(), small), Duration.ofSeconds(30)), "").split("\n")) {
      assertTrue(Long.parseLong(size) <= 1 << 20, size);
    }
  }

  /** Each level of the recursion keeps one more descriptor; the last number is how many there were. */
  @Test
  void whoUsesUpDescriptorsHurtsNobodyElse() throws Exception {
    String all = "sh -c 'n=0; f() { n=$((n+1)); echo $n; { f; } </dev/null; }; f' 2>/dev/null | tail -n 1; cat /dev/null && echo goes on";
    Limits d = Limits.DEFAULT;
    Sandbox neighbour = bench.script("exec cat");
    int last = 0;
    for (int files : new int[] {40, 120}) {
      Limits limits = new Limits(d.memoryBytes(), d.tableElements(), d.stackBytes(), d.timeout(), d.runTime(), d.inputBytes(), d.outputBytes(), d.logBytes(),
          files, d.fileBytes(), d.madeFiles(), d.concurrency());
      Sandbox sandbox = bench.start(bench.prepare(bench.busybox.script(all), Map.of(), limits), Duration.ofSeconds(30));
      for (int call = 0; call < 2; call++) {
        List<String> said = bench.call(sandbox, "").lines().toList();
        assertEquals("goes on", said.getLast());
        int used = Integer.parseInt(said.getFirst());
        assertTrue(used > last + 10 && used <= files, () -> used + " of " + files);
      }
      last = files;
      assertEquals("still here", bench.call(neighbour, "still here"));
    }
  }

  @Test
  void theUserOfTheImageIsTheUserInTheContainer() throws Exception {
    for (var user : Map.of("guest", "uid=1000(guest) gid=1001", "guest:guests", "uid=1000(guest) gid=1002(guests)", "7:8", "uid=7 gid=8").entrySet()) {
      Image image = bench.busybox.image(Map.of("Entrypoint", List.of("id"), "User", user.getKey(), "WorkingDir", "/home"));
      String said = bench.call(bench.start(bench.prepare(image, Map.of(), Limits.DEFAULT), Duration.ofSeconds(30)), "");
      assertTrue(said.startsWith(user.getValue()), said);
    }
    Image image = bench.busybox.image(Map.of("Cmd", List.of("id"), "User", "nobody-here"));
    assertEquals(ErrorCode.MODULE_REFUSED, assertThrows(InstarException.class, () -> bench.prepare(image, Map.of(), Limits.DEFAULT)).code());
  }

  /** As in a swap: the new one comes while the old one has containers, and goes again. */
  @Test
  void anotherBackendOfTheSameNodeSparesTheContainersOfTheFirst() throws Exception {
    Sandbox sandbox = bench.script("exec cat");
    try (Bench other = new Bench(directory, "")) {
      assertEquals("other", other.call(other.script("exec cat"), "other"));
      assertEquals("spared", bench.call(sandbox, "spared"));
    }
    assertEquals("spared", bench.call(sandbox, "spared"));
    assertEquals("new", bench.call(bench.script("exec cat"), "new"));
  }

  @Test
  void theLabelSaysWhatRuns() throws Exception {
    Sandbox sandbox = bench.start(bench.prepare(bench.busybox.script("exit 1"), Map.of("fprocess", "wc -c"), Limits.DEFAULT), Duration.ofSeconds(30));
    assertEquals("5\n", bench.call(sandbox, "12345"));
  }
}
