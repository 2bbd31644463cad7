package dev.instar.backend.container;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.function.Limits;
import dev.instar.api.sandbox.Freezable;
import dev.instar.api.sandbox.Sandbox;
import dev.instar.tck.capability.RequiresCapability;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Containers that are stopped between their calls. */
@RequiresCapability({"container", "cgroups"})
@Timeout(value = 120, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class FreezeTest {
  @TempDir
  Path directory;
  private Bench bench;
  private CgroupDirectories cgroup;

  @BeforeEach
  void open() throws Exception {
    bench = new Bench(directory, "");
    cgroup = CgroupDirectories.make(1);
  }

  /** The cgroup goes only when nothing is in it. */
  @AfterEach
  void close() throws Exception {
    bench.close();
    cgroup.close();
  }


  /** One that has left a process which counts for ever. */
  private Sandbox spinning() throws Exception {
    Sandbox sandbox = bench.start(bench.prepare(bench.busybox.script("(while :; do :; done) >/dev/null 2>&1 </dev/null & cat"), Map.of(), Limits.DEFAULT),
        Duration.ofSeconds(30), cgroup);
    assertEquals("one", bench.call(sandbox, "one"));
    assertTrue(assertInstanceOf(Freezable.class, sandbox).freeze());
    return sandbox;
  }

  private long used() {
    return cgroup.usage().cpuMicros().orElseThrow();
  }

  @Test
  void whatIsFrozenTakesNoTimeAndAnswersWhenItIsThawed() throws Exception {
    Sandbox sandbox = spinning();
    long before = used();
    Thread.sleep(300);
    assertEquals(before, used());
    assertTrue(sandbox.reusable());
    ((Freezable) sandbox).thaw();
    assertEquals("two", bench.call(sandbox, "two"));
    for (long until = System.nanoTime() + Duration.ofSeconds(20).toNanos(); used() == before && System.nanoTime() < until;) {
      Thread.sleep(5);
    }
    assertTrue(used() > before);
  }

  @Test
  void itIsKilledAndClosedWhileItIsFrozen() throws Exception {
    Sandbox killed = spinning();
    killed.kill();
    for (long until = System.nanoTime() + Duration.ofSeconds(20).toNanos(); !cgroup.processes().isEmpty() && System.nanoTime() < until;) {
      Thread.sleep(5);
    }
    assertEquals(0, cgroup.processes().size());
    assertFalse(killed.reusable());
    assertFalse(((Freezable) killed).freeze());
    killed.close();
    Sandbox closed = spinning();
    long begin = System.nanoTime();
    closed.close();
    assertTrue(System.nanoTime() - begin < Duration.ofSeconds(10).toNanos());
    for (long until = System.nanoTime() + Duration.ofSeconds(20).toNanos(); !cgroup.processes().isEmpty() && System.nanoTime() < until;) {
      Thread.sleep(5);
    }
    assertEquals(0, cgroup.processes().size());
  }

  @Test
  void withoutACgroupNothingIsFrozen() throws Exception {
    assertFalse(assertInstanceOf(Freezable.class, bench.script("exec cat")).freeze());
  }
}
