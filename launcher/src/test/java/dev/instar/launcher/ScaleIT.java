package dev.instar.launcher;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.instar.launcher.Shell.Running;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Many functions, each with a module of its own, and many calls: what they leave in the node must not grow with their number. The same test
 * is the full experiment of docs/performance.md, with {@code -Dscale.functions=10000 -Dscale.calls=1000000}.
 */
class ScaleIT {
  /** Of the default, most of the time goes into their compilation; enough that each bound below would be broken by one thing kept for each. */
  private static final int FUNCTIONS = Integer.getInteger("scale.functions", 40);
  private static final int CALLS = Integer.getInteger("scale.calls", 8000);
  /** Functions whose state is stored before a restart. */
  private static final int SNAPSHOTS = Integer.getInteger("scale.snapshots", 16);
  /** Whether they are called when the node has prepared them ahead, or from the moment when it is ready. */
  private static final boolean PREPARED_AHEAD = !"false".equals(System.getProperty("scale.ahead"));
  private static final Pattern AHEAD = Pattern.compile("(\\d+) functions were prepared ahead of their calls");
  private static final int CONNECTIONS = 16;
  private static final int USERS = 100;
  /** MiB of prepared images, and so 64 KiB each: sixteen functions. */
  private static final int PREPARED_MIB = 1;
  private static final int MOST_PREPARED = 16;
  private static final Path EXAMPLES = Path.of("target/instar/examples").toAbsolutePath();
  private static final ObjectMapper JSON = new ObjectMapper();

  @TempDir
  Path home;
  private Shell shell;
  private HttpClient http;

  @BeforeEach
  void begin() {
    shell = new Shell(home, Map.of());
    http = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
  }

  @AfterEach
  void end() {
    http.shutdownNow();
    shell.close();
  }

  @Test
  void leavesNothingThatGrowsWithFunctionsOrCalls() throws Exception {
    Path data = home.resolve("data");
    Path config = Files.createDirectories(home.resolve("config"));
    try (Stream<Path> shipped = Files.list(Path.of("target/instar/config"))) {
      for (Path file : shipped.toList()) {
        Files.copy(file, config.resolve(file.getFileName()));
      }
    }
    Files.writeString(config.resolve("dev.instar.scheduler.cfg.json"),
        "{\"idle-seconds\": 1, \"idle-seconds-replaced\": 1, \"prepared-seconds\": 3, \"prepared-mib\": " + PREPARED_MIB + ", \"max-idle\": 32}");
    Running node = shell.node(data, "--config", config.toString());
    long pid = node.process().pid();
    List<Sample> samples = samples();
    calls(node.url(), samples, 1000);
    Resources before = atRest(pid);
    long loadersBefore = classLoaders(pid);
    say("before: " + before);

    long began = System.nanoTime();
    each(FUNCTIONS, number -> {
      HttpResponse<String> answer = http.send(HttpRequest.newBuilder(url(node.url(), number))
          .PUT(HttpRequest.BodyPublishers.ofByteArray(ScaleModule.of(number))).build(), HttpResponse.BodyHandlers.ofString());
      assertEquals(201, answer.statusCode(), answer::body);
    });
    Resources deployed = Resources.of(pid);
    say("deployed in " + millisSince(began) + " ms: " + deployed);
    // What compiles and those that it makes room for may overlap for a moment.
    assertTrue(deployed.images() <= MOST_PREPARED + samples.size() + 4, deployed::toString);

    began = System.nanoTime();
    each(FUNCTIONS, number -> call(node.url(), number));
    Resources called = Resources.of(pid);
    say("called in " + millisSince(began) + " ms: " + called);
    assertTrue(called.images() > 0, "no image is seen, so none would be missed");

    listed(node.url());
    Resources idle = atRest(pid);
    say("idle: " + idle);
    assertEquals(0, idle.images());
    assertEquals(0, idle.guests());
    assertTrue(idle.descriptors() <= before.descriptors() + 20, () -> before + " became " + idle);
    assertTrue(idle.threads() <= before.threads() + 20, () -> before + " became " + idle);
    long loaders = classLoaders(pid);
    assertTrue(loaders <= loadersBefore + 20, () -> loadersBefore + " class loaders became " + loaders);

    began = System.nanoTime();
    calls(node.url(), samples, CALLS / 4);
    Resources quarter = Resources.of(pid);
    say("after a quarter of the calls: " + quarter);
    calls(node.url(), samples, CALLS / 4);
    say("after half of the calls: " + Resources.of(pid));
    calls(node.url(), samples, CALLS / 2);
    Resources all = Resources.of(pid);
    say("after all " + CALLS + " calls, " + millisSince(began) + " ms: " + all);
    assertTrue(all.descriptors() <= quarter.descriptors() + 40, () -> quarter + " became " + all);
    assertTrue(all.threads() <= quarter.threads() + 30, () -> quarter + " became " + all);
    assertTrue(all.mappings() <= quarter.mappings() + 300, () -> quarter + " became " + all);
    assertEquals(143, node.stop("TERM"));

    began = System.nanoTime();
    Running again = shell.node(data, "--config", config.toString());
    say("ready again in " + millisSince(began) + " ms");
    call(again.url(), FUNCTIONS - 1);
    say("and has answered after " + millisSince(began) + " ms");
    listed(again.url());
    each(FUNCTIONS, number -> call(again.url(), number));
    say("served all: " + Resources.of(again.process().pid()));
    assertEquals(143, again.stop("TERM"));
  }

  @Test
  void aNodeThatStartsAgainCompilesAndInitialisesNothingAgain() throws Exception {
    Path data = home.resolve("data");
    Running node = shell.node(data, "--no-examples");
    URI first = node.url();
    each(SNAPSHOTS, number -> {
      HttpResponse<String> answer = http.send(HttpRequest.newBuilder(reactor(first, number))
          .PUT(HttpRequest.BodyPublishers.ofByteArray(reactorModule(number))).build(), HttpResponse.BodyHandlers.ofString());
      assertEquals(201, answer.statusCode(), answer::body);
    });
    long end = System.nanoTime() + 60_000_000_000L + SNAPSHOTS * 1_000_000_000L;
    while (layers(data) < SNAPSHOTS) {
      assertTrue(System.nanoTime() < end, "states were not stored");
      Thread.sleep(200);
    }
    assertEquals(143, node.stop("TERM"));

    long began = System.nanoTime();
    Running again = shell.node(data, "--no-examples");
    say("ready with " + SNAPSHOTS + " snapshotted functions in " + millisSince(began) + " ms");
    if (PREPARED_AHEAD) {
      say(preparedAhead(data) + " were prepared ahead after " + millisSince(began) + " ms");
    }
    List<Integer> order = new ArrayList<>(IntStream.range(0, SNAPSHOTS).boxed().toList());
    // Not the order in which they were stored, which is that in which they are prepared ahead.
    Collections.shuffle(order, new Random(1));
    long[] micros = new long[SNAPSHOTS];
    for (int number : order) {
      long at = System.nanoTime();
      HttpResponse<byte[]> answer = http.send(HttpRequest.newBuilder(reactor(again.url(), number)).POST(HttpRequest.BodyPublishers.ofByteArray(bytes(number)))
          .build(), HttpResponse.BodyHandlers.ofByteArray());
      assertArrayEquals(bytes(number), answer.body());
      micros[number] = (System.nanoTime() - at) / 1000;
    }
    Arrays.sort(micros);
    say("first call of each: p50 " + micros[SNAPSHOTS / 2] / 1e3 + " ms, p90 " + micros[SNAPSHOTS * 9 / 10] / 1e3 + " ms");
    for (int number : new int[] {0, SNAPSHOTS - 1}) {
      String path = reactor(again.url(), number).getPath().replaceFirst("/f/", "/v1/functions/");
      JsonNode runs = JSON.readTree(http.send(HttpRequest.newBuilder(again.url().resolve(path)).build(), HttpResponse.BodyHandlers.ofByteArray()).body()).path("runs");
      assertEquals("from the snapshot", runs.path("initialised").asText(), runs::toString);
      assertTrue(runs.path("snapshot").asText().startsWith("restored from sha256:"), runs::toString);
      assertTrue(runs.path("code").asText().endsWith(", from the cache"), runs::toString);
    }
    assertEquals(143, again.stop("TERM"));
  }

  /** How many of them; waits until the node says so in its log. What may stay prepared is the bound. */
  private static int preparedAhead(Path data) throws Exception {
    long end = System.nanoTime() + 60_000_000_000L;
    while (true) {
      Matcher said = AHEAD.matcher(Files.readString(data.resolve("node.log")));
      if (said.find()) {
        int number = Integer.parseInt(said.group(1));
        // The stop may come between the last state and the note of who needs it.
        assertTrue(number >= Math.min(SNAPSHOTS, 256) - 1, () -> number + " of " + SNAPSHOTS);
        return number;
      }
      assertTrue(System.nanoTime() < end, "nothing was prepared ahead");
      Thread.sleep(50);
    }
  }

  /** All of one user: each user's modules are compiled by a process of their own, which takes most of the time where there are many users. */
  private static URI reactor(URI node, long number) {
    return node.resolve(String.format("/f/reactors/f%05d", number));
  }

  /** The echo reactor, which has an initialiser, with a section that no other number has. */
  private static byte[] reactorModule(long number) throws IOException {
    byte[] echo = Files.readAllBytes(EXAMPLES.resolve("echo/function.wasm"));
    return ByteBuffer.allocate(echo.length + 12).put(echo).put((byte) 0).put((byte) 10).put((byte) 1).put((byte) 'n').putLong(number).array();
  }

  private static long layers(Path data) throws IOException {
    try (Stream<Path> layers = Files.list(data.resolve("snapshots/layers"))) {
      return layers.count();
    }
  }

  private static URI url(URI node, long number) {
    return node.resolve(String.format("/f/user%02d/f%05d", number % USERS, number));
  }

  private void call(URI node, long number) throws Exception {
    long input = ThreadLocalRandom.current().nextLong();
    HttpResponse<byte[]> answer = http.send(HttpRequest.newBuilder(url(node, number)).POST(HttpRequest.BodyPublishers.ofByteArray(bytes(input)))
        .build(), HttpResponse.BodyHandlers.ofByteArray());
    assertEquals(200, answer.statusCode(), () -> new String(answer.body(), StandardCharsets.UTF_8));
    assertArrayEquals(bytes(ScaleModule.answer(number, input)), answer.body(), () -> "function " + number);
  }

  private static byte[] bytes(long value) {
    return ByteBuffer.allocate(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN).putLong(value).array();
  }

  /** Every function once, by user and name. */
  private void listed(URI node) throws Exception {
    long began = System.nanoTime();
    byte[] answer = http.send(HttpRequest.newBuilder(node.resolve("/v1/functions")).build(), HttpResponse.BodyHandlers.ofByteArray()).body();
    say("GET /v1/functions: " + answer.length + " bytes in " + millisSince(began) + " ms");
    List<String> names = new ArrayList<>();
    for (JsonNode function : JSON.readTree(answer).path("functions")) {
      if (!"demo".equals(function.path("user").asText())) {
        names.add("/f/" + function.path("user").asText() + "/" + function.path("function").asText());
      }
    }
    List<String> expected = new ArrayList<>();
    for (int number = 0; number < FUNCTIONS; number++) {
      expected.add(url(node, number).getPath());
    }
    expected.sort(null);
    assertEquals(expected, names);
    began = System.nanoTime();
    String table = shell.with(Map.of("INSTAR_URL", node.toString())).instar("list").out();
    say("instar list: " + millisSince(began) + " ms");
    assertEquals(FUNCTIONS, table.lines().filter(line -> line.startsWith("user")).count());
  }

  /** An example with its input and the digest of its answer. */
  private record Sample(String function, byte[] input, String digest) {}

  private static List<Sample> samples() throws Exception {
    List<Sample> samples = new ArrayList<>();
    for (String line : Files.readAllLines(EXAMPLES.resolve("expected.txt"))) {
      String[] parts = line.split("\t");
      samples.add(new Sample(parts[0], Files.readAllBytes(EXAMPLES.resolve(parts[1])), parts[2]));
    }
    return samples;
  }

  /** Calls of all examples; of those that take milliseconds, few. */
  private void calls(URI node, List<Sample> samples, int number) throws Exception {
    List<Sample> quick = samples.stream().filter(s -> s.function().startsWith("echo") || s.function().equals("primes")).toList();
    each(number, i -> {
      Sample sample = i % 50 == 0 ? samples.get((int) (i / 50 % samples.size())) : quick.get((int) (i % quick.size()));
      HttpResponse<byte[]> answer = http.send(HttpRequest.newBuilder(node.resolve("/f/demo/" + sample.function()))
          .POST(HttpRequest.BodyPublishers.ofByteArray(sample.input())).build(), HttpResponse.BodyHandlers.ofByteArray());
      assertEquals(200, answer.statusCode(), () -> new String(answer.body(), StandardCharsets.UTF_8));
      assertEquals(sample.digest(), HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(answer.body())), sample::function);
    });
  }

  private interface Action {
    void on(long number) throws Exception;
  }

  private static void each(int count, Action action) throws Exception {
    AtomicLong next = new AtomicLong();
    try (ExecutorService threads = Executors.newFixedThreadPool(CONNECTIONS)) {
      List<Future<?>> all = new ArrayList<>();
      for (int i = 0; i < CONNECTIONS; i++) {
        Callable<Void> work = () -> {
          for (long number; (number = next.getAndIncrement()) < count;) {
            try {
              action.on(number);
            } catch (Exception | Error e) {
              next.set(count);
              throw e;
            }
          }
          return null;
        };
        all.add(threads.submit(work));
      }
      for (Future<?> each : all) {
        each.get();
      }
    }
  }

  /** When everything idle has expired. */
  private static Resources atRest(long pid) throws Exception {
    long end = System.nanoTime() + 60_000_000_000L;
    Resources now = Resources.of(pid);
    while (now.images() + now.guests() > 0) {
      Resources last = now;
      assertTrue(System.nanoTime() < end, () -> "what was prepared does not expire: " + last);
      Thread.sleep(200);
      now = Resources.of(pid);
    }
    return now;
  }

  /** Class loaders that are alive, of whatever class: compiled code has one for each module. */
  private long classLoaders(long pid) throws Exception {
    String jcmd = Path.of(System.getProperty("java.home"), "bin", "jcmd").toString();
    // It collects all garbage first; a second time for what the first has only queued.
    shell.run(new byte[0], List.of(jcmd, Long.toString(pid), "GC.class_histogram"));
    String histogram = shell.run(new byte[0], List.of(jcmd, Long.toString(pid), "GC.class_histogram")).out();
    long loaders = histogram.lines().map(line -> line.strip().split("\\s+")).filter(words -> words.length >= 4 && words[3].endsWith("ClassLoader"))
        .mapToLong(words -> Long.parseLong(words[1])).sum();
    assertTrue(loaders > 0, histogram);
    return loaders;
  }

  private static long millisSince(long nanos) {
    return (System.nanoTime() - nanos) / 1_000_000;
  }

  private static void say(String line) {
    System.out.println("scale: " + line);
  }
}
