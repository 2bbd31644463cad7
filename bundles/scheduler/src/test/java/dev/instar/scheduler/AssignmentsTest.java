package dev.instar.scheduler;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.data.DataDirectory;
import dev.instar.api.function.FunctionName;
import dev.instar.api.invocation.BackendScope;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AssignmentsTest {
  private static final Instant NOW = Instant.parse("2026-01-01T00:00:00Z");
  private static final FunctionName F = FunctionName.parse("ann/f");
  private static final FunctionName G = FunctionName.parse("ann/g");
  private static final FunctionName OTHER = FunctionName.parse("bob/f");
  private static final BackendScope ALL = new BackendScope.All();
  private static final BackendScope ANN = new BackendScope.User("ann");
  private static final BackendScope ONE = new BackendScope.One(F);

  private static String of(Assignments assignments, FunctionName function, String own) {
    return assignments.of(function, own, 0, NOW).backend();
  }

  private static Assignments move(Assignments before, BackendScope scope, String from, String to) {
    return with(before, scope, from, to, NOW, Duration.ZERO).pruned(NOW);
  }

  private static Assignments with(Assignments before, BackendScope scope, String from, String to, Instant now, Duration ramp) {
    return before.with(scope, before.broughtTo(scope, from), from, to, now, ramp);
  }

  @Test
  void theNarrowestScopeWins() {
    Assignments all = move(move(move(Assignments.NONE, ALL, "a", "b"), ANN, "b", "c"), ONE, "c", "d");
    assertEquals("d", of(all, F, "a"));
    assertEquals("c", of(all, G, "a"));
    assertEquals("b", of(all, OTHER, "a"));
    assertEquals("b", of(all, OTHER, "b"), "what is its own stays");
    assertEquals(3, all.all().size());
  }

  @Test
  void theWayBackLeavesNothing() {
    for (BackendScope scope : new BackendScope[] {ALL, ANN, ONE}) {
      Assignments there = move(Assignments.NONE, scope, "a", "b");
      assertEquals("b", of(there, F, "a"));
      assertEquals(Assignments.NONE, move(there, scope, "b", "a"));
    }
  }

  @Test
  void whatEverybodyMovedIsTakenBackForOne() {
    Assignments one = move(move(Assignments.NONE, ALL, "a", "b"), ONE, "b", "a");
    assertEquals("a", of(one, F, "a"));
    assertEquals("b", of(one, G, "a"));
    assertEquals(Assignments.NONE, move(one, ALL, "b", "a"), "that for one says nothing any more");
  }

  @Test
  void onwardsInOneStep() {
    Assignments onward = move(move(Assignments.NONE, ALL, "a", "b"), ALL, "b", "c");
    assertEquals("c", of(onward, F, "a"));
    assertEquals("b", of(onward, F, "b"), "only what had been moved goes on");
    assertEquals(1, onward.all().size());
  }

  @Test
  void theShareGrows() {
    Assignments ramp = with(Assignments.NONE, ALL, "a", "b", NOW, Duration.ofSeconds(10));
    assertEquals(new Assignments.Target("a", Optional.of("b")), ramp.of(F, "a", 0, NOW));
    Instant later = NOW.plusSeconds(4);
    assertEquals(new Assignments.Target("b", Optional.of("a")), ramp.of(F, "a", 0.39, later));
    assertEquals(new Assignments.Target("a", Optional.of("b")), ramp.of(F, "a", 0.41, later));
    assertEquals(new Assignments.Target("b", Optional.empty()), ramp.of(F, "a", 0.99, NOW.plusSeconds(10)));
    assertEquals(new Assignments.Target("a", Optional.of("b")), ramp.of(F, "a", 0, NOW.minusSeconds(5)), "a clock that was set back");
    Assignments back = with(ramp, ALL, "b", "a", later, Duration.ofSeconds(10)).pruned(later);
    assertEquals(new Assignments.Target("b", Optional.of("a")), back.of(F, "a", 0.5, later), "until it is back altogether");
    assertEquals(Assignments.NONE, back.pruned(later.plusSeconds(10)));
  }

  @Test
  void theFileKeepsThemAndADamagedOneIsSetAside(@TempDir Path root) throws IOException {
    DataDirectory data = new Directory(root);
    AssignmentFile file = new AssignmentFile(data);
    assertEquals(Assignments.NONE, file.read());
    Assignments all = move(move(with(Assignments.NONE, ALL, "a", "b", NOW, Duration.ofSeconds(10)), ANN, "b", "c"), ONE, "c", "d");
    file.write(all);
    assertEquals(all, new AssignmentFile(data).read());
    Path written = root.resolve("backends/assignments.json");
    Files.writeString(written, Files.readString(written).replace("\"to\":\"b\"", "\"to\":\"x\""));
    assertEquals(Assignments.NONE, new AssignmentFile(data).read());
    assertTrue(Files.exists(root.resolve("backends/assignments.json.damaged")) && !Files.exists(written));
  }

  @Test
  void whatIsNoFileIsSetAsideOnce(@TempDir Path root) throws IOException {
    Path written = Files.createDirectories(root.resolve("backends/assignments.json"));
    AssignmentFile file = new AssignmentFile(new Directory(root));
    assertEquals(Assignments.NONE, file.read());
    assertTrue(!Files.exists(written) && Files.isDirectory(root.resolve("backends/assignments.json.damaged")));
    Assignments all = move(Assignments.NONE, ALL, "a", "b");
    file.write(all);
    assertEquals(all, file.read());
  }

  /** A data directory of which only areas are used. */
  record Directory(Path root) implements DataDirectory {
    @Override
    public Path area(String name) {
      try {
        return Files.createDirectories(root.resolve(name));
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }

    @Override
    public Path scratch(String name) {
      throw new UnsupportedOperationException();
    }
  }
}
