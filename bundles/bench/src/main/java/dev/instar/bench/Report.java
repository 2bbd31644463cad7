package dev.instar.bench;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.instar.bench.HttpBench.Turn;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.ToDoubleFunction;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/** What the rounds brought: a line for each server, and the first server, the node, over each other one, round by round. */
final class Report {
  private final List<Line> lines = new ArrayList<>();
  private final List<Ratio> ratios = new ArrayList<>();
  private final String machine;
  private final int connections;
  private final long seconds;
  private final int rounds;

  /** @param cpu microseconds for each request; empty where unknown */
  private record Line(String name, String version, Spread perSecond, Optional<Spread> cpu, Spread p50, Spread p99, Spread generator, long sent, long right, long wrong,
      long refused, long lost, String firstFault) {}

  /** How many times the other's figure the node's is. */
  private record Ratio(String other, Spread perSecond, Optional<Spread> cpu, Spread p50, Spread p99) {}

  Report(Map<Server, List<Turn>> turns, int connections, long seconds) {
    this.connections = connections;
    this.seconds = seconds;
    rounds = turns.values().iterator().next().size();
    machine = Runtime.getRuntime().availableProcessors() + " processors, " + System.getProperty("os.name") + " " + System.getProperty("os.version") + " " + System.getProperty("os.arch")
        + ", Java " + Runtime.version();
    turns.forEach((server, all) -> {
      List<Load> loads = all.stream().flatMap(t -> Stream.of(t.closed(), t.open())).toList();
      lines.add(new Line(server.name(), server.version(), of(all, t -> t.closed().perSecond()), cpu(server, all), of(all, t -> t.open().microseconds(50)),
          of(all, t -> t.open().microseconds(99)), of(all, t -> t.generatorNanos() / 1e3), loads.stream().mapToLong(Load::sent).sum(), loads.stream().mapToLong(Load::right).sum(),
          loads.stream().mapToLong(Load::wrong).sum(), loads.stream().mapToLong(Load::refused).sum(), loads.stream().mapToLong(Load::lost).sum(),
          loads.stream().map(Load::firstFault).filter(f -> !f.isEmpty()).findFirst().orElse("")));
    });
    Server node = turns.keySet().iterator().next();
    turns.forEach((server, all) -> {
      if (!server.equals(node)) {
        List<Turn> its = turns.get(node);
        boolean cpu = node.process().isPresent() && server.process().isPresent();
        ratios.add(new Ratio(server.name(), ratio(its, all, t -> t.closed().perSecond()), cpu ? Optional.of(ratio(its, all, t -> t.cpuNanos().getAsDouble())) : Optional.empty(),
            ratio(its, all, t -> t.open().microseconds(50)), ratio(its, all, t -> t.open().microseconds(99))));
      }
    });
  }

  private static Spread of(List<Turn> turns, ToDoubleFunction<Turn> figure) {
    return Spread.of(turns.stream().mapToDouble(figure));
  }

  private static Optional<Spread> cpu(Server server, List<Turn> turns) {
    return server.process().map(p -> of(turns, t -> t.cpuNanos().getAsDouble() / 1e3));
  }

  private static Spread ratio(List<Turn> ours, List<Turn> theirs, ToDoubleFunction<Turn> figure) {
    return Spread.of(IntStream.range(0, ours.size()).mapToDouble(i -> figure.applyAsDouble(ours.get(i)) / figure.applyAsDouble(theirs.get(i))));
  }

  /** Answers that were not right, or did not come. */
  long faults() {
    return lines.stream().mapToLong(l -> l.wrong + l.refused + l.lost).sum();
  }

  String text() {
    List<String[]> rows = new ArrayList<>();
    rows.add(new String[] {"", "requests/s", "CPU us/request", "p50 us", "p99 us", "generator us", "sent", "right", "wrong", "refused", "lost"});
    for (Line line : lines) {
      rows.add(new String[] {line.name + " " + line.version, spread(line.perSecond, "%.0f"), line.cpu.map(c -> spread(c, "%.1f")).orElse("-"), spread(line.p50, "%.0f"), spread(line.p99, "%.0f"),
          spread(line.generator, "%.1f"), Long.toString(line.sent), Long.toString(line.right), Long.toString(line.wrong), Long.toString(line.refused), Long.toString(line.lost)});
    }
    StringBuilder text = new StringBuilder(machine).append('\n').append(connections).append(" connections, bodies of ").append(LoadGenerator.BODY).append(" bytes, ").append(rounds).append(rounds == 1 ? " round" : " rounds")
        .append("; median (least-most) of the rounds. Latency: at half of each server's throughput.\n\n");
    table(text, rows);
    if (!ratios.isEmpty()) {
      text.append('\n');
      rows.clear();
      rows.add(new String[] {"in the same round", "throughput", "CPU/request", "p50", "p99"});
      for (Ratio ratio : ratios) {
        rows.add(new String[] {"instar / " + ratio.other, spread(ratio.perSecond, "%.2f"), ratio.cpu.map(c -> spread(c, "%.2f")).orElse("-"), spread(ratio.p50, "%.2f"), spread(ratio.p99, "%.2f")});
      }
      table(text, rows);
    }
    lines.stream().filter(l -> !l.firstFault.isEmpty()).forEach(l -> text.append('\n').append(l.name).append(": the first fault was ").append(l.firstFault).append('\n'));
    return text.toString();
  }

  private static String spread(Spread spread, String format) {
    return String.format(Locale.ROOT, format + " (" + format + "-" + format + ")", spread.median(), spread.least(), spread.most());
  }

  /** The first column to the left, figures to the right. */
  private static void table(StringBuilder text, List<String[]> rows) {
    int[] widths = new int[rows.getFirst().length];
    rows.forEach(row -> IntStream.range(0, widths.length).forEach(i -> widths[i] = Math.max(widths[i], row[i].length())));
    for (String[] row : rows) {
      StringBuilder line = new StringBuilder();
      for (int i = 0; i < row.length; i++) {
        String pad = " ".repeat(widths[i] - row[i].length());
        line.append(i == 0 ? row[i] + pad : "  " + pad + row[i]);
      }
      text.append(line.toString().stripTrailing()).append('\n');
    }
  }

  String json() {
    ObjectMapper json = new ObjectMapper();
    ObjectNode root = json.createObjectNode().put("machine", machine).put("connections", connections).put("bodyBytes", LoadGenerator.BODY).put("seconds", seconds).put("rounds", rounds);
    for (Line line : lines) {
      ObjectNode server = root.withArray("servers").addObject().put("name", line.name).put("version", line.version);
      put(server, "requestsPerSecond", line.perSecond);
      line.cpu.ifPresent(cpu -> put(server, "cpuMicrosPerRequest", cpu));
      put(server, "p50Micros", line.p50);
      put(server, "p99Micros", line.p99);
      put(server, "generatorCpuMicrosPerRequest", line.generator);
      server.put("sent", line.sent).put("right", line.right).put("wrong", line.wrong).put("refused", line.refused).put("lost", line.lost);
      if (!line.firstFault.isEmpty()) {
        server.put("firstFault", line.firstFault);
      }
    }
    for (Ratio ratio : ratios) {
      ObjectNode node = root.withArray("ratios").addObject().put("to", ratio.other);
      put(node, "requestsPerSecond", ratio.perSecond);
      ratio.cpu.ifPresent(cpu -> put(node, "cpuPerRequest", cpu));
      put(node, "p50", ratio.p50);
      put(node, "p99", ratio.p99);
    }
    return root.toPrettyString() + "\n";
  }

  private static void put(ObjectNode node, String name, Spread spread) {
    node.putObject(name).put("least", spread.least()).put("median", spread.median()).put("most", spread.most());
  }
}
