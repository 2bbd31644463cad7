package dev.instar.backend.process;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.tck.capability.RequiresCapability;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** {@code kill -9} of the node: the guest library hears the end of its input and ends, idle or in the middle of a call that computes. */
@RequiresCapability("python3")
class NodeDeathIT {
  @TempDir
  Path directory;

  @Test
  @Timeout(value = 90, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
  void childrenEndWithTheNode() throws Exception {
    Process node = new ProcessBuilder(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-cp",
        System.getProperty("java.class.path"),
        Node.class.getName(), directory.toString()).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    try {
      BufferedReader said = new BufferedReader(new InputStreamReader(node.getInputStream()));
      long idle = Long.parseLong(said.readLine());
      long computing = Long.parseLong(said.readLine());
      assertEquals("computes", said.readLine());
      ProcessHandle[] children = {ProcessHandle.of(idle).orElseThrow(), ProcessHandle.of(computing).orElseThrow()};
      node.destroyForcibly().waitFor();
      for (ProcessHandle child : children) {
        for (long until = System.nanoTime() + Duration.ofSeconds(20).toNanos(); HostileChildTest.runs(child) && System.nanoTime() < until;) {
          Thread.sleep(10);
        }
        assertTrue(!HostileChildTest.runs(child), "process " + child.pid() + " has outlived its node");
      }
    } finally {
      node.destroyForcibly().waitFor(10, TimeUnit.SECONDS);
    }
  }

  /** A node with an idle sandbox and one that computes; prints the pids of both. */
  static final class Node {
    private Node() {}

    public static void main(String[] args) throws Exception {
      Bench bench = new Bench(Path.of(args[0]));
      String library = Path.of("../../examples/process").toRealPath().toString();
      String head = """
          #!/usr/bin/env python3
          import os, sys
          sys.dont_write_bytecode = True
          sys.path.insert(0, os.environ["LIBRARY"])
          import instar_guest
          """;
      bench.start(bench.prepare(head + "instar_guest.serve(lambda call: None)\n", Map.of("LIBRARY", library)), Duration.ofSeconds(30));
      long first = onlyChild(Optional.empty());
      System.out.println(first);
      var computing = bench.start(bench.prepare(head + """
          def compute(call):
              call.log("computes")
              while True:
                  pass

          instar_guest.serve(compute)
          """, Map.of("LIBRARY", library)), Duration.ofSeconds(30));
      System.out.println(onlyChild(Optional.of(first)));
      Thread.ofVirtual().start(() -> {
        try {
          bench.call(computing, new byte[0]);
        } catch (InterruptedException e) {
          Thread.currentThread().interrupt();
        }
      });
      while (!bench.logged().contains("computes")) {
        Thread.sleep(5);
      }
      System.out.println("computes");
      Thread.sleep(Duration.ofMinutes(5));
    }

    private static long onlyChild(Optional<Long> but) {
      return ProcessHandle.current().children().map(ProcessHandle::pid).filter(pid -> but.isEmpty() || !but.get().equals(pid)).findFirst()
          .orElseThrow();
    }
  }
}
