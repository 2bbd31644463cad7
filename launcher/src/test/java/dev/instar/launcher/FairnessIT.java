package dev.instar.launcher;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * Every attack of {@link Fairness} at once against a node at half load: each attacker gets its own error in time, the neighbour its right answers,
 * and nothing is left. How long the neighbour waited is printed and not judged: that is for a quiet machine, see docs/performance.md.
 */
@Timeout(180)
class FairnessIT {
  private static final double SECONDS = 2;
  /** Far more than the 2 s that calls may take and the 5 s that a preparation may, and far less than for ever. */
  private static final long LONGEST_MILLIS = 40_000;

  @TempDir
  Path directory;

  @Test
  void everyAttackAtOnceHasItsErrorAndTheNeighbourItsAnswers() throws Exception {
    Path config = Files.createDirectory(directory.resolve("config"));
    try (Stream<Path> files = Files.list(Path.of("../config"))) {
      for (Path file : files.toList()) {
        Files.copy(file, config.resolve(file.getFileName()));
      }
    }
    Files.writeString(config.resolve("dev.instar.scheduler.cfg.json"), "{\"prepare-seconds\": 5}");
    try (Shell shell = new Shell(directory, Map.of())) {
      Shell.Running node = shell.node(directory.resolve("data"), "--config", config.toString(), "--no-examples");
      Fairness fairness = new Fairness(node.url(), Path.of("../examples/echo/function.wasm"));
      fairness.deploy();
      double half = fairness.capacity(SECONDS) / 2;
      Fairness.Round quiet = fairness.round(half, SECONDS);
      Fairness.Assault assault = fairness.begin(List.copyOf(fairness.attacks().keySet()));
      Fairness.Round attacked = fairness.round(half, 2 * SECONDS);
      Map<String, Fairness.Told> told = assault.end();
      Fairness.Round after = fairness.round(half, SECONDS);
      System.out.printf("the neighbour at %.0f calls per second, p50 / p99 in ms: alone %s, attacked %s, afterwards %s%n", half, shown(quiet), shown(attacked), shown(after));

      assertEquals(0, quiet.wrong());
      assertEquals(0, attacked.wrong(), () -> "of " + attacked.calls() + " answers beside " + told);
      assertEquals(0, after.wrong());
      told.forEach((name, answers) -> {
        Set<String> unexpected = new TreeSet<>(answers.answers().keySet());
        unexpected.removeAll(fairness.attacks().get(name).expected());
        assertTrue(unexpected.isEmpty(), () -> name + " was told " + answers);
        assertFalse(answers.answers().isEmpty(), name);
        assertTrue(answers.longestMillis() < LONGEST_MILLIS, () -> name + " waited: " + answers);
      });
      assertEquals(0, fairness.inFlight(10_000), "calls left");
      assertEquals("", Files.readString(node.err()), "an attack is no fault of the node");
    }
  }

  private static String shown(Fairness.Round round) {
    return String.format("%.2f / %.2f", round.p50Micros() / 1e3, round.p99Micros() / 1e3);
  }
}
