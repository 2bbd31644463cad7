package dev.instar.cgroups;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.instar.api.cgroup.CgroupSupport.Mode;
import java.nio.file.Path;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;

class MountsTest {
  @Test
  void version2Alone() {
    Mounts mounts = Mounts.of("30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n", "0::/system.slice/instar.service\n");
    assertEquals(Mode.V2, mounts.mode());
    assertEquals(Path.of("/sys/fs/cgroup/system.slice/instar.service"), mounts.version2().orElseThrow().own());
  }

  @Test
  void aContainerThatSeesItsOwnPartAlone() {
    // Without a namespace of cgroups the paths are the host's, and only a part of the tree is mounted.
    Mounts mounts = Mounts.of("30 24 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n", "0::/docker/abc/inner\n");
    assertEquals(Path.of("/sys/fs/cgroup/inner"), mounts.version2().orElseThrow().own());
    // With one, what is mounted may be above it.
    assertEquals(Path.of("/sys/fs/cgroup"), Mounts.of("30 24 0:26 /../.. /sys/fs/cgroup ro - cgroup2 cgroup rw\n", "0::/\n").version2().orElseThrow().own());
    // Where it is is not mounted.
    assertEquals(Path.of("/sys/fs/cgroup"), Mounts.of("30 24 0:26 /other /sys/fs/cgroup ro - cgroup2 cgroup rw\n", "0::/docker\n").version2().orElseThrow().own());
  }

  @Test
  void bothSideBySideWithPairsOfControllersAndPlacesOfTheirOwn() {
    Mounts mounts = Mounts.of("""
        31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw
        32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:3 - cgroup cgroup rw,cpu,cpuacct
        35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
        36 31 0:33 / /sys/fs/cgroup/devices rw - cgroup cgroup rw,devices
        40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd
        41 31 0:38 / /sys/fs/cgroup/uni\\040fied rw - cgroup2 cgroup2 rw
        99 31 0:29 / /elsewhere/cpu rw - cgroup cgroup rw,cpu,cpuacct
        """, "5:memory:/a/b\n4:cpu,cpuacct:/c\n3:name=systemd:/d\n0::/e\n");
    assertEquals(Mode.HYBRID, mounts.mode());
    assertEquals(2, mounts.version1().size());
    assertEquals(new Mounts.Mount(Path.of("/sys/fs/cgroup/cpu,cpuacct"), Set.of("cpu", "cpuacct"), Path.of("/sys/fs/cgroup/cpu,cpuacct/c")), mounts.version1().getFirst());
    assertEquals(Path.of("/sys/fs/cgroup/memory/a/b"), mounts.version1().getLast().own());
    assertEquals(Path.of("/sys/fs/cgroup/uni fied/e"), mounts.version2().orElseThrow().own());
  }

  @Test
  void none() {
    Mounts mounts = Mounts.of("31 23 0:28 / / rw - ext4 /dev/vda rw\n", "");
    assertEquals(Mode.NONE, mounts.mode());
    assertEquals(Optional.empty(), mounts.version2());
  }
}
