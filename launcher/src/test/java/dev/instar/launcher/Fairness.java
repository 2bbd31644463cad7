package dev.instar.launcher;

import java.io.BufferedInputStream;
import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.LongAdder;
import java.util.concurrent.locks.LockSupport;

/**
 * What one user's attack does to another's calls. The neighbour calls the echo example at half of the rate that the node was measured to serve, in an
 * open loop: each call has a moment at which it should begin, its latency counts from there, and its answer is compared byte for byte. Quiet and
 * attacked rounds take turns.
 *
 * <p>For longer runs it is a program: {@code java Fairness.java URL SECONDS ROUNDS [ATTACK...]}, with a node that runs already
 * and gives up a compilation after few seconds ({@code compile-seconds}), as {@code FairnessIT} has it. In the place of an attack, {@code snapshots} asks
 * what the neighbour's calls suffer when initialised functions of 16 MiB are stored: another user deploys all the time, and their states are stored in one
 * round and not in the other; {@code busy} is no attack, but busy loops outside the node.
 */
final class Fairness {
  /** How many of the neighbour's calls can be under way; as many connections. */
  private static final int LINES = 48;
  private static final int CALIBRATING = 16;
  private static final int PAYLOAD = 512;
  /** A connection on which nothing comes for so long has failed; no time-out of an attack is longer. */
  private static final int PATIENCE_MS = 60_000;

  private static final byte[] SPIN = hex("0061736d01000000010401600000030201000503010001071302066d656d6f72790200065f737461727400000a0901070003400c000b0b");
  /** Grows its memory and fills it; traps when it gets no more. */
  private static final byte[] GROW = hex("0061736d01000000010401600000030201000503010001071302066d656d6f72790200065f737461727400000a29012701017f0340411040002100"
      + "2000417f460440000b20004110744107418080c000fc0b000c000b0b");
  private static final byte[] RECURSE = hex("0061736d01000000010401600000030201000503010001071302066d656d6f72790200065f737461727400000a0601040010000b");
  /** Writes 4 KiB to its output, for ever. */
  private static final byte[] WRITE = hex("0061736d01000000010c0260047f7f7f7f017f60000002230116776173695f736e617073686f745f70726576696577310866645f7772697465000003"
      + "0201010503010001071302066d656d6f72790200065f737461727400010a140112000340410141004101410810001a0c000b0b0b25020041000b0810000000001000000041100b12"
      + "666c6f6f6420666c6f6f6420666c6f6f640a");
  /** Writes a line of 18 bytes to its log, for ever. */
  private static final byte[] LOG = hex("0061736d01000000010c0260047f7f7f7f017f60000002230116776173695f736e617073686f745f70726576696577310866645f777269746500000302"
      + "01010503010001071302066d656d6f72790200065f737461727400010a140112000340410241004101410810001a0c000b0b0b25020041000b0810000000120000000041100b1266"
      + "6c6f6f6420666c6f6f6420666c6f6f640a");
  /** Waits for hours in poll_oneoff. */
  private static final byte[] SLEEP = hex("0061736d01000000010c0260047f7f7f7f017f60000002260116776173695f736e617073686f745f70726576696577310b706f6c6c5f6f6e656f666600"
      + "00030201010503010001071302066d656d6f72790200065f737461727400010a11010f00410041c000410141800110001a0b0b12020041100b01010041180b06000000000010");
  /** Three million rounds of a generator of random numbers: some milliseconds. */
  private static final byte[] WORK = hex("0061736d01000000010401600000030201000503010001071302066d656d6f72790200065f737461727400000a4d014b02017f017e42c4f4fddddc91d09c01"
      + "2101034020012001420d868521012001200142078885210120012001421186852101200041016a2100200041c08db701490d000b410020013703000b");

  private final URI node;
  private final Path echo;
  private final Map<String, Attack> attacks = new TreeMap<>();
  private final Map<String, Attack> others = new TreeMap<>();
  private final AtomicLong names = new AtomicLong(System.nanoTime());

  /**
   * Something hostile, done by as many as {@code parallel} at once, over and over.
   *
   * @param expected the status and code of each answer, as in {@code "504 timed-out"}
   */
  record Attack(int parallel, String method, String path, byte[] body, String expected) {}

  /**
   * What the neighbour saw in one round.
   *
   * @param wrong answers that were not what was sent, and failures
   */
  record Round(double p50Micros, double p99Micros, long calls, long wrong) {}

  /**
   * What attackers were told.
   *
   * @param answers how many of each status and code
   * @param longestMillis how long the slowest of them waited
   */
  record Told(Map<String, Integer> answers, long longestMillis) {}

  /**
   * @param echo the module of the echo example
   * @param part divides how many attack at once
   */
  Fairness(URI node, Path echo, int part) {
    this.node = node;
    this.echo = echo;
    attack("burst", 1000 / part, "200 ");
    attack("spin", 64 / part, "504 timed-out");
    attack("grow", 16 / part, "502 out-of-memory");
    attack("recurse", 16 / part, "502 stack-overflow");
    attack("write", 16 / part, "502 output-too-large");
    attack("log", 16 / part, "504 timed-out");
    attack("sleep", 128 / part, "504 timed-out");
    deploys("unstored", "never");
    deploys("stored", "deploy");
    attacks.put("bomb", new Attack(2, "PUT", "/f/bomb/bomb", bomb(), "422 compile-limit"));
    attacks.put("damaged", new Attack(Math.max(1, 4 / part), "PUT", "/f/damaged/damaged", damaged(), "422 module-refused"));
  }

  /** Deploys the primes example, whose memory has 16 MiB, under ever new names: no attack, and not among them. */
  private void deploys(String name, String snapshot) {
    String body = "{\"variants\":[{\"digest\":\"" + digest(primes()) + "\"}],\"snapshot\":\"" + snapshot + "\"}";
    others.put(name, new Attack(1, "POST", "/v1/functions/" + name + "/f#/versions", body.getBytes(StandardCharsets.US_ASCII), "201 "));
  }

  private byte[] primes() {
    try {
      return Files.readAllBytes(echo.resolveSibling("../primes/function.wasm"));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static String digest(byte[] module) {
    try {
      return "sha256:" + HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(module));
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError(e);
    }
  }

  private void attack(String name, int parallel, String expected) {
    attacks.put(name, new Attack(parallel, "POST", "/f/" + name + "/" + name, new byte[0], expected));
  }

  Map<String, Attack> attacks() {
    return attacks;
  }

  /** Uploads the neighbour's function and those of the attacks. */
  void deploy() throws IOException {
    try (Line line = new Line()) {
      check(line.send("PUT", "/f/neighbour/echo", Files.readAllBytes(echo)));
      String endless = "{\"timeout\":\"2s\"}";
      publish(line, "spin", SPIN, endless);
      publish(line, "log", LOG, endless);
      publish(line, "sleep", SLEEP, endless);
      // What runs in the background of a node that others keep busy takes its time until it meets its limit.
      String limits = "{\"timeout\":\"50s\",\"memory\":\"64Mi\",\"output\":\"32Ki\"}";
      publish(line, "grow", GROW, limits);
      publish(line, "recurse", RECURSE, limits);
      publish(line, "write", WRITE, limits);
      check(line.send("PUT", "/f/burst/burst", WORK));
      check(line.send("PUT", "/f/stored/primes", primes()));
    }
  }

  private static void publish(Line line, String name, byte[] module, String limits) throws IOException {
    String image = new String(check(line.send("POST", "/v1/images", module)).body(), StandardCharsets.UTF_8);
    String digest = image.substring(image.indexOf("sha256:"), image.indexOf("sha256:") + 71);
    byte[] version = ("{\"variants\":[{\"digest\":\"" + digest + "\"}],\"limits\":" + limits + "}").getBytes(StandardCharsets.UTF_8);
    check(line.send("POST", "/v1/functions/" + name + "/" + name + "/versions", version));
  }

  private static Answer check(Answer answer) throws IOException {
    if (answer.status() / 100 != 2) {
      throw new IOException(answer.status() + " " + new String(answer.body(), StandardCharsets.UTF_8));
    }
    return answer;
  }

  /** Calls per second of the neighbour's function that the node serves when nobody else is there. */
  double capacity(double seconds) throws InterruptedException {
    LongAdder done = new LongAdder();
    long end = System.nanoTime() + (long) (seconds * 1e9);
    List<Thread> threads = new ArrayList<>();
    for (int i = 0; i < CALIBRATING; i++) {
      threads.add(Thread.ofPlatform().start(() -> {
        byte[] body = new byte[PAYLOAD];
        try (Line line = new Line()) {
          while (System.nanoTime() < end) {
            check(line.send("POST", "/f/neighbour/echo", body));
            done.increment();
          }
        } catch (IOException e) {
          throw new IllegalStateException(e);
        }
      }));
    }
    for (Thread thread : threads) {
      thread.join();
    }
    return done.sum() / seconds;
  }

  /** The same once it grows no more: the JIT compiler is at work for some tens of seconds, and takes a processor for that. */
  private double steadyCapacity(double seconds) throws InterruptedException {
    double capacity = 0;
    for (int i = 0; i < 10; i++) {
      double now = capacity(seconds);
      if (i > 2 && now < capacity * 1.03) {
        return now;
      }
      capacity = Math.max(capacity, now);
    }
    return capacity;
  }

  /** The neighbour alone or beside what goes on: so many calls per second for so long. */
  Round round(double perSecond, double seconds) throws InterruptedException {
    int calls = (int) (perSecond * seconds);
    long[] latencies = new long[calls];
    AtomicInteger next = new AtomicInteger();
    AtomicLong wrong = new AtomicLong();
    CountDownLatch open = new CountDownLatch(LINES);
    CompletableFuture<Long> first = new CompletableFuture<>();
    List<Thread> threads = new ArrayList<>();
    for (int i = 0; i < LINES; i++) {
      Random random = new Random(i);
      threads.add(Thread.ofPlatform().start(() -> {
        byte[] body = new byte[PAYLOAD];
        Line line = open(wrong);
        open.countDown();
        long begin = first.join();
        for (int call; (call = next.getAndIncrement()) < calls;) {
          long due = begin + (long) (call / perSecond * 1e9);
          for (long left; (left = due - System.nanoTime()) > 0;) {
            LockSupport.parkNanos(left);
          }
          random.nextBytes(body);
          try {
            line = line == null ? new Line() : line;
            Answer answer = line.send("POST", "/f/neighbour/echo", body);
            if (answer.status() != 200 || !Arrays.equals(answer.body(), body)) {
              wrong.incrementAndGet();
            }
          } catch (IOException e) {
            wrong.incrementAndGet();
            line = null;
          }
          latencies[call] = System.nanoTime() - due;
        }
        close(line);
      }));
    }
    open.await();
    first.complete(System.nanoTime() + 20_000_000);
    for (Thread thread : threads) {
      thread.join();
    }
    Arrays.sort(latencies);
    return new Round(latencies[calls / 2] / 1e3, latencies[(int) (calls * 0.99)] / 1e3, calls, wrong.get());
  }

  /** One that has had a call: that 48 connections are opened at once is no part of a round. Null where it failed. */
  private Line open(AtomicLong wrong) {
    Line line = null;
    try {
      line = new Line();
      check(line.send("POST", "/f/neighbour/echo", new byte[PAYLOAD]));
      return line;
    } catch (IOException e) {
      wrong.incrementAndGet();
      close(line);
      return null;
    }
  }

  /** Attacks until {@link Assault#end}. */
  Assault begin(List<String> names) {
    return new Assault(names);
  }

  /** Attacks under way. */
  final class Assault {
    private final List<Thread> threads = new ArrayList<>();
    private final Map<String, Map<String, Integer>> answers = new ConcurrentHashMap<>();
    private final Map<String, AtomicLong> longest = new ConcurrentHashMap<>();
    private volatile boolean over;

    private Assault(List<String> names) {
      for (String name : names) {
        answers.put(name, new ConcurrentHashMap<>());
        longest.put(name, new AtomicLong());
        Attack attack = attacks.getOrDefault(name, others.get(name));
        for (int i = 0; i < attack.parallel(); i++) {
          threads.add(Thread.ofVirtual().start(() -> repeat(name, attack)));
        }
      }
    }

    private void repeat(String name, Attack attack) {
      Line line = null;
      while (!over) {
        long begin = System.nanoTime();
        String told;
        try {
          line = line == null ? new Line() : line;
          told = line.send(attack.method(), attack.path().replace("#", Long.toString(names.incrementAndGet())), attack.body()).told();
        } catch (IOException e) {
          told = "cut off: " + e.getMessage();
          close(line);
          line = null;
        }
        longest.get(name).accumulateAndGet((System.nanoTime() - begin) / 1_000_000, Math::max);
        answers.get(name).merge(told, 1, Integer::sum);
      }
      close(line);
    }

    /** Waits until the last attack has its answer. */
    Map<String, Told> end() throws InterruptedException {
      over = true;
      for (Thread thread : threads) {
        thread.join();
      }
      Map<String, Told> all = new TreeMap<>();
      answers.forEach((name, told) -> all.put(name, new Told(new TreeMap<>(told), longest.get(name).get())));
      return all;
    }
  }

  /** Sandboxes in which a call runs, over all backends; asks until there is none, or the time is up. */
  int inFlight(long millis) throws IOException, InterruptedException {
    long end = System.nanoTime() + millis * 1_000_000;
    int sum;
    do {
      Thread.sleep(20);
      try (Line line = new Line()) {
        String text = new String(check(line.send("GET", "/v1/backends", new byte[0])).body(), StandardCharsets.UTF_8);
        sum = 0;
        for (int at = text.indexOf("\"inFlight\":"); at >= 0; at = text.indexOf("\"inFlight\":", at + 1)) {
          sum += Integer.parseInt(text.substring(at + 11).replaceFirst("(?s)\\D.*", ""));
        }
      }
    } while (sum > 0 && System.nanoTime() < end);
    return sum;
  }

  /** An answer. */
  private record Answer(int status, byte[] body) {
    /** Status and code, as {@code "504 timed-out"}. */
    String told() {
      String text = new String(body, StandardCharsets.UTF_8);
      int at = text.indexOf("\"code\":\"");
      return status + " " + (status < 400 || at < 0 ? "" : text.substring(at + 8, text.indexOf('"', at + 8)));
    }
  }

  private static void close(Line line) {
    try {
      if (line != null) {
        line.close();
      }
    } catch (IOException e) {
      // Nobody needs it any more.
    }
  }

  /** One connection, with as little of HTTP/1.1 as the node's answers need: a client that took a processor's time would be measured, too. */
  private final class Line implements AutoCloseable {
    private final Socket socket = new Socket(node.getHost(), node.getPort());
    private final InputStream in = new BufferedInputStream(socket.getInputStream());

    Line() throws IOException {
      socket.setTcpNoDelay(true);
      socket.setSoTimeout(PATIENCE_MS);
    }

    Answer send(String method, String path, byte[] body) throws IOException {
      byte[] head = (method + " " + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + body.length + "\r\n\r\n").getBytes(StandardCharsets.US_ASCII);
      byte[] whole = Arrays.copyOf(head, head.length + body.length);
      System.arraycopy(body, 0, whole, head.length, body.length);
      socket.getOutputStream().write(whole);
      int status = Integer.parseInt(line().split(" ")[1]);
      int length = -1;
      for (String header; !(header = line()).isEmpty();) {
        if (header.regionMatches(true, 0, "content-length:", 0, 15)) {
          length = Integer.parseInt(header.substring(15).strip());
        }
      }
      if (length < 0) {
        throw new IOException("an answer without a length");
      }
      byte[] answer = in.readNBytes(length);
      if (answer.length < length) {
        throw new IOException("an answer was cut");
      }
      return new Answer(status, answer);
    }

    private String line() throws IOException {
      ByteArrayOutputStream line = new ByteArrayOutputStream(64);
      for (int b; (b = in.read()) != '\n'; line.write(b)) {
        if (b < 0) {
          throw new IOException("the connection was closed");
        }
      }
      return line.toString(StandardCharsets.US_ASCII).strip();
    }

    @Override
    public void close() throws IOException {
      socket.close();
    }
  }

  private static byte[] hex(String digits) {
    return HexFormat.of().parseHex(digits);
  }

  private static byte[] damaged() {
    byte[] module = Arrays.copyOf(GROW, 64 << 10);
    Arrays.fill(module, GROW.length, module.length, (byte) 0x7f);
    return module;
  }

  /** 12 MiB of code in functions of 60 KiB: within what a module may have, and hard work for a compiler. */
  private static byte[] bomb() {
    int functions = 200;
    ByteArrayOutputStream body = new ByteArrayOutputStream();
    body.write(1);
    body.write(1);
    body.write(0x7e);
    for (int i = 0; i < 6000; i++) {
      // local.set 0 (i64.xor (i64.mul (local.get 0) (i64.const i)) (local.get 0))
      body.writeBytes(new byte[] {0x20, 0, 0x42, (byte) (1 + i % 60), 0x7e, 0x20, 0, (byte) 0x85, 0x21, 0});
    }
    body.write(0x0b);
    ByteArrayOutputStream code = new ByteArrayOutputStream();
    code.writeBytes(leb(functions));
    for (int i = 0; i < functions; i++) {
      code.writeBytes(leb(body.size()));
      code.writeBytes(body.toByteArray());
    }
    ByteArrayOutputStream types = new ByteArrayOutputStream();
    types.writeBytes(leb(functions));
    types.writeBytes(new byte[functions]);
    ByteArrayOutputStream module = new ByteArrayOutputStream();
    module.writeBytes(hex("0061736d01000000"));
    section(module, 1, hex("01600000"));
    section(module, 3, types.toByteArray());
    section(module, 5, hex("010001"));
    section(module, 7, hex("02066d656d6f72790200065f73746172740000"));
    section(module, 10, code.toByteArray());
    return module.toByteArray();
  }

  private static void section(ByteArrayOutputStream module, int id, byte[] content) {
    module.write(id);
    module.writeBytes(leb(content.length));
    module.writeBytes(content);
  }

  private static byte[] leb(int value) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    int left = value;
    for (; left > 0x7f; left >>>= 7) {
      bytes.write(left & 0x7f | 0x80);
    }
    bytes.write(left);
    return bytes.toByteArray();
  }

  /** The middle one. */
  static double median(List<Double> values) {
    double[] sorted = values.stream().mapToDouble(Double::doubleValue).sorted().toArray();
    return sorted[sorted.length / 2];
  }

  public static void main(String... arguments) throws Exception {
    Fairness fairness = new Fairness(URI.create(arguments[0]), Path.of("examples/echo/function.wasm"), 1);
    if (arguments.length == 1) {
      fairness.attackAsTold();
      return;
    }
    double seconds = Double.parseDouble(arguments[1]);
    int rounds = Integer.parseInt(arguments[2]);
    List<List<String>> trials = new ArrayList<>();
    for (String name : arguments.length > 3 ? Arrays.asList(arguments).subList(3, arguments.length) : fairness.attacks.keySet()) {
      trials.add(name.equals("all") ? List.copyOf(fairness.attacks.keySet()) : List.of(name.split("\\+")));
    }
    if (arguments.length == 3) {
      trials.add(List.copyOf(fairness.attacks.keySet()));
    }
    fairness.deploy();
    double capacity = fairness.steadyCapacity(seconds);
    System.out.printf("capacity %.0f calls per second; the neighbour makes half of that%n", capacity);
    System.out.println("| attack | quiet p50 / p99, ms | attacked p50 / p99, ms | ratio of p99 | wrong answers | the attackers were told |");
    System.out.println("|---|---|---|---|---|---|");
    // Attackers have machines of their own. Here they share one with the neighbour's client, and would hold up it, not the node: so they are a process of
    // their own, which runs where that client and the node leave time.
    Process attackers = new ProcessBuilder("chrt", "-i", "0", ProcessHandle.current().info().command().orElseThrow(), "-Xmx512m",
        "launcher/src/test/java/dev/instar/launcher/Fairness.java", arguments[0]).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    try (PrintStream orders = new PrintStream(attackers.getOutputStream(), true, StandardCharsets.US_ASCII);
        BufferedReader reports = attackers.inputReader(StandardCharsets.US_ASCII)) {
      for (List<String> trial : trials) {
        List<String> baseline = trial.equals(List.of("snapshots")) ? List.of("unstored") : List.of();
        System.out.println(fairness.row(baseline, baseline.isEmpty() ? trial : List.of("stored"), capacity / 2, seconds, rounds, orders, reports));
      }
    } finally {
      attackers.destroy();
    }
  }

  /** The process of the attackers: a line with their names begins the attack, the next line ends it and is answered. */
  private void attackAsTold() throws IOException, InterruptedException {
    var orders = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
    for (String names; (names = orders.readLine()) != null;) {
      Assault assault = begin(List.of(names.split("\\+")));
      System.out.println("begun");
      orders.readLine();
      for (Told one : assault.end().values()) {
        one.answers().forEach((answer, count) -> System.out.println(answer + "\t" + count + "\t" + one.longestMillis()));
      }
      System.out.println("ended");
    }
  }

  private String row(List<String> baseline, List<String> trial, double rate, double seconds, int rounds, PrintStream orders, BufferedReader reports)
      throws InterruptedException, IOException {
    List<Round> quiet = new ArrayList<>();
    List<Round> attacked = new ArrayList<>();
    List<Double> ratios = new ArrayList<>();
    Map<String, Integer> told = new TreeMap<>();
    long longest = 0;
    // The first pair is not counted: the JIT compiler is at work on both sides.
    for (int i = -1; i < rounds; i++) {
      Round alone = beside(baseline, rate, seconds, orders, reports, new TreeMap<>()).round();
      Beside beside = beside(trial, rate, seconds, orders, reports, told);
      longest = Math.max(longest, beside.longestMillis());
      if (i >= 0) {
        quiet.add(alone);
        attacked.add(beside.round());
        ratios.add(beside.round().p99Micros() / alone.p99Micros());
      }
    }
    long wrong = quiet.stream().mapToLong(Round::wrong).sum() + attacked.stream().mapToLong(Round::wrong).sum();
    return String.format("| %s | %s | %s | %.2f | %d | %s, the slowest after %.1f s |", trial.size() == 1 ? trial.getFirst() : "all at once", shown(quiet),
        shown(attacked), median(ratios), wrong, told, longest / 1e3);
  }

  private record Beside(Round round, long longestMillis) {}

  /** A round of the neighbour beside what others do, if they do anything. */
  private Beside beside(List<String> names, double rate, double seconds, PrintStream orders, BufferedReader reports, Map<String, Integer> told)
      throws InterruptedException, IOException {
    if (names.isEmpty()) {
      return new Beside(round(rate, seconds), 0);
    }
    if (names.equals(List.of("busy"))) {
      return new Beside(besideLoops(rate, seconds), 0);
    }
    long longest = 0;
    orders.println(String.join("+", names));
    reports.readLine();
    // What ramps up (connections, the first time-outs) is no part of the round.
    Thread.sleep(1000);
    Round round = round(rate, seconds);
    orders.println("end");
    for (String report; !(report = reports.readLine()).equals("ended");) {
      String[] parts = report.split("\t");
      told.merge(parts[0], Integer.valueOf(parts[1]), Integer::sum);
      longest = Math.max(longest, Long.parseLong(parts[2]));
    }
    inFlight(5000);
    return new Beside(round, longest);
  }

  /** Beside a busy loop for each processor, none of them the node's, which have only what others leave: what the machine itself makes of being busy. */
  private Round besideLoops(double rate, double seconds) throws InterruptedException, IOException {
    List<Process> loops = new ArrayList<>();
    try {
      for (int i = 0; i < Runtime.getRuntime().availableProcessors(); i++) {
        loops.add(new ProcessBuilder("chrt", "-i", "0", "sh", "-c", "while :; do :; done").start());
      }
      Thread.sleep(1000);
      return round(rate, seconds);
    } finally {
      loops.forEach(Process::destroyForcibly);
    }
  }

  private static String shown(List<Round> rounds) {
    return String.format("%.2f / %.2f", median(rounds.stream().map(Round::p50Micros).toList()) / 1e3, median(rounds.stream().map(Round::p99Micros).toList()) / 1e3);
  }
}
