package dev.instar.bench;

import dev.instar.bench.Wire.Answer;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * Calls at half of what the node can do, and in the midst of them one swap after the other, with exchanges in flight that last longer than the swap. What a call
 * needs goes and comes; every answer must be as if it had not.
 */
final class SwapBench {
  /** Few, since each takes a process of its own on the same machine. */
  private static final int CONTAINER_CONNECTIONS = 4;
  private static final double CONTAINER_RATE = 8;
  private static final long AWAY_MS = 500;

  private final Path home;
  private final SwappedNode node;
  private final Plan plan;
  private final PrintStream progress;
  private final Map<Example, Integer> versions = new EnumMap<>(Map.of(Example.ECHO, 1, Example.SUMS, 1));
  private boolean onWasmtime;

  /**
   * What is done.
   *
   * @param requests at least
   * @param rate of the calls, per second; half of what the node is found to answer where it is not given
   * @param callMillis how long the long calls take
   * @param pauseMillis from one swap to the next
   * @param lookEvery after so many swaps what the node holds is looked at
   */
  record Plan(List<Part> parts, long requests, int swaps, Optional<Integer> rate, int connections, int callMillis, long warmUpMillis, long pauseMillis, int lookEvery, boolean inPlace) {}

  /** What can be swapped. */
  enum Part {
    BACKEND("backend-wasm", "dev.instar.backend.wasm", Needs.NOTHING),
    SCHEDULER("scheduler", "dev.instar.scheduler", Needs.NOTHING),
    GATEWAY("gateway", "dev.instar.gateway", Needs.NOTHING),
    DIALECT("dialect-faasm", "dev.instar.dialect.faasm", Needs.NOTHING),
    VERSION("version", "", Needs.NOTHING),
    FUNCTIONS("functions", "dev.instar.functions", Needs.NOTHING),
    IMAGES("images", "dev.instar.images", Needs.NOTHING),
    SNAPSHOTS("snapshots", "dev.instar.snapshots", Needs.NOTHING),
    LOGS("logs", "dev.instar.logs", Needs.NOTHING),
    PLACEMENT("placement", "dev.instar.placement", Needs.NOTHING),
    WASMTIME("backend-wasmtime", "dev.instar.backend.wasmtime", Needs.WASMTIME),
    ENGINE("engine", "", Needs.WASMTIME),
    CONTAINER("backend-container", "dev.instar.backend.container", Needs.CONTAINERS),
    NETWORK("network", "dev.instar.network", Needs.CONTAINERS),
    CGROUPS("cgroups", "dev.instar.cgroups", Needs.CONTAINERS),
    CONTAINER_VERSION("container-version", "", Needs.CONTAINERS),
    CONTAINER_AWAY("container-away", "dev.instar.backend.container", Needs.CONTAINERS);

    /** The option of the command without which a node has not got it. */
    enum Needs { NOTHING, WASMTIME, CONTAINERS }

    private final String title;
    private final String bundle;
    private final Needs needs;

    Part(String title, String bundle, Needs needs) {
      this.title = title;
      this.bundle = bundle;
      this.needs = needs;
    }

    Needs needs() {
      return needs;
    }

    String title() {
      return title;
    }
  }

  /** @param p99 in milliseconds, of the calls in the first second of it, and in the worst second until it had ended */
  record Swap(String part, double seconds, double p99, double worst) {}

  /** What became of one kind of calls; times in milliseconds, of those before the first swap and of those between the swaps. */
  record Calls(Tally tally, double steadyP50, double steadyP99, double betweenP50, double betweenP99) {}

  /** @param resources of the node: before, in between where that was wanted, and after */
  record Result(double rate, Calls calls, Optional<Calls> containers, Tally inFlight, List<Swap> swaps, List<String> resources) {
    Stream<Tally> tallies() {
      return Stream.of(Stream.of(calls.tally()), containers.stream().map(Calls::tally), Stream.of(inFlight)).flatMap(tallies -> tallies);
    }

    long faults() {
      return tallies().mapToLong(Tally::faults).sum();
    }
  }

  SwapBench(Path home, SwappedNode node, Plan plan, PrintStream progress) {
    this.home = home;
    this.node = node;
    this.plan = plan;
    this.progress = progress;
  }

  Result run() throws Exception {
    return run(false);
  }

  /** With calls of functions in containers, too. @param root the file system that they run in */
  Result run(Path root) throws Exception {
    Containers.deploy(home, node, root, plan.callMillis());
    return run(true);
  }

  private Result run(boolean containers) throws Exception {
    byte[] paced;
    try (InputStream in = SwapBench.class.getResourceAsStream("paced.wasm")) {
      paced = in.readAllBytes();
    }
    put("/f/bench/paced", paced);
    for (Example example : Example.MODULES) {
      put("/f/demo/" + example.title(), Files.readAllBytes(home.resolve("examples").resolve(example.title()).resolve("function.wasm")));
    }
    several(Example.SHA256);
    double capacity = SwapLoad.capacity(node.url(), plan.connections(), plan.warmUpMillis());
    double rate = plan.rate().map(Integer::doubleValue).orElse(capacity / 2);
    progress.printf(Locale.ROOT, "The node answers %.0f calls per second; from now on it gets %.0f.%n", capacity, rate);
    List<String> resources = new ArrayList<>(List.of("before: " + look()));
    Tally inFlight = new Tally();
    int swaps = plan.swaps();
    long[] begins = new long[swaps];
    long[] ends = new long[swaps];
    SwapLoad load = new SwapLoad(node.url(), Example.MODULES);
    SwapLoad inContainers = new SwapLoad(node.url(), List.of(Example.SUMS));
    try (load; inContainers) {
      load.begin(plan.connections(), rate);
      if (containers) {
        inContainers.begin(CONTAINER_CONNECTIONS, CONTAINER_RATE);
      }
      // What the swaps are compared with.
      Thread.sleep(Math.max(2 * plan.pauseMillis(), plan.warmUpMillis() / 2));
      List<InFlight> begun = new ArrayList<>();
      for (int i = 0; i < swaps; i++) {
        Part part = plan.parts().get(i % plan.parts().size());
        if (!part.bundle.isEmpty() && part != Part.CONTAINER_AWAY && !plan.inPlace()) {
          // Whoever makes a new version does so elsewhere.
          node.prepare(part.bundle);
        }
        begun.add(InFlight.begin(node.url(), inFlight, paced, plan.callMillis(), i, containers));
        begins[i] = System.nanoTime();
        swap(part, load, inContainers);
        ends[i] = System.nanoTime();
        progress.printf(Locale.ROOT, "%d %s: %.2f s, %d calls, %d + %d faults%n", i + 1, part.title(), (ends[i] - begins[i]) / 1e9, load.tally().all() + inContainers.tally().all(),
            load.tally().faults() + inContainers.tally().faults(), inFlight.faults());
        if ((i + 1) % plan.lookEvery() == 0) {
          resources.add("at " + (i + 1) + ": " + look());
        }
        Thread.sleep(plan.pauseMillis());
      }
      for (InFlight some : begun) {
        some.await();
      }
      while (load.tally().all() < plan.requests()) {
        Thread.sleep(100);
      }
      load.end();
      inContainers.end();
    }
    resources.add("after:  " + look());
    Stretches stretches = new Stretches(begins, ends);
    return new Result(rate, stretches.calls(load), containers ? Optional.of(stretches.calls(inContainers)) : Optional.empty(), inFlight, swaps(stretches, load.latencies()), resources);
  }

  private void swap(Part part, SwapLoad load, SwapLoad inContainers) throws Exception {
    switch (part) {
      case VERSION -> version(load, Example.ECHO, number -> put("/f/demo/echo", Example.marked(Files.readAllBytes(home.resolve("examples/echo/function.wasm")), "v" + number)));
      case CONTAINER_VERSION -> version(inContainers, Example.SUMS, number -> Containers.again(node.url()));
      case CONTAINER_AWAY -> {
        node.change(part.bundle, "stop");
        Thread.sleep(AWAY_MS);
        node.change(part.bundle, "start");
      }
      case ENGINE -> engine();
      case Part p when plan.inPlace() -> node.tell("update " + p.bundle);
      default -> node.replace(part.bundle);
    }
  }

  /** What the node holds. It collects first, so that what is free is not counted. */
  private String look() throws IOException, Failure {
    return node.tell("loaders") + ", " + node.resources();
  }

  /** When something was swapped, in nanoseconds. A swap takes its first second, and all that it takes beyond. */
  private record Stretches(long[] begins, long[] ends) {
    static final long SECOND = 1_000_000_000;

    Calls calls(SwapLoad load) {
      Latencies latencies = load.latencies();
      long[] before = latencies.between(Long.MIN_VALUE, begins[0]);
      List<long[]> between = new ArrayList<>();
      for (int i = 0; i < begins.length; i++) {
        between.add(latencies.between(Math.max(ends[i], begins[i] + SECOND), i + 1 < begins.length ? begins[i + 1] : Long.MAX_VALUE));
      }
      long[] rest = between.stream().flatMapToLong(Arrays::stream).toArray();
      return new Calls(load.tally(), Latencies.percentile(before, 50), Latencies.percentile(before, 99), Latencies.percentile(rest, 50), Latencies.percentile(rest, 99));
    }
  }

  private List<Swap> swaps(Stretches stretches, Latencies latencies) {
    List<Swap> all = new ArrayList<>();
    for (int i = 0; i < stretches.begins().length; i++) {
      long begin = stretches.begins()[i];
      long end = stretches.ends()[i];
      double worst = 0;
      for (long from = begin; from < Math.max(end, begin + 1); from += Stretches.SECOND) {
        worst = Math.max(worst, Latencies.percentile(latencies.between(from, from + Stretches.SECOND), 99));
      }
      all.add(new Swap(plan.parts().get(i % plan.parts().size()).title(), (end - begin) / 1e9, Latencies.percentile(latencies.between(begin, begin + Stretches.SECOND), 99), worst));
    }
    return all;
  }

  /** All functions go to the other engine, and next time they come back. */
  private void engine() throws IOException, Failure {
    node.move(onWasmtime ? "wasmtime" : "wasm", onWasmtime ? "wasm" : "wasmtime");
    onWasmtime = !onWasmtime;
  }

  private interface Publishing {
    void publish(int number) throws IOException, Failure;
  }

  /** Another version of an example, and then the old one goes. */
  private void version(SwapLoad load, Example example, Publishing next) throws IOException, Failure {
    int old = versions.get(example);
    next.publish(old + 1);
    load.oldest(old + 1);
    send("DELETE", "/v1/functions/demo/" + example.title() + "/versions/" + old, new byte[0]);
    versions.put(example, old + 1);
  }

  /** Gives an example a second variant, so that the placement policy is asked for each of its calls. */
  private void several(Example example) throws IOException, Failure {
    byte[] module = Files.readAllBytes(home.resolve("examples").resolve(example.title()).resolve("function.wasm"));
    List<String> digests = new ArrayList<>();
    for (byte[] one : List.of(module, Example.marked(module, "second"))) {
      String image = new String(send("POST", "/v1/images", one).body(), StandardCharsets.UTF_8);
      int at = image.indexOf("sha256:");
      digests.add("{\"digest\":\"" + image.substring(at, at + 71) + "\"}");
    }
    String version = "{\"variants\":[" + String.join(",", digests) + "],\"labels\":{\"placement\":\"idle-first\"}}";
    send("POST", "/v1/functions/demo/" + example.title() + "/versions", version.getBytes(StandardCharsets.US_ASCII));
  }

  private void put(String path, byte[] module) throws IOException, Failure {
    send("PUT", path, module);
  }

  private Answer send(String method, String path, byte[] body) throws IOException, Failure {
    try (Wire wire = new Wire(node.url())) {
      Answer answer = wire.exchange(method, path, body);
      if (answer.status() / 100 != 2) {
        throw new Failure(method + " " + path + " was answered with " + answer.shown());
      }
      return answer;
    }
  }
}
