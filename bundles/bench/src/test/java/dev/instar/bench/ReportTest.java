package dev.instar.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.instar.bench.HttpBench.Turn;
import java.net.URI;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import org.HdrHistogram.Histogram;
import org.junit.jupiter.api.Test;

class ReportTest {
  private static final long SECOND = 1_000_000_000;
  private static final URI URL = URI.create("http://127.0.0.1:1/f/demo/echo");
  private static final Optional<ProcessHandle> PROCESS = Optional.of(ProcessHandle.current());

  private static Server server(String name, Optional<ProcessHandle> process) {
    return new Server(name, "1.0", URL, process, () -> {});
  }

  private static Load load(long right, long refused, long latencyMicros) {
    Histogram latencies = new Histogram(3);
    latencies.recordValueWithCount(latencyMicros * 1000, right);
    return new Load(right + refused, right, 0, refused, 0, right, SECOND, latencies, refused > 0 ? "status 503" : "");
  }

  private static Turn turn(long perSecond, double cpuMicros, long latencyMicros) {
    return new Turn(load(perSecond, 0, 7), load(perSecond / 2, 0, latencyMicros), OptionalDouble.of(cpuMicros * 1000), 8000);
  }

  private static Map<Server, List<Turn>> turns() {
    Map<Server, List<Turn>> turns = new LinkedHashMap<>();
    turns.put(server("instar", PROCESS), List.of(turn(100, 40, 80), turn(300, 20, 60), turn(200, 30, 50)));
    turns.put(server("jetty", PROCESS), List.of(turn(200, 10, 40), turn(400, 5, 60), turn(1000, 10, 25)));
    return turns;
  }

  @Test
  void aRatioIsOfOneRoundAndNotOfTheMedians() throws Exception {
    JsonNode json = new ObjectMapper().readTree(new Report(turns(), 16, 2).json());
    JsonNode ratio = json.path("ratios").path(0);
    assertEquals("jetty", ratio.path("to").asText());
    // 100/200, 300/400, 200/1000; the medians alone would give 200/400, too, but neither end.
    assertEquals("{\"least\":0.2,\"median\":0.5,\"most\":0.75}", ratio.path("requestsPerSecond").toString());
    assertEquals("{\"least\":3.0,\"median\":4.0,\"most\":4.0}", ratio.path("cpuPerRequest").toString());
    JsonNode instar = json.path("servers").path(0);
    assertEquals("{\"least\":100.0,\"median\":200.0,\"most\":300.0}", instar.path("requestsPerSecond").toString());
    assertEquals("{\"least\":20.0,\"median\":30.0,\"most\":40.0}", instar.path("cpuMicrosPerRequest").toString());
    assertEquals(60, instar.path("p50Micros").path("median").asDouble(), 0.1, "of the open load");
    assertEquals(900, instar.path("right").asLong(), "of both loads");
    assertEquals(3, json.path("rounds").asInt());
  }

  @Test
  void theTableHasTheSame() {
    Report report = new Report(turns(), 16, 2);
    assertEquals(0, report.faults());
    String text = report.text();
    assertTrue(text.lines().anyMatch(l -> l.matches("instar 1.0 +200 \\(100-300\\) +30\\.0 \\(20\\.0-40\\.0\\) +60 \\(50-80\\) +60 \\(50-80\\) +8\\.0 \\(8\\.0-8\\.0\\) +900 +900 +0 +0 +0")), text);
    assertTrue(text.lines().anyMatch(l -> l.matches("instar / jetty +0\\.50 \\(0\\.20-0\\.75\\) +4\\.00 \\(3\\.00-4\\.00\\) .*")), text);
    assertFalse(text.contains("fault"), text);
  }

  @Test
  void whatWasNotRightIsCountedAndNamed() {
    Map<Server, List<Turn>> turns = new LinkedHashMap<>();
    turns.put(server("instar", PROCESS), List.of(new Turn(load(10, 2, 7), load(5, 1, 7), OptionalDouble.of(1), 1)));
    Report report = new Report(turns, 16, 2);
    assertEquals(3, report.faults());
    assertTrue(report.text().contains("instar: the first fault was status 503"), report.text());
    assertTrue(report.json().contains("\"firstFault\" : \"status 503\""), report.json());
  }

  @Test
  void processorTimeThatIsUnknownIsADash() throws Exception {
    Map<Server, List<Turn>> turns = new LinkedHashMap<>();
    turns.put(server("instar", Optional.empty()), List.of(new Turn(load(10, 0, 7), load(5, 0, 7), OptionalDouble.empty(), 1)));
    turns.put(server("jetty", PROCESS), List.of(turn(20, 1, 7)));
    Report report = new Report(turns, 16, 2);
    assertTrue(report.text().lines().anyMatch(l -> l.matches("instar 1.0 +10 \\(10-10\\) +- .*")), report.text());
    assertTrue(report.text().lines().anyMatch(l -> l.matches("instar / jetty +0\\.50 \\(0\\.50-0\\.50\\) +- .*")), report.text());
    assertTrue(new ObjectMapper().readTree(report.json()).path("ratios").path(0).path("cpuPerRequest").isMissingNode(), report.json());
  }
}
