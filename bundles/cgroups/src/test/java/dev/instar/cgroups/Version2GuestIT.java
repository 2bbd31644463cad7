package dev.instar.cgroups;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.tck.capability.RequiresCapability;
import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * The suite on a kernel that has version 2 alone, with all its controllers: that of Debian for clouds, in QEMU, which needs no help of the processor. The guest's only file system holds
 * busybox, this JDK and the classes of this test.
 */
@RequiresCapability("linux-guest")
@Timeout(180)
class Version2GuestIT {
  private static final String INIT = """
      #!/bin/busybox sh
      export PATH=/bin
      /bin/busybox mkdir -p /proc /sys /dev /tmp
      /bin/busybox --install -s /bin
      mount -t proc proc /proc
      mount -t sysfs sysfs /sys
      mount -t devtmpfs devtmpfs /dev
      mount -t tmpfs tmpfs /tmp
      mount -t cgroup2 cgroup2 /sys/fs/cgroup
      /jdk/bin/java -Xmx256m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC --enable-native-access=ALL-UNNAMED -cp @CLASSPATH@ dev.instar.cgroups.GuestMain
      echo GUEST END
      poweroff -f
      """;

  @TempDir Path work;

  @Test
  void theSuiteHoldsOnVersion2Alone() throws Exception {
    Path initramfs = work.resolve("initramfs");
    write(initramfs);
    Process guest = new ProcessBuilder("qemu-system-x86_64", "-accel", "kvm", "-accel", "tcg,thread=multi", "-cpu", "max,-arch-capabilities", "-smp", "2", "-m", "1200", "-nodefaults", "-no-user-config", "-display",
        "none", "-no-reboot", "-serial", "stdio", "-kernel", kernel().toString(), "-initrd", initramfs.toString(), "-append", "console=ttyS0 quiet psi=1 panic=-1 rdinit=/init")
            .redirectErrorStream(true).start();
    List<String> said = new ArrayList<>();
    try (BufferedReader console = guest.inputReader(StandardCharsets.UTF_8)) {
      for (String line = console.readLine(); line != null && !line.startsWith("GUEST END"); line = console.readLine()) {
        said.add(line.strip());
      }
    } finally {
      guest.destroyForcibly().waitFor();
    }
    String all = String.join("\n", said);
    assertTrue(said.contains("GUEST DONE"), () -> "the guest did not come to its end:\n" + all);
    assertEquals(List.of(), said.stream().filter(line -> line.startsWith("GUEST FAIL")).toList(), all);
    assertTrue(said.stream().filter(line -> line.startsWith("GUEST PASS")).count() > 15, all);
  }

  private static Path kernel() throws IOException {
    Path root = Path.of("").toAbsolutePath();
    while (!Files.exists(root.resolve("cnf/host-capabilities"))) {
      root = root.getParent();
    }
    try (Stream<Path> boot = Files.list(root.resolve("target/linux-guest/boot"))) {
      return boot.filter(file -> file.getFileName().toString().startsWith("vmlinuz-")).findFirst().orElseThrow();
    }
  }

  private static void write(Path file) throws IOException, InterruptedException {
    Path jdk = Path.of(System.getProperty("java.home"));
    try (Initramfs files = new Initramfs(file)) {
      files.file("bin/busybox", Path.of("/bin/busybox"));
      files.file("jdk/bin/java", jdk.resolve("bin/java"));
      files.tree("jdk/lib", jdk.resolve("lib"), List.of("src.zip", "ct.sym", "classes_nocoops.jsa", "classes_coh.jsa", "classes_nocoops_coh.jsa"));
      files.tree("jdk/conf", jdk.resolve("conf"), List.of());
      for (String library : libraries(jdk)) {
        files.file(library.substring(1), Path.of(library));
      }
      List<String> classpath = new ArrayList<>();
      for (String entry : System.getProperty("java.class.path").split(File.pathSeparator)) {
        Path path = Path.of(entry);
        String name = "classes/" + classpath.size();
        if (Files.isDirectory(path)) {
          files.tree(name, path, List.of());
          classpath.add("/" + name);
        } else if (Files.isRegularFile(path)) {
          files.file(name + ".jar", path);
          classpath.add("/" + name + ".jar");
        }
      }
      files.file("init", INIT.replace("@CLASSPATH@", String.join(":", classpath)).getBytes(StandardCharsets.UTF_8));
    }
  }

  /** The files of the system that the JVM is linked to, and the loader. */
  private static Set<String> libraries(Path jdk) throws IOException, InterruptedException {
    Process ldd = new ProcessBuilder("ldd", jdk.resolve("bin/java").toString(), jdk.resolve("lib/server/libjvm.so").toString(), jdk.resolve("lib/libnio.so").toString()).start();
    Set<String> files = new LinkedHashSet<>();
    for (Matcher path = Pattern.compile("(/[^ ]+\\.so[^ ]*) \\(").matcher(new String(ldd.getInputStream().readAllBytes(), StandardCharsets.UTF_8)); path.find();) {
      if (!Path.of(path.group(1)).normalize().startsWith(jdk)) {
        files.add(path.group(1));
      }
    }
    ldd.waitFor();
    return files;
  }
}
