package dev.instar.bench;

import java.io.IOException;
import java.io.PrintStream;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalDouble;

/**
 * Rounds in which each server has its turn: as many requests as it answers, and then half as many per second for the latency. Machines change their speed from
 * one minute to the next; servers that take turns share that.
 */
final class HttpBench {
  /** By then a JVM has compiled what is hot. */
  private static final Duration LONGEST_WARM_UP = Duration.ofSeconds(20);

  private final List<Server> servers;
  private final Duration stretch;
  private final int rounds;
  private final int connections;
  private final PrintStream progress;

  HttpBench(List<Server> servers, Duration stretch, int rounds, int connections, PrintStream progress) {
    this.servers = servers;
    this.stretch = stretch;
    this.rounds = rounds;
    this.connections = connections;
    this.progress = progress;
  }

  /** A server's turn; the processor times in nanoseconds for each request, empty where unknown. */
  record Turn(Load closed, Load open, OptionalDouble cpuNanos, double generatorNanos) {}

  /** How long {@link #run} takes. */
  static Duration takes(int servers, Duration stretch, int rounds) {
    return warmUp(stretch, rounds).plus(stretch.multipliedBy(2L * rounds)).multipliedBy(servers);
  }

  /** As long as the load that is measured later, up to a time. */
  private static Duration warmUp(Duration stretch, int rounds) {
    Duration measured = stretch.multipliedBy(rounds);
    return measured.compareTo(LONGEST_WARM_UP) < 0 ? measured : LONGEST_WARM_UP;
  }

  Map<Server, List<Turn>> run() throws IOException, InterruptedException {
    Map<Server, List<Turn>> turns = new LinkedHashMap<>();
    try (LoadGenerator generator = new LoadGenerator()) {
      for (Server server : servers) {
        turns.put(server, new ArrayList<>());
        Duration warmUp = warmUp(stretch, rounds);
        progress.println("Warming up " + server.name() + " for " + warmUp.toSeconds() + " s ...");
        generator.closed(server.url(), connections, warmUp, () -> {}, () -> {});
      }
      for (int round = 1; round <= rounds; round++) {
        StringBuilder line = new StringBuilder("Round " + round + " of " + rounds + ":");
        for (Server server : servers) {
          Turn turn = turn(generator, server);
          turns.get(server).add(turn);
          line.append(String.format(Locale.ROOT, " %s %.0f/s", server.name(), turn.closed.perSecond()));
        }
        progress.println(line);
      }
    }
    return turns;
  }

  private Turn turn(LoadGenerator generator, Server server) throws IOException, InterruptedException {
    long[] cpu = new long[4];
    ProcessHandle self = ProcessHandle.current();
    Load closed = generator.closed(server.url(), connections, stretch, () -> {
      cpu[0] = server.process().map(CpuTime::of).orElse(0L);
      cpu[2] = CpuTime.alone(self);
    }, () -> {
      cpu[1] = server.process().map(CpuTime::of).orElse(0L);
      cpu[3] = CpuTime.alone(self);
    });
    Load open = generator.open(server.url(), connections, stretch, Math.max(closed.perSecond() / 2, 1));
    double answers = Math.max(closed.inTime(), 1);
    return new Turn(closed, open, server.process().isPresent() ? OptionalDouble.of((cpu[1] - cpu[0]) / answers) : OptionalDouble.empty(), (cpu[3] - cpu[2]) / answers);
  }
}
