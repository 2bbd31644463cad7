package dev.instar.backend.container;

import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.instar.api.function.Limits;
import dev.instar.api.sandbox.PreparedFunction;
import dev.instar.api.sandbox.Sandbox;
import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/**
 * What a start costs beside the programs that make containers, one after another in one run, so that its ratios hold on a machine with other work, too; see
 * {@code docs/performance.md}. In a mount namespace of its own, where the second version of cgroups is covered for crun's sake.
 */
final class StartBenchmark {
  private static final JsonMapper JSON = new JsonMapper();
  private static final String COVERED = "covered";

  private final Path root;
  private final Bench bench;
  private final VethLease network;
  private final Map<String, List<Double>> rows = new LinkedHashMap<>();
  private int number;

  private StartBenchmark(Path root, VethLease network) throws Exception {
    this.root = root;
    this.network = network;
    bench = new Bench(root, "");
  }

  /** @param args how many rounds */
  public static void main(String[] args) throws Exception {
    if (args.length < 2) {
      List<String> command = new ArrayList<>(List.of("unshare", "--mount", "--propagation", "private", "sh", "-c",
          "[ ! -e /sys/fs/cgroup/unified ] || mount -t tmpfs tmpfs /sys/fs/cgroup/unified; exec \"$@\"", "sh"));
      command.addAll(List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "--enable-native-access=ALL-UNNAMED", "-cp",
          System.getProperty("java.class.path"), StartBenchmark.class.getName(), args.length == 0 ? "100" : args[0], COVERED));
      System.exit(new ProcessBuilder(command).inheritIO().start().waitFor());
    }
    Path root = Files.createTempDirectory(Path.of("/var/tmp"), "instar-start-bench");
    try (VethLease network = VethLease.make(9)) {
      new StartBenchmark(root, network).run(Integer.parseInt(args[0]));
    } finally {
      new ProcessBuilder("rm", "-rf", root.toString()).start().waitFor();
    }
    System.exit(0);
  }

  private void run(int rounds) throws Exception {
    new ProcessBuilder("chmod", "711", root.toString(), bench.busybox.root().getParent().toString()).inheritIO().start().waitFor();
    PreparedFunction perCall = bench.prepare(bench.busybox.image(Map.of("Cmd", List.of("/bin/busybox", "cat"))), Map.of(), Limits.DEFAULT);
    PreparedFunction http = bench.prepare(bench.busybox.image(Map.of("Cmd", List.of("/bin/busybox", "httpd", "-f", "-p", "8080"))), Map.of("port", "8080"), Limits.DEFAULT);
    Path bundle = bundle(perCall);
    List<List<String>> peers = new ArrayList<>();
    for (String name : List.of("crun", "runc")) {
      OciRuntime.onPath(name).ifPresent(program -> peers.add(List.of(program.toString(), "--root", root.resolve("state-" + name).toString(), "run", "--bundle", bundle.toString())));
    }
    // containerd has to run; its clients make the container by runc.
    if (new File("/run/containerd/containerd.sock").exists()) {
      OciRuntime.onPath("ctr").ifPresent(program -> peers.add(List.of(program.toString(), "run", "--rm", "--config", bundle.resolve("config.json").toString())));
    }
    for (int round = -5; round < rounds; round++) {
      for (List<String> peer : peers) {
        measure(round, Path.of(peer.getFirst()).getFileName() + " run", () -> peer(peer));
      }
      Sandbox[] sandbox = new Sandbox[1];
      measure(round, "process: start and first call", () -> {
        sandbox[0] = bench.start(perCall, Duration.ofSeconds(30), network);
        bench.call(sandbox[0], "x");
      });
      measure(round, "process: second call", () -> bench.call(sandbox[0], "x"));
      sandbox[0].close();
      measure(round, "HTTP: start until it listens", () -> sandbox[0] = bench.start(http, Duration.ofSeconds(30), network));
      sandbox[0].close();
      Sandbox ready = bench.start(perCall, Duration.ofSeconds(30), network);
      measure(round, "process: first call, started ahead", () -> bench.call(ready, "x"));
      ready.close();
    }
    double crun = median(rows.get("crun run"));
    rows.forEach((name, times) -> System.out.printf("%-36s %8.2f ms p50 %8.2f ms p10 %8.2f of crun run%n", name, median(times), at(times, 0.1), median(times) / crun));
    bench.close();
  }

  /** What the backend itself gives to its runtime, over a root file system that is there already, and with a program that ends by itself. */
  private Path bundle(PreparedFunction prepared) throws Exception {
    Sandbox one = bench.start(prepared, Duration.ofSeconds(30), network);
    Path config;
    try (Stream<Path> files = Files.walk(root.resolve("scratch"))) {
      config = files.filter(file -> file.endsWith("config.json")).findFirst().orElseThrow();
    }
    ObjectNode spec = (ObjectNode) JSON.readTree(config.toFile());
    one.close();
    ((ObjectNode) spec.path("root")).put("path", bench.busybox.root().toString());
    ArrayNode words = ((ObjectNode) spec.path("process")).putArray("args");
    List.of("/bin/busybox", "true").forEach(words::add);
    for (String made : List.of("proc", "dev", "sys", "tmp")) {
      Files.createDirectories(bench.busybox.root().resolve(made));
    }
    Path bundle = Files.createDirectory(root.resolve("bundle"));
    JSON.writeValue(bundle.resolve("config.json").toFile(), spec);
    return bundle;
  }

  private void peer(List<String> command) throws Exception {
    List<String> whole = new ArrayList<>(command);
    if (command.getFirst().endsWith("crun")) {
      whole.add(3, "--cgroup-manager=disabled");
    }
    whole.add("peer-" + number++);
    Process process = new ProcessBuilder(whole).redirectErrorStream(true).start();
    process.getOutputStream().close();
    String said = new String(process.getInputStream().readAllBytes());
    if (process.waitFor() != 0) {
      throw new IllegalStateException(whole + ": " + said);
    }
  }

  private interface Work {
    void run() throws Exception;
  }

  private void measure(int round, String row, Work work) throws Exception {
    long begin = System.nanoTime();
    work.run();
    double millis = (System.nanoTime() - begin) / 1e6;
    if (round >= 0) {
      rows.computeIfAbsent(row, name -> new ArrayList<>()).add(millis);
    }
  }

  private static double median(List<Double> times) {
    return at(times, 0.5);
  }

  private static double at(List<Double> times, double part) {
    double[] sorted = times.stream().mapToDouble(Double::doubleValue).toArray();
    Arrays.sort(sorted);
    return sorted[(int) (part * (sorted.length - 1))];
  }
}
