package dev.instar.backend.container;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.sandbox.Probe;
import dev.instar.tck.capability.RequiresCapability;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Optional;
import java.util.Map;
import java.util.List;
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
