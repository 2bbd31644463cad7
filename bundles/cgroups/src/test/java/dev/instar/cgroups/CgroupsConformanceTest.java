package dev.instar.cgroups;

import dev.instar.api.cgroup.CgroupManager;
import dev.instar.tck.cgroup.CgroupManagerSuite;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;

class CgroupsConformanceTest extends CgroupManagerSuite {
  @TempDir Path data;
  private Cgroups current;
  private int run;

  private Cgroups open() throws IOException {
    return new Cgroups(data.resolve("cgroups"), Mark.of(data, "run" + run), CgroupsTest.SETTINGS);
  }

  @Override
  protected CgroupManager started() throws IOException {
    current = open();
    return current;
  }

  @Override
  protected CgroupManager replaced() throws IOException {
    Cgroups next = open();
    current.stop(false);
    current = next;
    return next;
  }

  @Override
  protected CgroupManager startedAfterKill() throws IOException {
    // The thread of the last one still tidies what was given back; of what is there it does nothing.
    run++;
    current = open();
    return current;
  }

  @Override
  protected void stopped() {
    current.stop(true);
  }

  @Override
  protected List<Path> left() throws IOException {
    List<Path> left = new ArrayList<>();
    for (Path base : Tree.bases(Mounts.read(), CgroupsTest.SETTINGS, Mark.of(data, ""))) {
      try (Stream<Path> beside = Files.list(base.getParent())) {
        beside.filter(path -> path.getFileName().toString().startsWith(base.getFileName().toString())).forEach(left::add);
      }
    }
    return left;
  }
}
