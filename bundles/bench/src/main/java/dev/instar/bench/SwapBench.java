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
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;

/**
 * Calls at half of what the node can do, and in the midst of them one swap after the other, with exchanges in flight that last longer than the swap. What a call
 * needs goes and comes; every answer must be as if it had not.
 */
final class SwapBench {
  private final Path home;
  private final SwappedNode node;
  private final List<Part> parts;
  private final long requests;
  private final int swaps;
  private final int connections;
  private final int callMillis;
  private final long pauseMillis;
  private final int lookEvery;
  private final boolean inPlace;
  private final PrintStream progress;
  private int echoVersion = 1;
  private boolean onWasmtime;

  /** What can be swapped. */
  enum Part {
    BACKEND("backend-wasm", "dev.instar.backend.wasm"),
    SCHEDULER("scheduler", "dev.instar.scheduler"),
    GATEWAY("gateway", "dev.instar.gateway"),
    DIALECT("dialect-faasm", "dev.instar.dialect.faasm"),
    VERSION("version", ""),
    FUNCTIONS("functions", "dev.instar.functions"),
    IMAGES("images", "dev.instar.images"),
    SNAPSHOTS("snapshots", "dev.instar.snapshots"),
    LOGS("logs", "dev.instar.logs"),
    PLACEMENT("placement", "dev.instar.placement"),
    WASMTIME("backend-wasmtime", "dev.instar.backend.wasmtime"),
    ENGINE("engine", "");

    /** What every node has. */
    static final List<Part> ALWAYS = Stream.of(values()).filter(part -> part != WASMTIME && part != ENGINE).toList();

    private final String title;
    private final String bundle;

    Part(String title, String bundle) {
      this.title = title;
      this.bundle = bundle;
    }

    String title() {
      return title;
    }
  }

  /** @param p99 in milliseconds, of the calls in the first second of it, and in the worst second until it had ended */
  record Swap(String part, double seconds, double p99, double worst) {}

  /** @param resources of the node: before, in between where that was wanted, and after */
  record Result(double rate, Tally tally, Tally inFlight, List<Swap> swaps, double steadyP50, double steadyP99, List<String> resources) {}

  SwapBench(Path home, SwappedNode node, List<Part> parts, long requests, int swaps, int connections, int callMillis, long pauseMillis, int lookEvery,
      boolean inPlace, PrintStream progress) {
    this.home = home;
    this.node = node;
    this.parts = parts;
    this.requests = requests;
    this.swaps = swaps;
    this.connections = connections;
    this.callMillis = callMillis;
    this.pauseMillis = pauseMillis;
    this.lookEvery = lookEvery;
    this.inPlace = inPlace;
    this.progress = progress;
  }

  Result run(long warmUpMillis) throws Exception {
    byte[] paced;
    try (InputStream in = SwapBench.class.getResourceAsStream("paced.wasm")) {
      paced = in.readAllBytes();
    }
    put("/f/bench/paced", paced);
    for (Example example : Example.values()) {
      put("/f/demo/" + example.title(), Files.readAllBytes(home.resolve("examples").resolve(example.title()).resolve("function.wasm")));
    }
    several(Example.SHA256);
    double capacity = SwapLoad.capacity(node.url(), connections, warmUpMillis);
    double rate = capacity / 2;
    progress.printf(Locale.ROOT, "The node answers %.0f calls per second; from now on it gets %.0f.%n", capacity, rate);
    List<String> resources = new ArrayList<>(List.of("before: " + look()));
    Tally inFlight = new Tally();
    long[] begins = new long[swaps];
    long[] ends = new long[swaps];
    SwapLoad load = new SwapLoad(node.url());
    try (load) {
      load.begin(connections, rate);
      Thread.sleep(2 * pauseMillis);
      List<InFlight> begun = new ArrayList<>();
      for (int i = 0; i < swaps; i++) {
        Part part = parts.get(i % parts.size());
        begun.add(InFlight.begin(node.url(), inFlight, paced, callMillis, i));
        begins[i] = System.nanoTime();
        switch (part) {
          case VERSION -> version(load);
          case ENGINE -> engine();
          case Part p when inPlace -> node.tell("update " + p.bundle);
          default -> node.replace(part.bundle);
        }
        ends[i] = System.nanoTime();
        progress.printf(Locale.ROOT, "%d %s: %.2f s, %d calls, %d + %d faults%n", i + 1, part.title(), (ends[i] - begins[i]) / 1e9, load.tally().all(),
            load.tally().faults(), inFlight.faults());
        if ((i + 1) % lookEvery == 0) {
          resources.add("at " + (i + 1) + ": " + look());
        }
        Thread.sleep(pauseMillis);
      }
      for (InFlight some : begun) {
        some.await();
      }
      while (load.tally().all() < requests) {
        Thread.sleep(100);
      }
      load.end();
    }
    resources.add("after:  " + look());
    return result(rate, load, inFlight, begins, ends, resources);
  }

  /** What the node holds. It collects first, so that what is free is not counted. */
  private String look() throws IOException, Failure {
    return node.tell("loaders") + ", " + node.resources();
  }

  private Result result(double rate, SwapLoad load, Tally inFlight, long[] begins, long[] ends, List<String> resources) {
    Latencies latencies = load.latencies();
    long second = 1_000_000_000;
    List<Swap> all = new ArrayList<>();
    List<long[]> steady = new ArrayList<>();
    long since = latencies.due()[0];
    for (int i = 0; i < begins.length; i++) {
      steady.add(latencies.between(since, begins[i]));
      since = Math.max(ends[i], begins[i] + second);
      double worst = 0;
      for (long from = begins[i]; from < Math.max(ends[i], begins[i] + 1); from += second) {
        worst = Math.max(worst, Latencies.percentile(latencies.between(from, from + second), 99));
      }
      all.add(new Swap(parts.get(i % parts.size()).title(), (ends[i] - begins[i]) / 1e9, Latencies.percentile(latencies.between(begins[i], begins[i] + second), 99), worst));
    }
    steady.add(latencies.between(since, Long.MAX_VALUE));
    long[] quiet = steady.stream().flatMapToLong(Arrays::stream).toArray();
    return new Result(rate, load.tally(), inFlight, all, Latencies.percentile(quiet, 50), Latencies.percentile(quiet, 99), resources);
  }

  /** All functions go to the other engine, and next time they come back. */
  private void engine() throws IOException, Failure {
    node.move(onWasmtime ? "wasmtime" : "wasm", onWasmtime ? "wasm" : "wasmtime");
    onWasmtime = !onWasmtime;
  }

  /** Another version of the echo, and then the old one goes. */
  private void version(SwapLoad load) throws IOException, Failure {
    put("/f/demo/echo", Example.marked(Files.readAllBytes(home.resolve("examples/echo/function.wasm")), "v" + (echoVersion + 1)));
    load.oldest(echoVersion + 1);
    send("DELETE", "/v1/functions/demo/echo/versions/" + echoVersion, new byte[0]);
    echoVersion++;
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
