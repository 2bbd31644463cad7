package dev.instar.backend.container;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.function.Limits;
import dev.instar.api.sandbox.Probe;
import dev.instar.api.sandbox.Sandbox;
import dev.instar.tck.capability.RequiresCapability;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Another OCI runtime by its name, which reads the filter of system calls from the specification. */
@RequiresCapability({"container", "runc"})
@Timeout(value = 120, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class RuncTest {
  @TempDir
  Path directory;

  @Test
  void runcRunsTheSame() throws Exception {
    try (Bench bench = new Bench(directory, "runc")) {
      assertTrue(bench.backend.probe() instanceof Probe.Usable(String detail) && detail.startsWith("runc"));
      assertEquals("hello", bench.call(bench.script("exec cat"), "hello"));
      String status = bench.call(bench.script("unshare -U true 2>/dev/null && echo escaped; cat /proc/self/status"), "");
      assertTrue(status.contains("\nSeccomp:\t2\n") && !status.contains("escaped"), status);
    }
  }

  @Test
  void bothWaysToCallHaveTheNetworkThatWasLent() throws Exception {
    try (VethLease network = VethLease.make(2); Bench bench = new Bench(directory, "runc")) {
      String script = "ip -o -4 addr show dev eth0 2>&1; ls -d /proc/sys/net/ipv4/conf/eth0 2>&1";
      String own = bench.call(bench.start(bench.prepare(bench.busybox.script(script), Map.of(), Limits.DEFAULT), Duration.ofSeconds(30), network), "");
      assertTrue(own.contains(network.address().getHostAddress() + "/30"), own);
      // And no way into the host's.
      String outside = bench.call(bench.start(bench.prepare(bench.busybox.script("ip link set eth0 down && echo changed; ip link add d type dummy && echo made; true"), Map.of(), Limits.DEFAULT),
          Duration.ofSeconds(30), network), "");
      assertEquals("", outside);
      String serve = "printf '#!/bin/sh\nwhile read -r line; do line=${line%%?}; [ -z \"$line\" ] && break; done\nprintf \"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\nConnection: close\\r\\n\\r\\nhi\"\n' >/serve; "
          + "chmod +x /serve; exec nc -ll -p 8080 -e /serve";
      assertEquals("hi", bench.call(bench.start(bench.prepare(bench.busybox.script(serve), Map.of("port", "8080"), Limits.DEFAULT), Duration.ofSeconds(30), network), ""));
    }
  }

  /** Up to 0.17 crun has no annotation for a filter that is compiled already, and passes over it. */
  @Test
  void aCrunThatTakesNoCompiledFilterFiltersAllTheSame() throws Exception {
    Path old = directory.resolve("crun-0.17");
    Files.writeString(old, "#!/bin/sh\nbundle=; for word; do [ \"$bundle\" = next ] && bundle=$word; [ \"$word\" = --bundle ] && bundle=next; done\n"
        + "[ -n \"$bundle\" ] && sed -i s/run.oci.seccomp_bpf_data/unknown/ \"$bundle/config.json\"\nexec crun \"$@\"\n");
    Files.setPosixFilePermissions(old, PosixFilePermissions.fromString("rwx------"));
    try (Bench bench = new Bench(directory, old.toString())) {
      String status = bench.call(bench.script("unshare -U true 2>/dev/null && echo escaped; cat /proc/self/status"), "");
      assertTrue(status.contains("\nSeccomp:\t2\n") && !status.contains("escaped"), status);
    }
  }

  /** By the time that it is read, the number that the runtime wrote down may be another process's. */
  @Test
  void aProcessThatHasTheNumberOfTheFirstOneByNowIsLeftAlone() throws Exception {
    Process innocent = new ProcessBuilder("sleep", "60").start();
    Path late = directory.resolve("crun-late");
    Files.writeString(late, "#!/bin/sh\nbefore=; for word; do\n  [ \"$before\" = --pid-file ] && { echo " + innocent.pid() + " >\"$word\"; before=$word; word=$word.real; } || before=$word\n"
        + "  set -- \"$@\" \"$word\"; shift\ndone\nexec crun \"$@\"\n");
    Files.setPosixFilePermissions(late, PosixFilePermissions.fromString("rwx------"));
    try (Bench bench = new Bench(directory, late.toString())) {
      Sandbox sandbox = bench.script("exec cat");
      sandbox.kill();
      assertFalse(sandbox.reusable());
      sandbox.close();
      assertFalse(innocent.waitFor(300, TimeUnit.MILLISECONDS));
    } finally {
      innocent.destroyForcibly();
    }
  }

  @Test
  void aRuntimeThatIsNotThereIsNamed() throws Exception {
    try (Bench bench = new Bench(directory, "no-such-runtime")) {
      assertEquals(Optional.empty(), bench.backend.objection(Map.of("runtime", " crun ")));
      assertEquals(Optional.empty(), bench.backend.objection(Map.of("runtime", "")));
      assertEquals(Optional.empty(), bench.backend.objection(Map.of("max-processes", 5)));
      for (String wrong : List.of("no-such-runtime", "/no/such/file", "/etc/passwd", "/etc")) {
        assertEquals(Optional.of(wrong), bench.backend.objection(Map.of("runtime", wrong)).orElseThrow().value());
      }
      assertTrue(bench.backend.probe() instanceof Probe.Missing(String what, String remedy) && what.contains("no-such-runtime"));
    }
  }
}
