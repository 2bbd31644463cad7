package dev.instar.backend.process;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.data.LockedDataDirectory;
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
  void twoDirectoriesInOnePlaceAreTwo() throws Exception {
    Path place = Files.createDirectory(directory.resolve("place"));
    Mark one = Mark.of(place);
    assertEquals(one, Mark.of(place));
    Files.move(place, directory.resolve("moved"));
    assertTrue(!one.directory().equals(Mark.of(Files.createDirectory(place)).directory()));
  }
}
