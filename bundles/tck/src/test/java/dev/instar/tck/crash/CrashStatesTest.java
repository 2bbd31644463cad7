package dev.instar.tck.crash;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.data.DurableFiles;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CrashStatesTest {
  @TempDir Path dir;
  private RecordedDisk disk;
  private Path root;

  @BeforeEach
  void open() throws IOException {
    disk = new RecordedDisk(Files.createDirectory(dir.resolve("disk")));
    root = disk.root();
    Files.createDirectory(dir.resolve("work"));
  }

  /** What is there after each of the crashes, as text. */
  private Set<String> states(History history) throws IOException {
    Set<String> states = new TreeSet<>();
    CrashStates.Result result = CrashStates.explore(history, dir.resolve("work"), Set.of("swept"), 1, (at, done) -> states.add(text(at)));
    assertEquals(List.of(), result.faults());
    return states;
  }

  private static String text(Path at) throws IOException {
    try (Stream<Path> all = Files.walk(at)) {
      StringBuilder text = new StringBuilder();
      for (Path path : all.sorted().skip(1).toList()) {
        text.append(at.relativize(path)).append(Files.isDirectory(path) ? "/ " : "=" + Files.readString(path).replace('\0', '0') + " ");
      }
      return text.toString().strip();
    }
  }

  private CrashStates.Result judge(History history, CrashStates.Check check) throws IOException {
    return CrashStates.explore(history, dir.resolve("work"), Set.of(), 1, check);
  }

  @Test
  void ofAFileThatIsNotSyncedAnythingMayBeLeft() throws IOException {
    Files.writeString(root.resolve("a"), "xy");
    assertEquals(Set.of("", "a=", "a=00", "a=x", "a=xy"), states(disk.history()));
  }

  @Test
  void aSyncedFileMayBeWithoutItsNameButNotWithoutItsContent() throws IOException {
    Files.writeString(root.resolve("a"), "xy");
    DurableFiles.sync(root.resolve("a"));
    disk.done();
    Set<String> afterwards = new TreeSet<>();
    CrashStates.explore(disk.history(), dir.resolve("work"), Set.of(), 1, (at, done) -> {
      if (done == 1) {
        afterwards.add(text(at));
      }
    });
    assertEquals(Set.of("", "a=xy"), afterwards);
  }

  @Test
  void aRenameLeavesOneNameOrBothAndTakesBothDirectoriesSyncs() throws IOException {
    DurableFiles.createDirectories(root.resolve("from"));
    DurableFiles.createDirectories(root.resolve("to"));
    DurableFiles.write(root.resolve("from/a"), new byte[] {'x'});
    Path moved = root.resolve("to/b");
    DurableFiles.moveUnsynced(root.resolve("from/a"), moved);
    int renamed = disk.history().operations().size() - 1;
    Set<String> before = states(new History(disk.history().operations().subList(0, renamed)));
    Set<String> after = states(disk.history());
    after.removeAll(before);
    assertEquals(Set.of("from/ from/a=x to/ to/b=x", "from/ to/ to/b=x"), after);
  }

  @Test
  void whatIsSweptIsThereInOneStateOnly() throws IOException {
    Files.createDirectory(root.resolve("swept"));
    Files.writeString(root.resolve("swept/a"), "xy");
    assertEquals(Set.of("", "swept/", "swept/ swept/a="), states(disk.history()));
  }

  @Test
  void aDurableWriteLeavesTheOldOrTheNewAndEachOfItsSyncsIsNeeded() throws IOException {
    DurableFiles.write(root.resolve("a"), "old".getBytes());
    disk.done();
    DurableFiles.write(root.resolve("a"), "new".getBytes());
    disk.done();
    CrashStates.Check check = (at, done) -> {
      Path file = at.resolve("a");
      String is = Files.exists(file) ? Files.readString(file) : "none";
      assertTrue(List.of("none", "old", "new", "new").subList(done, done + 2).contains(is), () -> is + " after " + done);
    };
    History history = disk.history();
    assertEquals(List.of(), judge(history, check).faults());
    int syncs = 0;
    for (int i = 0; i < history.operations().size(); i++) {
      if (history.operations().get(i) instanceof Operation.Sync) {
        syncs++;
        assertFalse(judge(history.without(i), check).faults().isEmpty(), history.operations().get(i) + " can be left out");
      }
    }
    assertEquals(4, syncs);
  }

  @Test
  void aDirectoryWhoseMakerWasKilledBeforeHisSyncIsSyncedByTheNextWhoNeedsIt() throws IOException {
    Files.createDirectory(root.resolve("d"));
    DurableFiles.createDirectories(root.resolve("d"));
    DurableFiles.write(root.resolve("d/a"), new byte[] {'x'});
    disk.done();
    assertEquals(List.of(), judge(disk.history(), (at, done) -> assertTrue(done == 0 || Files.exists(at.resolve("d/a")))).faults());
  }

  @Test
  void aMoveIsForGoodOnBothSides() throws IOException {
    DurableFiles.createDirectories(root.resolve("from"));
    DurableFiles.createDirectories(root.resolve("to"));
    DurableFiles.write(root.resolve("from/a"), new byte[] {'x'});
    DurableFiles.move(root.resolve("from/a"), root.resolve("to/b"));
    disk.done();
    assertEquals(List.of(), judge(disk.history(), (at, done) -> assertTrue(done == 0 || text(at).equals("from/ to/ to/b=x"), text(at))).faults());
  }

  @Test
  void aTreeIsDeletedFromAFullDisk() throws IOException {
    Files.createDirectories(root.resolve("tree/a/b/c"));
    Files.writeString(root.resolve("tree/a/b/c/file"), "x");
    disk.full(0, Integer.MAX_VALUE);
    assertThrows(IOException.class, () -> Files.writeString(root.resolve("more"), "x"));
    DurableFiles.deleteTree(root.resolve("tree"));
    assertFalse(Files.exists(root.resolve("tree")));
  }
}
