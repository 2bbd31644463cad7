package dev.instar.bench;

import dev.instar.bench.SwapBench.Part;
import dev.instar.bench.SwapBench.Plan;
import dev.instar.bench.SwapBench.Result;
import dev.instar.bench.SwapBench.Swap;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;
import picocli.CommandLine.TypeConversionException;

/** {@code instar bench swaps}. */
@Command(name = "swaps", usageHelpAutoWidth = true, sortOptions = false, description = {"Swaps the parts of a node under load, and counts what is lost.",
    "It starts a node of its own, sends calls of three examples at half of the node's capacity or at a rate, and replaces one part after the other by another version of its bundle, "
        + "with calls of some seconds, half-sent bodies and uploads, and streamed answers in flight. Every answer is compared with the right one."},
    footer = {"", "Exit codes: 0 ok, 1 a request failed or got a wrong answer, 2 wrong usage."})
final class SwapsCommand implements Callable<Integer> {
  @Spec
  private CommandSpec spec;
  @Option(names = "--requests", paramLabel = "N", defaultValue = "100000", description = "Calls at least (default: ${DEFAULT-VALUE}).")
  private long requests;
  @Option(names = "--swaps", paramLabel = "N", defaultValue = "18", description = "Swaps (default: ${DEFAULT-VALUE}).")
  private int swaps;
  @Option(names = "--parts", paramLabel = "NAME", split = ",", description = "What is swapped, in turn; all by default: backend-wasm, scheduler, gateway, dialect-faasm, version "
      + "(of a function), functions, images, snapshots, logs, placement; with --wasmtime two more, with --containers five.")
  private List<Part> parts = List.of();
  @Option(names = "--wasmtime", paramLabel = "FILE", description = "libwasmtime.so of version 50: the node has that backend, too, and two more parts are swapped: backend-wasmtime, and engine "
      + "(all functions go from one backend to the other).")
  private Optional<Path> wasmtime = Optional.empty();
  @Option(names = "--containers", description = "The node has the feature container, too, a function in containers is called besides, and five more parts are swapped: backend-container, network, "
      + "cgroups, container-version (of that function) and container-away (its backend is stopped, and started half a second later). As root, with crun or runc, and busybox.")
  private boolean containers;
  @Option(names = "--connections", paramLabel = "N", defaultValue = "16", description = "Connections at one time (default: ${DEFAULT-VALUE}).")
  private int connections;
  @Option(names = "--rate", paramLabel = "N", description = "Calls per second, which come at their moments whether the node keeps up or not; half of what the node is found to answer by default.")
  private Optional<Integer> rate = Optional.empty();
  @Option(names = "--call-seconds", paramLabel = "N", defaultValue = "5", description = "How long the long calls take (default: ${DEFAULT-VALUE}).")
  private int callSeconds;
  @Option(names = "--warm-up", paramLabel = "N", defaultValue = "20", description = "Seconds for which the node is loaded before, to find its capacity (default: ${DEFAULT-VALUE}).")
  private int warmUp;
  @Option(names = "--pause", paramLabel = "MS", defaultValue = "1000", description = "Milliseconds from one swap to the next (default: ${DEFAULT-VALUE}).")
  private long pause;
  @Option(names = "--look-every", paramLabel = "N", defaultValue = "10000", description = "After so many swaps, again and again, look at what the node holds, as is done before the first "
      + "and after the last. The node collects all its garbage for that, and calls wait.")
  private int lookEvery;
  @Option(names = "--in-place", description = "Stop the old version before the new one starts: calls have to wait for it.")
  private boolean inPlace;
  @Option(names = {"-h", "--help"}, usageHelp = true, description = "Show this help.")
  private boolean help;

  static Part part(String title) {
    return Stream.of(Part.values()).filter(p -> p.title().equals(title)).findFirst()
        .orElseThrow(() -> new TypeConversionException("'" + title + "' is none of " + String.join(", ", Stream.of(Part.values()).map(Part::title).toList())));
  }

  @Override
  public Integer call() throws Exception {
    check("--requests", requests, 100_000_000);
    check("--swaps", swaps, 10_000);
    check("--connections", connections, 1000);
    if (rate.isPresent()) {
      check("--rate", rate.get(), 1_000_000);
    }
    check("--call-seconds", callSeconds, 20);
    check("--warm-up", warmUp, 600);
    check("--pause", pause, 3_600_000);
    check("--look-every", lookEvery, 10_000);
    wasmtime.filter(file -> !Files.isRegularFile(file)).ifPresent(file -> {
      throw new ParameterException(spec.commandLine(), "--wasmtime is " + file + ", which is no file; docs/operations.md tells how to get one");
    });
    Set<Part.Needs> there = EnumSet.of(Part.Needs.NOTHING);
    wasmtime.ifPresent(library -> there.add(Part.Needs.WASMTIME));
    if (containers) {
      there.add(Part.Needs.CONTAINERS);
    }
    if (parts.isEmpty()) {
      parts = Stream.of(Part.values()).filter(part -> there.contains(part.needs())).toList();
    }
    for (Part part : parts) {
      if (!there.contains(part.needs())) {
        throw new ParameterException(spec.commandLine(), "--parts " + part.title() + " needs --" + part.needs().name().toLowerCase(Locale.ROOT));
      }
    }
    Path home = Path.of(System.getProperty("instar.home"));
    Place place = new Place();
    try {
      SwappedNode node = SwappedNode.start(home, place, wasmtime, containers);
      SwapBench bench = new SwapBench(home, node, new Plan(parts, requests, swaps, rate, connections, callSeconds * 1000, warmUp * 1000L, pause, lookEvery, inPlace), System.err);
      Result result = containers ? bench.run(Containers.root(place.directory())) : bench.run();
      List<String> left = node.end();
      print(result);
      left.forEach(what -> System.err.println("instar: the node has ended and left " + what));
      return result.faults() == 0 && left.isEmpty() ? 0 : 1;
    } finally {
      place.close();
    }
  }

  private void print(Result result) {
    System.out.printf(Locale.ROOT, "%.0f calls per second, %d connections, %d swaps%n%n", result.rate(), connections, result.swaps().size());
    System.out.printf(Locale.ROOT, "%-12s %10s %10s %8s %8s %8s %28s%n", "", "sent", "right", "failed", "lost", "wrong", "answered by what had gone");
    line("calls", result.calls().tally());
    result.containers().ifPresent(load -> line("containers", load.tally()));
    line("in flight", result.inFlight());
    System.out.printf(Locale.ROOT, "%nbefore the first swap p50 %.2f ms, p99 %.2f ms; between the swaps p50 %.2f ms, p99 %.2f ms%n", result.calls().steadyP50(), result.calls().steadyP99(),
        result.calls().betweenP50(), result.calls().betweenP99());
    result.containers().ifPresent(load -> System.out.printf(Locale.ROOT, "containers: before the first swap p50 %.2f ms, p99 %.2f ms; between the swaps p50 %.2f ms, p99 %.2f ms%n",
        load.steadyP50(), load.steadyP99(), load.betweenP50(), load.betweenP99()));
    System.out.printf(Locale.ROOT, "%n%-18s %6s %8s %28s %12s %30s %12s%n", "swapped", "times", "took, s", "p99 in its first second, ms", "over steady", "p99 in its worst second, ms", "over steady");
    for (Part part : parts.stream().distinct().toList()) {
      row(part.title(), result, result.swaps().stream().filter(s -> s.part().equals(part.title())).toList());
    }
    row("all", result, result.swaps());
    System.out.println();
    result.resources().forEach(System.out::println);
    result.tallies().flatMap(tally -> tally.examples().stream()).forEach(fault -> System.err.println("instar: " + fault));
  }

  private static void line(String what, Tally tally) {
    System.out.printf(Locale.ROOT, "%-12s %10d %10d %8d %8d %8d %28d%n", what, tally.all(), tally.rights(), tally.failures(), tally.losses(), tally.wrongs(), tally.stales());
  }

  private static void row(String what, Result result, List<Swap> swaps) {
    if (swaps.isEmpty()) {
      return;
    }
    Spread took = Spread.of(swaps.stream().mapToDouble(Swap::seconds));
    Spread p99 = Spread.of(swaps.stream().mapToDouble(Swap::p99));
    Spread worst = Spread.of(swaps.stream().mapToDouble(Swap::worst));
    double steady = result.calls().steadyP99();
    System.out.printf(Locale.ROOT, "%-18s %6d %8.2f %28s %12.1f %30s %12.1f%n", what, swaps.size(), took.median(), shown(p99), p99.median() / steady, shown(worst), worst.median() / steady);
  }

  private static String shown(Spread spread) {
    return String.format(Locale.ROOT, "%.2f (%.2f-%.2f)", spread.median(), spread.least(), spread.most());
  }

  private void check(String name, long value, long most) {
    if (value < 1 || value > most) {
      throw new ParameterException(spec.commandLine(), name + " is " + value + "; give 1 to " + most);
    }
  }
}
