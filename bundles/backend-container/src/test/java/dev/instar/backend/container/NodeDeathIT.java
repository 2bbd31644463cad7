package dev.instar.backend.container;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.function.Limits;
import dev.instar.tck.capability.RequiresCapability;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** {@code kill -9} of the node: what it has left ends by itself, or at the latest when the node starts next. */
@RequiresCapability("container")
@Timeout(value = 120, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class NodeDeathIT {
  @TempDir
  Path directory;

  private static long left() {
    return ProcessHandle.allProcesses().filter(p -> p.info().commandLine().filter(line -> line.contains(" 87654") || line.contains("--pid-file")).isPresent()).count();
  }

  @Test
  void nothingOfItsContainersOutlivesIt() throws Exception {
    long before = left();
    String mounts = Files.readString(Path.of("/proc/self/mounts"));
    VethLease network = VethLease.make(2);
    Process node = new ProcessBuilder(Path.of(System.getProperty("java.home"), "bin", "java").toString(), VethLease.owner(), "-cp",
        System.getProperty("java.class.path"), Node.class.getName(), directory.toString()).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    try (network) {
      BufferedReader said = new BufferedReader(new InputStreamReader(node.getInputStream()));
      assertEquals("runs", said.readLine());
      node.destroyForcibly().waitFor();
      Bench next = new Bench(directory.resolve("node"), "");
      next.close();
      for (long until = System.nanoTime() + Duration.ofSeconds(20).toNanos(); left() > before && System.nanoTime() < until;) {
        Thread.sleep(20);
      }
      assertEquals(before, left());
      assertEquals(mounts.lines().filter(line -> !line.contains("netns")).toList(),
          Files.readString(Path.of("/proc/self/mounts")).lines().filter(line -> !line.contains("netns")).toList());
      assertFalse(Files.exists(Path.of("/run", "instar-" + Mark.of(directory.resolve("node")).directory())));
    } finally {
      node.destroyForcibly().waitFor(10, TimeUnit.SECONDS);
    }
  }

  /**
   * What stands between the node and the runtime stops at a point, and the node is killed there: with the layers mounted, with the container made, with the container
   * ended.
   */
  @ParameterizedTest
  @ValueSource(strings = {"mounted", "created", "closing"})
  void atEachPointOfAContainersLife(String point) throws Exception {
    // Sleeps so long, which nobody else does.
    String seconds = "98" + ProcessHandle.current().pid() + point.length();
    List<String> mounts = mounts();
    Process node = new ProcessBuilder(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-cp", System.getProperty("java.class.path"),
        Halting.class.getName(), directory.toString(), point, seconds).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    try {
      BufferedReader said = new BufferedReader(new InputStreamReader(node.getInputStream()));
      assertEquals(point, said.readLine());
      // A node that closes a container goes on with that after a second.
      assertTrue(point.equals("closing") || !sleepers(seconds).isEmpty(), "nothing is there that could be left");
      node.destroyForcibly().waitFor();
      Bench next = new Bench(directory.resolve("node"), "");
      next.close();
      for (long until = System.nanoTime() + Duration.ofSeconds(20).toNanos(); !sleepers(seconds).isEmpty() && System.nanoTime() < until;) {
        Thread.sleep(20);
      }
      assertEquals(List.of(), sleepers(seconds));
      assertEquals(mounts, mounts());
      assertFalse(Files.exists(Path.of("/run", "instar-" + Mark.of(directory.resolve("node")).directory())));
    } finally {
      node.destroyForcibly().waitFor(10, TimeUnit.SECONDS);
    }
  }

  /** Processes of the container, and of what stands before its runtime, other than the node. */
  private List<String> sleepers(String seconds) {
    return ProcessHandle.allProcesses().flatMap(p -> p.info().commandLine().stream())
        .filter(line -> line.endsWith(" " + seconds) && !line.contains(Halting.class.getSimpleName()) || line.contains("--pid-file " + directory)).toList();
  }

  private static List<String> mounts() throws IOException {
    return Files.readString(Path.of("/proc/self/mounts")).lines().filter(line -> !line.contains("netns")).toList();
  }

  /** A node whose runtime stops at a point. */
  static final class Halting {
    private Halting() {}

    public static void main(String[] args) throws Exception {
      Path root = Files.createDirectory(Path.of(args[0], "node"));
      Path reached = root.resolve("reached");
      Path runtime = root.resolve("runtime");
      Files.writeString(runtime, """
          #!/bin/sh
          stop() { : >%1$s; exec sleep %3$s; }
          case "%2$s $*" in
            "mounted "*" run "*) stop;;
            "created "*" run "*)
              for a; do shift; [ "$a" = run ] && a=create; set -- "$@" "$a"; done
              crun "$@"
              stop;;
            "closing "*" run "*) crun "$@"; stop;;
          esac
          exec crun "$@"
          """.formatted(reached, args[1], args[2]));
      Files.setPosixFilePermissions(runtime, PosixFilePermissions.fromString("rwx------"));
      Bench bench = new Bench(root, runtime.toString());
      Thread.ofPlatform().daemon().start(() -> {
        try {
          bench.script("exec sleep " + args[2]).close();
        } catch (Exception e) {
          e.printStackTrace();
        }
      });
      // What stands before the runtime may be killed before it gets to the end of a container: then the node dies right after it.
      long until = System.nanoTime() + Duration.ofSeconds(args[1].equals("closing") ? 5 : 30).toNanos();
      while (!Files.exists(reached) && System.nanoTime() < until) {
        Thread.sleep(5);
      }
      if (!Files.exists(reached) && !args[1].equals("closing")) {
        throw new IllegalStateException("never " + args[1]);
      }
      System.out.println(args[1]);
      Thread.sleep(Duration.ofMinutes(5));
    }
  }

  /** A node with an idle container, one whose call runs, and one whose first process is the function's and listens to nobody. */
  static final class Node {
    private Node() {}

    public static void main(String[] args) throws Exception {
      Bench bench = new Bench(Files.createDirectory(Path.of(args[0], "node")), "");
      bench.script("exec cat");
      var busy = bench.script("trap '' TERM HUP; sleep 87654");
      Thread.ofPlatform().daemon().start(() -> {
        try {
          bench.call(busy, "");
        } catch (InterruptedException e) {
          Thread.currentThread().interrupt();
        }
      });
      bench.start(bench.prepare(bench.busybox.script("trap '' TERM HUP; nc -ll -p 8080 -e cat & sleep 87654"), Map.of("port", "8080"), Limits.DEFAULT),
          Duration.ofSeconds(30), VethLease.made(2));
      long until = System.nanoTime() + Duration.ofSeconds(60).toNanos();
      while (left() < 5 && System.nanoTime() < until) {
        Thread.sleep(10);
      }
      System.out.println(left() < 5 ? "never runs" : "runs");
      Thread.sleep(Duration.ofMinutes(5));
    }
  }
}
