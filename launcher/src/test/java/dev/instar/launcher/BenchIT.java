package dev.instar.launcher;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.instar.launcher.Shell.Result;
import java.io.BufferedReader;
import java.io.IOException;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** {@code instar bench} as it is shipped. */
@Timeout(150)
class BenchIT {
  @TempDir
  Path home;
  private Path temporary;
  private Shell shell;

  @BeforeEach
  void login() throws IOException {
    temporary = Files.createDirectory(home.resolve("tmp"));
    shell = new Shell(home, Map.of("INSTAR_JAVA_OPTS", "-Djava.io.tmpdir=" + temporary));
  }

  @AfterEach
  void logout() {
    shell.close();
  }

  @Test
  void aShortRunTellsWhatItCountedAndLeavesNothing() throws Exception {
    Result result = shell.instar("bench", "--seconds", "1", "--rounds", "1", "--connections", "4", "--against", "jetty,jetty-virtual");
    assertEquals(0, result.code(), result.err());
    List<String[]> rows = result.out().lines().map(line -> line.strip().split(" {2,}")).filter(row -> row.length == 11).toList();
    assertEquals(3, rows.stream().filter(row -> row[0].matches("(instar|jetty|jetty-virtual) \\S+")).count(), result.out());
    for (String[] row : rows.subList(1, rows.size())) {
      assertTrue(Long.parseLong(row[6]) > 0, result.out());
      assertEquals(row[6], row[7], "sent and right\n" + result.out());
      assertEquals(List.of("0", "0", "0"), List.of(row).subList(8, 11), "wrong, refused, lost\n" + result.out());
      assertTrue(row[2].matches("[0-9.]+ \\([0-9.]+-[0-9.]+\\)") && !row[2].startsWith("0.0 "), "processor time\n" + result.out());
    }
    assertTrue(result.out().lines().anyMatch(line -> line.matches("instar / jetty +[0-9.]+ \\(.*")), result.out());
    assertTrue(result.err().contains("takes 9 s after the servers have started") && result.err().contains("Round 1 of 1: instar "), result.err());
    nothingIsLeft();
  }

  @Test
  void aNodeThatRunsIsMeasuredAndLeftAsItWas() throws Exception {
    try (Shell other = new Shell(home, Map.of())) {
      Shell.Running node = other.node(home.resolve("data"), "--no-examples");
      Result result = shell.instar("bench", "--seconds", "1", "--rounds", "1", "--against", "jetty", "--node", node.url().toString(), "-o", "json");
      assertEquals(0, result.code(), result.err());
      JsonNode report = new ObjectMapper().readTree(result.out());
      assertEquals(16, report.path("connections").asInt());
      JsonNode first = report.path("servers").path(0);
      assertEquals("instar", first.path("name").asText());
      assertTrue(first.path("right").asLong() > 0 && first.path("cpuMicrosPerRequest").isMissingNode(), result.out());
      assertTrue(report.path("servers").path(1).path("cpuMicrosPerRequest").path("median").asDouble() > 0, result.out());
      assertEquals(first.path("requestsPerSecond").path("median").asDouble() / report.path("servers").path(1).path("requestsPerSecond").path("median").asDouble(),
          report.path("ratios").path(0).path("requestsPerSecond").path("median").asDouble(), 1e-9);
      try (HttpClient client = HttpClient.newHttpClient()) {
        HttpRequest list = HttpRequest.newBuilder(node.url().resolve("/v1/functions?user=bench")).build();
        assertEquals(0, new ObjectMapper().readTree(client.send(list, HttpResponse.BodyHandlers.ofString()).body()).path("functions").size(), "its function is removed");
      }
      assertEquals(143, node.stop("TERM"));
      nothingIsLeft();
      Result nobody = shell.instar("bench", "--seconds", "1", "--rounds", "1", "--against", "jetty", "--node", node.url().toString());
      assertEquals(1, nobody.code());
      assertTrue(nobody.err().endsWith("instar: No node answers at " + node.url() + "/.\n"), nobody.err());
      nothingIsLeft();
    }
  }

  @Test
  void controlCStopsAllOfIt() throws Exception {
    ProcessBuilder builder = new ProcessBuilder("env", "--default-signal=INT", Shell.COMMAND.toString(), "bench", "--against", "jetty");
    builder.environment().put("INSTAR_JAVA_OPTS", "-Djava.io.tmpdir=" + temporary);
    builder.environment().put("JAVA_HOME", System.getProperty("java.home"));
    Process bench = builder.start();
    try (BufferedReader err = bench.errorReader(StandardCharsets.UTF_8)) {
      // Both servers run, and the first is under load.
      List<String> said = new ArrayList<>();
      for (String line; (line = err.readLine()) != null && !line.startsWith("Warming up instar");) {
        said.add(line);
      }
      assertTrue(bench.isAlive(), said::toString);
      assertTrue(processes().count() >= 2, "a node, perhaps with its compiling process, and a Jetty");
      new ProcessBuilder("kill", "-INT", Long.toString(bench.pid())).start().waitFor();
      assertTrue(bench.waitFor(60, TimeUnit.SECONDS));
      assertEquals(130, bench.exitValue());
      assertEquals(List.of(), err.lines().filter(line -> line.startsWith("instar:")).toList(), "that what was stopped has failed is no news");
      assertEquals("", new String(bench.getInputStream().readAllBytes(), StandardCharsets.UTF_8));
    } finally {
      bench.destroyForcibly().waitFor();
    }
    nothingIsLeft();
  }

  @Test
  void wrongUsageEndsWithTwo() throws Exception {
    Result result = shell.instar("bench", "--against", "nginx");
    assertEquals(2, result.code());
    assertTrue(result.err().startsWith("instar: Invalid value for option '--against'") && result.err().endsWith("See 'instar bench --help'.\n"), result.err());
    assertEquals("", result.out());
    assertEquals(2, shell.instar("--url", "bench").code());
    assertTrue(shell.instar("bench", "--help").out().contains("Usage: instar bench"));
    assertTrue(shell.instar("--help").out().lines().anyMatch(line -> line.strip().startsWith("bench ")));
  }

  /** All that bench starts has its temporary directory in its arguments. */
  private Stream<ProcessHandle> processes() {
    return ProcessHandle.allProcesses().filter(p -> {
      try {
        String arguments = Files.readString(Path.of("/proc", Long.toString(p.pid()), "cmdline"), StandardCharsets.ISO_8859_1);
        return arguments.contains(temporary.toString()) && !arguments.contains("dev.instar.bench.BenchCommand");
      } catch (IOException e) {
        return false;
      }
    });
  }

  private void nothingIsLeft() throws IOException {
    assertEquals(List.of(), processes().map(p -> p.info().commandLine().orElse("?")).toList());
    try (Stream<Path> files = Files.list(temporary)) {
      assertEquals(List.of(), files.toList());
    }
  }
}
