package dev.instar.backend.process;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.data.LockedDataDirectory;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** What a node that was killed has left ends when the next one starts on its data directory, and nothing else does. */
@EnabledOnOs(OS.LINUX)
@Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class SweepTest {
  @TempDir
  Path directory;
  private LockedDataDirectory data;
  private final List<Process> children = new ArrayList<>();

  @BeforeEach
  void open() throws Exception {
    data = LockedDataDirectory.open(directory.resolve("data"));
  }

  @AfterEach
  void close() throws Exception {
    for (Process child : children) {
      child.destroyForcibly().waitFor();
    }
    data.close();
  }

  /** A real process that does not read its input; it has begun to run its program, of which the environment is that of. */
  private Process child(String mark) throws IOException {
    ProcessBuilder builder = new ProcessBuilder("/bin/sh", "-c", "echo runs; exec sleep 1000");
    builder.environment().put(ProcessTree.MARK, mark);
    Process child = builder.start();
    children.add(child);
    assertEquals('r', child.getInputStream().read());
    return child;
  }

  @Test
  void aPredecessorsProcessesEndAndNoOthers() throws Exception {
    Mark mine = Mark.of(data.root());
    Mark predecessor = new Mark(mine.directory(), "1.1");
    Mark neighbour = new Mark(Mark.of(Files.createDirectory(directory.resolve("other"))).directory(), "1.1");
    Process left = child(predecessor.newSandbox());
    Process ofThisRun = child(mine.newSandbox());
    Process ofAnotherNode = child(neighbour.newSandbox());
    Process ofNobody = child("");
    ProcessBackend backend = new ProcessBackend(data, "", Duration.ofMillis(100));
    assertTrue(left.waitFor(20, TimeUnit.SECONDS), "the predecessor's process still runs");
    for (Process other : List.of(ofThisRun, ofAnotherNode, ofNobody)) {
      assertTrue(other.isAlive(), other.toString());
    }
    backend.deactivate();
  }

  @Test
  void aGuestThatOutlivesAKilledNodeEndsWithTheNextOnesStart() throws Exception {
    data.close();
    Process node = new ProcessBuilder(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-cp",
        System.getProperty("java.class.path"), Node.class.getName(), directory.toString()).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    children.add(node);
    ProcessHandle guest;
    try (BufferedReader said = node.inputReader()) {
      guest = ProcessHandle.of(Long.parseLong(said.readLine())).orElseThrow();
      node.destroyForcibly().waitFor();
    }
    try {
      Thread.sleep(200);
      assertTrue(HostileChildTest.runs(guest), "it ends by itself, so this shows nothing");
      data = LockedDataDirectory.open(directory.resolve("data"));
      new ProcessBackend(data, "", Duration.ofMillis(100)).deactivate();
      while (HostileChildTest.runs(guest)) {
        Thread.sleep(10);
      }
    } finally {
      guest.destroyForcibly();
    }
  }

  /** A node with one guest, which does not read its input; prints its pid. */
  static final class Node {
    private Node() {}

    public static void main(String[] args) throws Exception {
      Path directory = Path.of(args[0]);
      Bench bench = new Bench(directory, LockedDataDirectory.open(directory.resolve("data")));
      bench.start(Bench.GREETING + "exec sleep 1000\n");
      System.out.println(ProcessHandle.current().children().findFirst().orElseThrow().pid());
      Thread.sleep(Duration.ofMinutes(5));
    }
  }

  @Test
  void twoDirectoriesInOnePlaceAreTwo() throws Exception {
    Path place = Files.createDirectory(directory.resolve("place"));
    Mark one = Mark.of(place);
    assertEquals(one, Mark.of(place));
    Files.move(place, directory.resolve("moved"));
    assertTrue(!one.directory().equals(Mark.of(Files.createDirectory(place)).directory()));
  }
}
