package dev.instar.bench;

import dev.instar.bench.SwapBench.Part;
import dev.instar.bench.SwapBench.Result;
import dev.instar.bench.SwapBench.Swap;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
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
    "It starts a node of its own, sends calls of three examples at half of the node's capacity, and replaces one part after the other by another version of its bundle, "
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
      + "(of a function), functions, images, snapshots, logs, placement; and with --wasmtime two more.")
  private List<Part> parts = List.of();
  @Option(names = "--wasmtime", paramLabel = "FILE", description = "libwasmtime.so of version 50: the node has that backend, too, and two more parts are swapped: backend-wasmtime, and engine "
      + "(all functions go from one backend to the other).")
  private Optional<Path> wasmtime = Optional.empty();
  @Option(names = "--connections", paramLabel = "N", defaultValue = "16", description = "Connections at one time (default: ${DEFAULT-VALUE}).")
  private int connections;
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
    check("--call-seconds", callSeconds, 20);
    check("--warm-up", warmUp, 600);
    check("--pause", pause, 3_600_000);
    check("--look-every", lookEvery, 10_000);
    wasmtime.filter(file -> !Files.isRegularFile(file)).ifPresent(file -> {
      throw new ParameterException(spec.commandLine(), "--wasmtime is " + file + ", which is no file; docs/operations.md tells how to get one");
    });
    if (parts.isEmpty()) {
      parts = wasmtime.isPresent() ? List.of(Part.values()) : Part.ALWAYS;
    }
    if (wasmtime.isEmpty() && !Part.ALWAYS.containsAll(parts)) {
      throw new ParameterException(spec.commandLine(), "--parts backend-wasmtime and engine need --wasmtime");
    }
    Path home = Path.of(System.getProperty("instar.home"));
    Place place = new Place();
    try {
      SwappedNode node = SwappedNode.start(home, place, wasmtime);
      Result result = new SwapBench(home, node, parts, requests, swaps, connections, callSeconds * 1000, pause, lookEvery, inPlace, System.err).run(warmUp * 1000L);
      node.close();
      print(result);
      return result.tally().faults() + result.inFlight().faults() == 0 ? 0 : 1;
    } finally {
      place.close();
    }
  }

  private void print(Result result) {
    System.out.printf(Locale.ROOT, "%.0f calls per second, %d connections, %d swaps%n%n", result.rate(), connections, result.swaps().size());
    System.out.printf(Locale.ROOT, "%-12s %10s %10s %8s %8s %8s %28s%n", "", "sent", "right", "failed", "lost", "wrong", "answered by what had gone");
    line("calls", result.tally());
    line("in flight", result.inFlight());
    System.out.printf(Locale.ROOT, "%nsteady p50 %.2f ms, p99 %.2f ms%n%n", result.steadyP50(), result.steadyP99());
    System.out.printf(Locale.ROOT, "%-14s %6s %12s %26s %14s %22s%n", "swapped", "times", "took, s", "p99 in its second, ms", "over steady", "p99 in its worst, ms");
    for (Part part : parts.stream().distinct().toList()) {
      row(part.title(), result, result.swaps().stream().filter(s -> s.part().equals(part.title())).toList());
    }
    row("all", result, result.swaps());
    System.out.println();
    result.resources().forEach(System.out::println);
    Stream.concat(result.tally().examples().stream(), result.inFlight().examples().stream()).forEach(fault -> System.err.println("instar: " + fault));
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
    System.out.printf(Locale.ROOT, "%-14s %6d %12.2f %26s %14.1f %22s%n", what, swaps.size(), took.median(), String.format(Locale.ROOT, "%.2f (%.2f-%.2f)", p99.median(), p99.least(), p99.most()),
        p99.median() / result.steadyP99(), String.format(Locale.ROOT, "%.2f (%.2f-%.2f)", worst.median(), worst.least(), worst.most()));
  }

  private void check(String name, long value, long most) {
    if (value < 1 || value > most) {
      throw new ParameterException(spec.commandLine(), name + " is " + value + "; give 1 to " + most);
    }
  }
}
