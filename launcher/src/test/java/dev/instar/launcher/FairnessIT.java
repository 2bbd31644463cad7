package dev.instar.launcher;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * Every attack of {@link Fairness} at once, with an eighth of its attackers, against a node at half load: each attacker gets its own error, the
 * neighbour its right answers, and nothing is left. How long the neighbour waited is printed and not judged: see docs/performance.md.
 */
@Timeout(180)
class FairnessIT {
  private static final double SECONDS = 1.5;
  private static final int PART = 8;
  /** A compiler that waits as a spare, and one that waits for the next module of its user. */
  private static final int COMPILERS = 2;
  /** A damaged module is told so while compile bombs take all the time that they may, which is four times as much. */
  private static final long QUICK_MILLIS = 10_000;
  private static final int COMPILE_SECONDS = 3;
  private static final long PATIENCE_MILLIS = 20_000;

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
    Files.writeString(config.resolve("dev.instar.backend.wasm.cfg.json"), "{\"compile-seconds\": " + COMPILE_SECONDS + "}");
    // A recording runs, because calls failed beside one.
    try (Shell shell = new Shell(directory, Map.of("INSTAR_JAVA_OPTS", "-XX:StartFlightRecording:settings=default,dumponexit=false -Xlog:jfr*=off"))) {
      Shell.Running node = shell.node(directory.resolve("data"), "--config", config.toString(), "--no-examples");
      Fairness fairness = new Fairness(node.url(), Path.of("../examples/echo/function.wasm"), PART);
      fairness.deploy();
      double half = fairness.capacity(SECONDS) / 2;
      Fairness.Round quiet = fairness.round(half, SECONDS);
      Fairness.Assault assault = fairness.begin(List.copyOf(fairness.attacks().keySet()));
      Fairness.Round attacked = fairness.round(half, 2 * SECONDS);
      Map<String, Fairness.Told> told = assault.end();
      Fairness.Round after = fairness.round(half, SECONDS);
      System.out.printf("the neighbour at %.0f calls per second, p50 / p99 in ms: alone %s, attacked %s, afterwards %s; p99 attacked / alone %.1f; attackers %s%n", half,
          shown(quiet), shown(attacked), shown(after), attacked.p99Micros() / quiet.p99Micros(), told);

      assertEquals(0, quiet.wrong());
      assertEquals(0, attacked.wrong(), () -> "of " + attacked.calls() + " answers beside " + told);
      assertEquals(0, after.wrong());
      told.forEach((name, answers) -> assertEquals(Set.of(fairness.attacks().get(name).expected()), answers.answers().keySet(), name));
      assertTrue(told.get("damaged").longestMillis() < QUICK_MILLIS, () -> "damaged modules waited: " + told);
      assertEquals(0, fairness.inFlight(PATIENCE_MILLIS), "calls left");
      long end = System.nanoTime() + PATIENCE_MILLIS * 1_000_000;
      while (node.process().descendants().count() > COMPILERS && System.nanoTime() < end) {
        Thread.sleep(100);
      }
      assertTrue(node.process().descendants().count() <= COMPILERS, () -> "processes left: " + node.process().descendants().map(ProcessHandle::info).toList());
      assertEquals("", Files.readString(node.err()), "an attack is no fault of the node");
    }
  }

  private static String shown(Fairness.Round round) {
    return String.format("%.2f / %.2f", round.p50Micros() / 1e3, round.p99Micros() / 1e3);
  }
}
