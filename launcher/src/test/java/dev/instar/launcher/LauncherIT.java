package dev.instar.launcher;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.instar.api.snapshot.GcPolicy;
import dev.instar.api.snapshot.SnapshotBuilder;
import dev.instar.api.snapshot.SnapshotKey;
import dev.instar.api.snapshot.SnapshotLayer;
import dev.instar.data.LockedDataDirectory;
import dev.instar.launcher.Shell.Result;
import dev.instar.launcher.Shell.Running;
import dev.instar.snapshots.SnapshotStoreComponent;
import dev.instar.tck.capability.RequiresCapability;
import java.io.IOException;
import java.io.OutputStream;
import java.net.ConnectException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Instar as a user has it before him: the shipped command, one node, curl. */
class LauncherIT {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Path EXAMPLES = Path.of("target/instar/examples").toAbsolutePath();
  /** {@code (module (memory (export "memory") 1) (func (export "_start") (loop (br 0))))}. */
  private static final byte[] ENDLESS = HexFormat.of().parseHex("0061736d0100000001040160000003020100050301000107130206" + "6d656d6f72790200065f737461727400000a09010700" + "03400c000b0b");

  @TempDir
  Path home;
  private Shell shell;

  @BeforeEach
  void login() {
    shell = new Shell(home, Map.of());
  }

  @AfterEach
  void logout() {
    shell.close();
  }

  @Test
  void theFirstMinutesOfAUser() throws Exception {
    Path data = home.resolve("data");
    Running node = shell.node(data);
    shell = shell.with(Map.of("INSTAR_URL", node.url().toString()));
    assertTrue(node.said().stream().anyMatch(l -> l.contains("curl -X POST " + node.url() + "/f/demo/echo -d 'hello instar'")), node.said()::toString);
    assertTrue(node.said().stream().anyMatch(l -> l.contains(data.toString())), node.said()::toString);

    // The examples answer on their samples, over the Faasm dialect and through the command.
    for (String line : Files.readAllLines(EXAMPLES.resolve("expected.txt"))) {
      String[] expected = line.split("\t");
      HttpResponse<byte[]> answer = post(node.url(), "/f/demo/" + expected[0], Files.readAllBytes(EXAMPLES.resolve(expected[1])));
      assertEquals(200, answer.statusCode(), expected[0]);
      assertEquals(expected[2], sha256(answer.body()), expected[0]);
    }
    assertEquals("hello", ok(shell.instar("invoke", "demo/echo", "--data", "hello")));
    Path text = EXAMPLES.resolve("wordcount/sample-input.txt");
    assertEquals(sha256(Files.readAllBytes(text)), ok(shell.instar("invoke", "demo/sha256", "--file", text.toString())).strip());
    byte[] noise = new byte[5 << 20];
    new Random(1).nextBytes(noise);
    Result piped = shell.instar(noise, "invoke", "demo/echo-command");
    assertEquals(0, piped.code(), piped.err());
    assertArrayEquals(noise, piped.bytes(), "standard input to standard output, byte for byte");

    // A function of one's own.
    String module = EXAMPLES.resolve("echo-command/function.wasm").toString();
    assertEquals("Deployed me/mine, version 1.\n", ok(shell.instar("deploy", "me/mine", module, "--memory", "4Mi", "--timeout", "5s", "--env", "K=V", "--label", "team=a")));
    assertEquals("Deployed me/mine, version 2 (not active).\n", ok(shell.instar("deploy", "me/mine", module, "--no-activate")));
    Result bounded = shell.instar("deploy", "me/bounded", module, "--stack", "8Mi", "--timeout", "24h", "--memory", "4Gi", "--tables", "10000000", "--file-bytes", "2147483647");
    assertEquals("Deployed me/bounded, version 1.\n", ok(bounded));
    assertEquals(List.of("--memory is 2097088 KiB", "--timeout is 15m", "--tables is 1000000", "--stack is 4 MiB", "--file-bytes is 64 MiB"),
        bounded.err().lines().filter(l -> l.startsWith("note: ")).map(l -> l.substring(6, l.indexOf(" on this node"))).toList());
    assertEquals("Removed me/bounded.\n", ok(shell.instar("remove", "me/bounded")));
    JsonNode listed = JSON.readTree(ok(shell.instar("list", "--user", "me", "-o", "json"))).path("functions");
    assertEquals(1, listed.size());
    assertEquals("mine", listed.path(0).path("function").asText());
    assertEquals(1, listed.path(0).path("active").asInt());
    assertEquals(4 << 20, listed.path(0).path("versions").path(0).path("limits").path("memory").asLong());
    assertTrue(ok(shell.instar("list")).lines().anyMatch(l -> l.matches("me/mine +1 +2 +wasm +\\S+")));
    String described = ok(shell.instar("describe", "me/mine"));
    assertTrue(described.contains("memory 4 MiB, tables 1000000, stack 1 MiB, timeout 5s, run time 5s") && described.contains("K=V") && described.contains("team=a") && described.contains("runs: backend"), described);
    assertEquals("Version 2 of me/mine answers calls now.\n", ok(shell.instar("activate", "me/mine", "2")));
    assertEquals("Version 1 of me/mine answers calls now.\n", ok(shell.instar("rollback", "me/mine")));
    assertEquals("Removed version 2 of me/mine.\n", ok(shell.instar("remove", "me/mine", "--version", "2")));
    assertEquals("", ok(shell.instar("logs", "me/mine")), "it has written nothing to its standard error");
    assertEquals("Removed me/mine.\n", ok(shell.instar("remove", "me/mine")));
    Result gone = shell.instar("invoke", "me/mine", "--data", "x");
    assertEquals(1, gone.code());
    assertEquals("", gone.out());
    assertTrue(gone.err().matches("instar: The function does not exist: .*me/mine.* \\(function-not-found.*\\)\n"), gone.err());

    // What a function writes to its standard error is in its log: this one refuses its input.
    assertEquals(1, shell.instar("invoke", "demo/json-transform", "--data", "no json").code());
    assertFalse(ok(shell.instar("logs", "demo/json-transform", "--tail", "5")).isBlank());
    JsonNode entry = JSON.readTree(ok(shell.instar("logs", "demo/json-transform", "--tail", "1", "--since", "1h", "-o", "json")));
    assertTrue(entry.path("text").isTextual() && entry.path("time").isTextual(), entry::toString);

    // What the node is made of.
    JsonNode bundles = JSON.readTree(ok(shell.instar("bundles", "-o", "json"))).path("bundles");
    bundles.forEach(b -> assertEquals("active", b.path("state").asText(), b::toString));
    assertTrue(ok(shell.instar("backends")).lines().anyMatch(l -> l.startsWith("wasm ")));
    String doctor = ok(shell.instar("doctor"));
    assertTrue(doctor.lines().anyMatch(l -> l.matches("backend wasm +ok .*")), doctor);
    assertTrue(doctor.lines().anyMatch(l -> l.matches("backend process .*\\(not switched on in the node\\)")), doctor);
    // What it lacks is brought to this node and not to the one that was asked instead.
    String wasmtime = doctor.lines().filter(l -> l.startsWith("backend wasmtime ")).findFirst().orElseThrow();
    assertTrue(wasmtime.matches("backend wasmtime +ok .*") || wasmtime.contains("--target " + data.toRealPath().resolve("native") + " ") && wasmtime.contains("features apply wasmtime"), wasmtime);

    // Ctrl-C.
    Set<String> children = new TreeSet<>();
    List<ProcessHandle> processes = node.process().descendants().toList();
    processes.forEach(c -> children.add(c.info().commandLine().orElse("?")));
    assertEquals(130, node.stop("INT"));
    assertTrue(children.stream().allMatch(c -> c.endsWith("/compiler.jar")), () -> "a node with WebAssembly alone has no children but compilers: " + children);
    assertTrue(processes.stream().noneMatch(ProcessHandle::isAlive), "and they end with it");
    assertThrows(ConnectException.class, () -> post(node.url(), "/f/demo/echo", new byte[0]));
    Result unreachable = shell.instar("list");
    assertEquals(3, unreachable.code());
    assertTrue(unreachable.err().contains("instar run"), unreachable.err());
    try (Stream<Path> left = Files.list(data.resolve("scratch"))) {
      assertEquals(List.of(), left.filter(p -> !isEmpty(p)).toList(), "nothing is left of sandboxes and uploads");
    }
  }

  @Test
  @RequiresCapability("curl")
  void whatTheReadmeTypes() throws Exception {
    Running node = shell.node(home.resolve("data"), "--no-examples");
    String url = node.url().toString();
    assertTrue(node.said().stream().anyMatch(l -> l.contains("curl -T")), node.said()::toString);
    Result up = shell.run(new byte[0], List.of("curl", "-sS", "-T", EXAMPLES.resolve("echo/function.wasm").toString(), url + "/f/me/shout"));
    assertEquals("shout", JSON.readTree(up.out()).path("function").asText(), up.out() + up.err());
    assertEquals("hello", shell.run(new byte[0], List.of("curl", "-sS", "-X", "POST", url + "/f/me/shout", "-d", "hello")).out());
    assertArrayEquals(Files.readAllBytes(EXAMPLES.resolve("echo/function.wasm")), shell.run(new byte[0], List.of("curl", "-sS", url + "/f/me/shout")).bytes());
    assertEquals("[]", JSON.readTree(ok(shell.instar("list", "--user", "demo", "-o", "json", "--url", url))).path("functions").toString(), "no examples were wanted");
    assertEquals(143, node.stop("TERM"));
  }

  @Test
  void functionsSurviveKill9() throws Exception {
    Path data = home.resolve("data");
    Running first = shell.node(data, "--no-examples");
    ok(shell.instar("deploy", "me/kept", EXAMPLES.resolve("echo/function.wasm").toString(), "--url", first.url().toString()));
    assertEquals(137, first.stop("KILL"));
    Running second = shell.node(data, "--no-examples");
    assertEquals("still here", ok(shell.instar("invoke", "me/kept", "--data", "still here", "--url", second.url().toString())));
    assertEquals(143, second.stop("TERM"));
  }

  @Test
  void examplesAreDeployedOnceAndAUsersOwnVersionStays() throws Exception {
    Path data = home.resolve("data");
    Running first = shell.node(data);
    ok(shell.instar("deploy", "demo/echo", EXAMPLES.resolve("sha256/function.wasm").toString(), "--url", first.url().toString()));
    ok(shell.instar("remove", "demo/primes", "--url", first.url().toString()));
    first.stop("TERM");
    Running second = shell.node(data);
    JsonNode functions = JSON.readTree(ok(shell.instar("list", "-o", "json", "--url", second.url().toString()))).path("functions");
    List<String> versions = new ArrayList<>();
    functions.forEach(f -> versions.add(f.path("function").asText() + " " + f.path("active").asInt() + " of " + f.path("versions").size()));
    assertTrue(versions.contains("echo 2 of 2") && versions.contains("sha256 1 of 1") && versions.contains("primes 1 of 1"), versions::toString);
    second.stop("TERM");
  }

  @Test
  void aTreeOfFaasmFunctionsIsImported() throws Exception {
    Path tree = home.resolve("faasm");
    for (String name : List.of("demo/one", "demo/two")) {
      Files.copy(EXAMPLES.resolve("echo/function.wasm"), Files.createDirectories(tree.resolve("wasm").resolve(name)).resolve("function.wasm"));
    }
    Files.writeString(Files.createDirectories(tree.resolve("wasm/demo/broken")).resolve("function.wasm"), "no module");
    Running node = shell.node(home.resolve("data"), "--no-examples");
    Result result = shell.instar("deploy", "--tree", tree.toString(), "--url", node.url().toString());
    assertEquals(1, result.code());
    assertTrue(result.out().contains("demo/one: version 1\n") && result.out().contains("demo/two: version 1\n") && result.out().contains("demo/broken: failed: "), result.out());
    // What takes longer than a moment is told, too.
    assertEquals("instar: 1 of 3 functions could not be deployed: demo/broken\n", result.err().replaceAll("Preparing \\S+ \\.\\.\\.\n", ""));
    assertEquals("x", ok(shell.instar("invoke", "demo/two", "--data", "x", "--url", node.url().toString())));
    node.stop("TERM");
  }

  @Test
  void stoppingLetsACallInFlightEnd() throws Exception {
    Running node = shell.node(home.resolve("data"), "--no-examples");
    Path module = Files.write(home.resolve("endless.wasm"), ENDLESS);
    ok(shell.instar("deploy", "me/endless", module.toString(), "--timeout", "3s", "--url", node.url().toString()));
    CompletableFuture<HttpResponse<byte[]>> call = CompletableFuture.supplyAsync(() -> {
      try {
        return post(node.url(), "/f/me/endless", new byte[0]);
      } catch (IOException | InterruptedException e) {
        throw new IllegalStateException(e);
      }
    });
    awaitInFlight(node);
    node.signal("TERM");
    HttpResponse<byte[]> answer = call.get();
    assertEquals(504, answer.statusCode(), () -> new String(answer.body(), StandardCharsets.UTF_8));
    assertEquals("timed-out", JSON.readTree(answer.body()).path("code").asText(), "its own end, not that of the node");
    assertEquals(143, node.end());
  }

  @Test
  void aPortInUseIsOneLine() throws Exception {
    try (ServerSocket taken = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      Result result = shell.instar("run", "--port", Integer.toString(taken.getLocalPort()), "--data", home.resolve("data").toString());
      assertEquals(1, result.code());
      assertEquals("instar: Port " + taken.getLocalPort() + " on 127.0.0.1 is in use by another program; give another with --port (0 takes a free one).\n", result.err());
      assertFalse(Files.exists(home.resolve("data")), "nothing has been made yet");
    }
  }

  @Test
  void anAddressThatTheListenerRefusesIsOneLineAndLeavesNothing() throws Exception {
    refusedByTheListener(home.resolve("new/data"));
    assertFalse(Files.exists(home.resolve("new")), "nothing that it made is left");

    // Not its own: an empty directory stays, and so does what was in one.
    Path empty = Files.createDirectory(home.resolve("empty"));
    refusedByTheListener(empty);
    assertTrue(Files.exists(empty.resolve("node.log")), "as after any start");
    Path used = Files.createDirectories(home.resolve("used/images/blobs"));
    Files.writeString(used.resolve("file"), "kept");
    refusedByTheListener(home.resolve("used"));
    assertEquals("kept", Files.readString(used.resolve("file")));
  }

  private void refusedByTheListener(Path data) throws Exception {
    Result result = shell.instar("run", "--port", "0", "--bind", "0.0.0.0", "--data", data.toString());
    assertEquals(1, result.code());
    assertTrue(result.err().startsWith("instar: ") && result.err().contains("0.0.0.0") && result.err().lines().count() == 1, result.err());
  }

  @Test
  void twoNodesDoNotShareADataDirectory() throws Exception {
    Path data = home.resolve("data");
    Running first = shell.node(data, "--no-examples");
    Result second = shell.instar("run", "--port", "0", "--data", data.toString());
    assertEquals(1, second.code());
    assertEquals("instar: The data directory " + data + " is in use by another node (process " + first.process().pid()
        + "). Stop that one, or give this one a directory of its own with --data.\n", second.err());
    assertEquals(200, get(first.url(), "/readyz").statusCode(), "the first one has not noticed");
    first.stop("TERM");
  }

  @Test
  void aPlaceThatCannotHoldDataIsOneLine() throws Exception {
    Path file = Files.writeString(home.resolve("file"), "");
    for (Path place : List.of(file, file.resolve("below"), Path.of("/proc/instar"))) {
      Result result = shell.instar("run", "--port", "0", "--data", place.toString());
      assertEquals(1, result.code(), place::toString);
      assertTrue(result.err().startsWith("instar: The data directory " + place + " cannot be used: ") && result.err().lines().count() == 1, result.err());
    }
  }

  @Test
  void anUnknownFeatureIsOneLineThatNamesTheKnownOnes() throws Exception {
    Result result = shell.instar("run", "--feature", "teleport", "--data", home.resolve("data").toString());
    assertEquals(2, result.code());
    assertEquals("instar: There is no feature 'teleport'; beside what every node has, this distribution has: container, node, process, wasmtime.\nSee 'instar run --help'.\n", result.err());
    assertFalse(Files.exists(home.resolve("data")), "nothing has been made yet");
  }

  @Test
  void aFunctionBeginsOnAnotherNodeWhereItWasOnTheFirst() throws Exception {
    String module = EXAMPLES.resolve("primes/function.wasm").toString();
    String[] expected = Files.readAllLines(EXAMPLES.resolve("expected.txt")).stream().filter(l -> l.startsWith("primes\t")).findFirst().orElseThrow().split("\t");
    byte[] input = Files.readAllBytes(EXAMPLES.resolve(expected[1]));
    Path archive = home.resolve("primes.snapshot");
    Running first = shell.node(home.resolve("first"), "--no-examples");
    shell = shell.with(Map.of("INSTAR_URL", first.url().toString()));
    ok(shell.instar("deploy", "me/primes", module));
    String id = awaitSnapshot(first);
    byte[] answer = post(first.url(), "/f/me/primes", input).body();
    assertEquals(expected[2], sha256(answer));
    assertTrue(ok(shell.instar("snapshots", "list")).contains("me/primes version 1"));
    ok(shell.instar("snapshots", "export", "me/primes", "--to", archive.toString()));
    first.stop("TERM");

    Path data = home.resolve("second");
    Running second = shell.node(data, "--no-examples");
    shell = shell.with(Map.of("INSTAR_URL", second.url().toString()));
    byte[] damaged = Files.readAllBytes(archive);
    damaged[damaged.length / 2] ^= 1;
    Result refused = shell.instar(damaged, "snapshots", "import", "-");
    assertEquals(1, refused.code());
    assertTrue(refused.err().contains("(archive-refused, request "), refused.err());
    ok(shell.instar("snapshots", "import", archive.toString()));
    ok(shell.instar("deploy", "me/primes", module));
    String described = ok(shell.instar("describe", "me/primes"));
    assertTrue(described.contains("restored from " + id) && described.contains("from the snapshot"), described);
    assertArrayEquals(answer, post(second.url(), "/f/me/primes", input).body());
    assertEquals(id, awaitSnapshot(second), "it is held here, too");
    second.stop("TERM");

    // What was taken in is damaged on the disk: the function is initialised anew, and the layer set aside under its name.
    Path layer = data.resolve("snapshots/layers").resolve(id.substring(7));
    for (Path file : list(layer)) {
      if (file.getFileName().toString().startsWith("blob-")) {
        byte[] bytes = Files.readAllBytes(file);
        bytes[bytes.length / 2] ^= 1;
        assertTrue(file.toFile().setWritable(true));
        Files.write(file, bytes);
      }
    }
    Running third = shell.node(data, "--no-examples");
    assertArrayEquals(answer, post(third.url(), "/f/me/primes", input).body());
    assertNotEquals(id, awaitSnapshot(third), "another is made");
    assertTrue(list(data.resolve("snapshots/damaged")).stream().anyMatch(p -> p.getFileName().toString().startsWith(id.substring(7))));
    ok(shell.instar("remove", "me/primes", "--url", third.url().toString()));
    assertEquals("[]", JSON.readTree(get(third.url(), "/v1/snapshots").body()).path("snapshots").path(0).path("users").toString(), "a function that is gone holds nothing");
    third.stop("TERM");
  }

  /** Until there is a snapshot; its id. */
  private String awaitSnapshot(Running node) throws Exception {
    long end = System.nanoTime() + 30_000_000_000L;
    JsonNode snapshots;
    do {
      assertTrue(System.nanoTime() < end, "nothing was stored");
      Thread.sleep(100);
      snapshots = JSON.readTree(get(node.url(), "/v1/snapshots").body()).path("snapshots");
    } while (snapshots.isEmpty() || snapshots.path(0).path("users").isEmpty());
    return snapshots.path(0).path("id").asText();
  }

  private static List<Path> list(Path directory) throws IOException {
    try (Stream<Path> files = Files.list(directory)) {
      return files.toList();
    }
  }

  @Test
  void anArchiveOfASnapshotIsTakenInShownAndGivenBack() throws Exception {
    Path archive = home.resolve("toy.snapshot");
    String id;
    try (LockedDataDirectory elsewhere = LockedDataDirectory.open(home.resolve("elsewhere"))) {
      SnapshotStoreComponent store = new SnapshotStoreComponent(elsewhere, new SnapshotStoreComponent.Limits(new GcPolicy(Duration.ofHours(1), 1L << 30), 1L << 30));
      try (SnapshotBuilder builder = store.base(new SnapshotKey("toy", "1", new TreeMap<>(), List.of()), "a test"); OutputStream out = Files.newOutputStream(archive)) {
        byte[] memory = new byte[1 << 20];
        new Random(3).nextBytes(memory);
        builder.memory(0, ByteBuffer.wrap(memory));
        SnapshotLayer layer = builder.publish();
        id = layer.id().value();
        store.exportTo(layer.id(), out);
      } finally {
        store.stop();
      }
    }
    Running node = shell.node(home.resolve("data"), "--no-examples");
    shell = shell.with(Map.of("INSTAR_URL", node.url().toString()));
    assertEquals("Imported " + id + " of backend toy, 1 MiB of memory.\n", ok(shell.instar(Files.readAllBytes(archive), "snapshots", "import", "-")));
    String digits = id.substring(7, 19);
    assertTrue(ok(shell.instar("snapshots", "list")).lines().anyMatch(l -> l.matches(digits + " +- +toy +1 MiB +1[.]0 MiB +[0-9]+[sm] +[0-9]+[sm] +0")), () -> "list");
    assertTrue(ok(shell.instar("snapshots", "verify", digits)).contains(id));
    Path given = home.resolve("given.snapshot");
    ok(shell.instar("snapshots", "export", digits, "--to", given.toString()));
    assertArrayEquals(Files.readAllBytes(archive), Files.readAllBytes(given));
    assertArrayEquals(Files.readAllBytes(archive), shell.instar("snapshots", "export", digits, "--to", "-").bytes());
    assertTrue(ok(shell.instar("snapshots", "gc", "--unused-for", "0s")).startsWith("Removed " + id));
    assertEquals(1, shell.instar("snapshots", "remove", id).code());
    node.stop("TERM");
  }

  @Test
  void theProcessBackendWarnsWhenItIsSwitchedOn() throws Exception {
    Running node = shell.node(home.resolve("data"), "--no-examples", "--feature", "process");
    assertTrue(Files.readString(node.err()).contains("isolates nothing"), Files.readString(node.err()));
    JsonNode backends = JSON.readTree(ok(shell.instar("backends", "-o", "json", "--url", node.url().toString()))).path("backends");
    Set<String> names = new TreeSet<>();
    backends.forEach(b -> names.add(b.path("name").asText()));
    assertEquals(new TreeSet<>(Set.of("wasm", "process")), names);
    node.stop("TERM");
  }

  @Test
  void aNewConfigurationFolderIsFilledAndAnEditTakesEffect() throws Exception {
    Path config = home.resolve("config");
    Running node = shell.node(home.resolve("data"), "--no-examples", "--config", config.toString());
    assertTrue(node.said().stream().anyMatch(l -> l.equals("The default configuration was put into " + config)), node.said()::toString);
    Path scheduler = config.resolve("dev.instar.scheduler.cfg.json");
    Files.writeString(scheduler, "{\"max-sandbox\": 5}");
    await(node, "dev.instar.scheduler.cfg.json", true);
    Files.writeString(scheduler, "{\"max-sandboxes\": 50}");
    await(node, "dev.instar.scheduler.cfg.json", false);
    node.stop("TERM");
  }

  @Test
  void doctorWithoutANodeAsksOneOfItsOwnAndLeavesNothing() throws Exception {
    Path temporary = Files.createDirectory(home.resolve("tmp"));
    shell = shell.with(Map.of("INSTAR_JAVA_OPTS", "-Djava.io.tmpdir=" + temporary, "INSTAR_URL", "http://127.0.0.1:" + free()));
    String doctor = ok(shell.instar("doctor"));
    assertTrue(doctor.startsWith("No node answers at "), doctor);
    assertTrue(doctor.lines().anyMatch(l -> l.matches("backend wasm +ok .*")), doctor);
    assertTrue(doctor.lines().anyMatch(l -> l.matches("backend process +(ok|missing) .*")), doctor);
    assertTrue(doctor.lines().anyMatch(l -> l.matches("backend wasmtime +(ok|missing) .*")), doctor);
    assertTrue(doctor.lines().anyMatch(l -> l.matches("backend container +(ok|missing) .*")), doctor);
    JsonNode json = JSON.readTree(ok(shell.instar("doctor", "-o", "json")));
    assertTrue(json.path("node").isNull() && json.path("backends").size() == 4 && json.path("checks").size() >= 3, json::toString);
    try (Stream<Path> left = Files.list(temporary)) {
      assertEquals(List.of(), left.map(p -> p.getFileName().toString()).filter(n -> n.startsWith("instar-")).toList());
    }
    assertFalse(Files.exists(home.resolve("share")), "asking makes no data directory");
  }

  @Test
  void theCommandWorksThroughLinks() throws Exception {
    Path direct = Files.createSymbolicLink(home.resolve("instar"), Shell.COMMAND);
    Path relative = Files.createSymbolicLink(Files.createDirectory(home.resolve("bin")).resolve("in"), Path.of("../instar"));
    for (Path link : List.of(direct, relative)) {
      Result result = shell.run(new byte[0], List.of(link.toString(), "version"));
      assertEquals("Instar " + Distribution.version() + " on JDK " + Runtime.version() + "\n", ok(result));
    }
  }

  @Test
  void aJdkThatIsTooOldIsNamedAndAnotherOneFound() throws Exception {
    Path old = Files.createDirectories(home.resolve("jdk-17"));
    Files.createFile(Files.createDirectory(old.resolve("bin")).resolve("java")).toFile().setExecutable(true);
    Files.writeString(old.resolve("release"), "IMPLEMENTOR=\"x\"\nJAVA_VERSION=\"17.0.9\"\n");
    Result refused = shell.with(Map.of("INSTAR_JAVA_HOME", old.toString())).instar("version");
    assertEquals(4, refused.code());
    assertEquals("instar: INSTAR_JAVA_HOME is " + old + ", which is no JDK of release 25 or newer (found: 17).\n", refused.err());
    // JAVA_HOME is only one place to look.
    Map<String, String> aside = Map.of("JAVA_HOME", old.toString(), "PATH", System.getProperty("java.home") + "/bin:" + System.getenv("PATH"));
    assertTrue(ok(shell.with(aside).instar("version")).contains("on JDK " + Runtime.version()));
  }

  @Test
  void buildAndTestSayThatTheyNeedTheSources() throws Exception {
    for (String command : List.of("build", "test")) {
      Result result = shell.instar(command);
      assertEquals(1, result.code());
      assertTrue(result.err().contains("source tree"), result.err());
      assertEquals(0, shell.instar(command, "--help").code());
    }
  }

  private static String ok(Result result) {
    assertEquals(0, result.code(), result.err());
    return result.out();
  }

  /** Until the node refuses a configuration file, or takes it. */
  private static void await(Running node, String file, boolean refused) throws Exception {
    long end = System.nanoTime() + 30_000_000_000L;
    boolean now;
    String body;
    do {
      Thread.sleep(100);
      body = new String(get(node.url(), "/readyz").body(), StandardCharsets.UTF_8);
      now = body.contains(file);
    } while (now != refused && System.nanoTime() < end);
    assertEquals(refused, now, body);
  }

  private static void awaitInFlight(Running node) throws Exception {
    long end = System.nanoTime() + 30_000_000_000L;
    while (JSON.readTree(get(node.url(), "/v1/backends").body()).path("backends").path(0).path("inFlight").asInt() == 0) {
      assertTrue(System.nanoTime() < end, "the call has not begun");
      Thread.sleep(20);
    }
  }

  private static HttpResponse<byte[]> post(URI node, String path, byte[] body) throws IOException, InterruptedException {
    try (HttpClient http = HttpClient.newHttpClient()) {
      return http.send(HttpRequest.newBuilder(URI.create(node + path)).version(HttpClient.Version.HTTP_1_1).POST(HttpRequest.BodyPublishers.ofByteArray(body)).build(), HttpResponse.BodyHandlers.ofByteArray());
    }
  }

  private static HttpResponse<byte[]> get(URI node, String path) throws IOException, InterruptedException {
    try (HttpClient http = HttpClient.newHttpClient()) {
      return http.send(HttpRequest.newBuilder(URI.create(node + path)).version(HttpClient.Version.HTTP_1_1).build(), HttpResponse.BodyHandlers.ofByteArray());
    }
  }

  private static int free() throws IOException {
    try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      return socket.getLocalPort();
    }
  }

  private static boolean isEmpty(Path directory) {
    try (Stream<Path> files = Files.list(directory)) {
      return files.findAny().isEmpty();
    } catch (IOException e) {
      return false;
    }
  }

  private static String sha256(byte[] bytes) throws Exception {
    return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
  }
}
