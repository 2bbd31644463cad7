package dev.instar.launcher.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import dev.instar.launcher.CommandLines;
import dev.instar.launcher.Distribution;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The commands against an HTTP server that answers as the API is written down; the whole node is in LauncherIT. */
class CommandsTest {
  private static final String ECHO = """
      {"user":"demo","function":"echo","active":2,"previous":1,"versions":[
       {"number":1,"created":"2026-01-01T00:00:00Z","variants":[{"digest":"sha256:aa","kind":"wasm","backend":null}],
        "limits":{"memory":268435456,"tables":1000000,"stack":4194304,"timeout":30000,"runTime":30000,"input":67108864,"output":67108864,"log":262144,
          "openFiles":128,"fileBytes":67108864,"madeFiles":2048,"concurrency":64},"environment":{},"labels":{},"snapshot":"deploy"},
       {"number":2,"created":"2026-01-02T00:00:00Z","variants":[{"digest":"sha256:bb","kind":"wasm","backend":"wasm"}],
        "limits":{"memory":65536,"tables":7,"stack":1048576,"timeout":500,"runTime":400,"input":1,"output":2,"log":3,"openFiles":4,"fileBytes":5,"madeFiles":6,"concurrency":4,"cpu":500,"cpuset":"0-1","processes":9},"environment":{"K":"V"},"labels":{"team":"a"},"snapshot":"calls:2"}],
       "runs":{"backend":"wasm","reset":"after every call"}}""";

  /** The type of an answer whose connection ends before it does. */
  private static final String CUT = "application/cut";

  private record Answer(int status, String type, String body) {}

  private final Map<String, Answer> answers = new ConcurrentHashMap<>();
  private final List<String> requests = new CopyOnWriteArrayList<>();
  private HttpServer server;
  private String url;
  private String out;
  private String err;
  @TempDir
  Path directory;

  @BeforeEach
  void start() throws IOException {
    server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    server.createContext("/", this::answer);
    server.start();
    url = "http://127.0.0.1:" + server.getAddress().getPort();
  }

  @AfterEach
  void stop() {
    server.stop(0);
  }

  private void answer(HttpExchange exchange) throws IOException {
    try (exchange) {
      String request = exchange.getRequestMethod() + " " + exchange.getRequestURI();
      requests.add(request + " " + new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8));
      Answer answer = answers.getOrDefault(request, new Answer(404, "application/problem+json", "{\"code\":\"route-not-found\",\"title\":\"There is nothing at this path\",\"detail\":\"No route.\"}"));
      exchange.getResponseHeaders().set("Content-Type", answer.type);
      exchange.getResponseHeaders().set("Instar-Request-Id", "r1");
      byte[] body = answer.body.getBytes(StandardCharsets.UTF_8);
      exchange.sendResponseHeaders(answer.status, body.length == 0 ? -1 : CUT.equals(answer.type) ? body.length + 1 : body.length);
      exchange.getResponseBody().write(body);
      exchange.getResponseBody().flush();
    }
  }

  private int instar(String... arguments) {
    List<String> all = new ArrayList<>(List.of(arguments));
    all.addAll(List.of("--url", url));
    return plain(all.toArray(String[]::new));
  }

  private int plain(String... arguments) {
    PrintStream realOut = System.out;
    PrintStream realErr = System.err;
    ByteArrayOutputStream capturedOut = new ByteArrayOutputStream();
    ByteArrayOutputStream capturedErr = new ByteArrayOutputStream();
    System.setOut(new PrintStream(capturedOut, true, StandardCharsets.UTF_8));
    System.setErr(new PrintStream(capturedErr, true, StandardCharsets.UTF_8));
    try {
      return CommandLines.execute(arguments);
    } finally {
      System.setOut(realOut);
      System.setErr(realErr);
      out = capturedOut.toString(StandardCharsets.UTF_8);
      err = capturedErr.toString(StandardCharsets.UTF_8);
    }
  }

  private void json(String request, String body) {
    answers.put(request, new Answer(200, "application/json", body));
  }

  @Test
  void listAlignsItsColumns() {
    json("GET /v1/functions", "{\"functions\":[" + ECHO + ",{\"user\":\"a\",\"function\":\"b\",\"active\":1,\"versions\":[{\"number\":1,\"created\":\"2026-01-03T00:00:00Z\",\"variants\":[]}]}]}");
    assertEquals(0, instar("list"), err);
    assertEquals("""
        NAME       ACTIVE  VERSIONS  KIND  DEPLOYED
        demo/echo  2       2         wasm  2026-01-02T00:00:00Z
        a/b        1       1               2026-01-03T00:00:00Z
        """, out);
  }

  @Test
  void listOfAUserAsJson() {
    json("GET /v1/functions?user=demo", "{\"functions\":[]}");
    assertEquals(0, instar("list", "--user", "demo", "-o", "json"), err);
    assertEquals("{\"functions\":[]}", out.replaceAll("\\s", ""));
    assertEquals(0, instar("list", "--user", "demo"), err);
    assertTrue(out.startsWith("There are no functions of user demo"), out);
  }

  @Test
  void describeShowsVersionsLimitsAndHowItRuns() {
    json("GET /v1/functions/demo/echo", ECHO);
    assertEquals(0, instar("describe", "demo/echo"), err);
    assertTrue(out.contains("active              version 2, before it version 1\n"), out);
    assertTrue(out.contains("wasm sha256:bb, on backend wasm\n"), out);
    assertTrue(out.contains("memory 256 MiB, tables 1000000, stack 4 MiB, timeout 30s, run time 30s, input 64 MiB, output 64 MiB, log 256 KiB, open files 128, file bytes 64 MiB,"
        + " made files 2048, concurrency 64\n"), out);
    assertTrue(out.contains("memory 64 KiB, tables 7, stack 1 MiB, timeout 500ms, run time 400ms, input 1 B,"), out);
    assertTrue(out.contains("runs: reset         after every call\n"), out);
    assertTrue(out.contains("environment       K=V\n"), out);
  }

  @Test
  void cgroupsShowWhatTheHostCanAndWhoUsesWhat() {
    json("GET /v1/cgroups", """
        {"mode":"hybrid","usable":true,"parent":"/instar-1","controllers":["memory","pids"],"freezes":true,"kills":true,"clones":false,
         "missing":[{"what":"the controller cpu","remedy":"mount it"}],
         "leases":[{"name":"a-1","sandbox":"container-1-1","function":"u/f@2","limits":{"memory":67108864,"cpu":500,"processes":64},
           "usage":{"memory":1048576,"memoryPeak":2097152,"oomKills":1,"cpuMicros":1500000,"throttledMicros":20000,"processes":3,"processRefusals":0}}]}""");
    assertEquals(0, instar("cgroups"), err);
    assertEquals("""
        cgroups hybrid below /instar-1: limits of memory, pids; freezes; kills at a word
        missing: the controller cpu; remedy: mount it
        FUNCTION  SANDBOX        MEMORY           PEAK   CPU TIME  CPU LIMIT  THROTTLED  CPUS  PROCESSES  OOM KILLS  REFUSED
        u/f@2     container-1-1  1 MiB of 64 MiB  2 MiB  1.50 s    500m       0.02 s     -     3 of 64    1          0
        """, out);
    json("GET /v1/cgroups", "{\"mode\":\"none\",\"usable\":false,\"missing\":[{\"what\":\"cgroups\",\"remedy\":\"mount them\"}],\"leases\":[]}");
    assertEquals(0, instar("cgroups"), err);
    assertEquals("""
        cgroups none: not usable, so sandboxes of their own process are held to no limits
        missing: cgroups; remedy: mount them
        No sandbox has a cgroup.
        """, out);
    answers.clear();
    assertEquals(1, instar("cgroups"));
    assertTrue(err.contains("instar features apply container"), err);
  }

  @Test
  void networkShowsWhatTheHostCanAndWhoHasWhich() {
    json("GET /v1/network", """
        {"usable":true,"detail":"nftables, 10.62.0.0/16","mark":"abcde","networks":["10.62.0.0/16"],"ready":31,"most":1000,"taken":5,
         "leases":[{"id":"1","function":"u/f","address":"10.62.0.2","namespace":"/run/netns/iabcde0-0","egress":"internet","bitsPerSecond":8000,
           "since":"2026-01-01T00:00:00Z","receivedBytes":1048576,"sentBytes":2097152}]}""");
    assertEquals(0, instar("network"), err);
    assertEquals("""
        network nftables, 10.62.0.0/16: 31 ready, 1 leased, 1000 at most; names on the host begin with iabcde
        FUNCTION  ADDRESS    NAMESPACE  EGRESS    BANDWIDTH   RECEIVED  SENT   SINCE
        u/f       10.62.0.2  iabcde0-0  internet  8000 bit/s  1 MiB     2 MiB  2026-01-01T00:00:00Z
        """, out);
    json("GET /v1/network", "{\"usable\":false,\"missing\":\"nft\",\"remedy\":\"install it\",\"mark\":\"\",\"leases\":[]}");
    assertEquals(0, instar("network"), err);
    assertEquals("""
        network not usable, so sandboxes have none of their own
        missing: nft; remedy: install it
        No sandbox has a network.
        """, out);
    answers.clear();
    assertEquals(1, instar("network"));
    assertTrue(err.contains("instar features apply container"), err);
  }

  @Test
  void deployUploadsTheArtifactAndThenPublishesIt() throws IOException {
    Path module = Files.writeString(directory.resolve("f.wasm"), "module");
    answers.put("POST /v1/images?user=me", new Answer(201, "application/json", "{\"digest\":\"sha256:cc\",\"kind\":\"wasm\",\"size\":6}"));
    answers.put("POST /v1/functions/me/shout/versions", new Answer(201, "application/json", "{\"number\":3}"));
    assertEquals(0, instar("deploy", "me/shout", module.toString(), "--memory", "64Mi", "--timeout", "2s", "--concurrency", "3", "--env", "A=1", "--env", "B=x=y", "--label", "team=a",
        "--backend", "wasm", "--no-activate"), err);
    assertEquals("Deployed me/shout, version 3 (not active).\n", out);
    assertEquals("POST /v1/images?user=me module", requests.get(0));
    assertEquals("POST /v1/functions/me/shout/versions {\"variants\":[{\"digest\":\"sha256:cc\",\"kind\":\"wasm\",\"backend\":\"wasm\"}],\"limits\":{\"memory\":67108864,\"timeout\":2000,\"concurrency\":3},"
        + "\"environment\":{\"A\":\"1\",\"B\":\"x=y\"},\"labels\":{\"team\":\"a\"},\"activate\":false}", requests.get(1));
  }

  private void deployable(String active, String runs) {
    answers.put("POST /v1/images?user=me", new Answer(201, "application/json", "{\"digest\":\"sha256:cc\",\"kind\":\"wasm\",\"size\":6}"));
    answers.put("POST /v1/functions/me/shout/versions", new Answer(201, "application/json", "{\"number\":3}"));
    json("GET /v1/functions/me/shout", "{\"active\":" + active + ",\"runs\":{" + runs + "}}");
  }

  @Test
  void deployTellsWhichLimitsTheNodeBounds() throws IOException {
    String module = Files.writeString(directory.resolve("f.wasm"), "module").toString();
    String runs = "\"backend\":\"some\",\"memoryBytes\":\"2147418112\",\"stackBytes\":\"4194304\",\"timeoutMillis\":\"900000\",\"tableElements\":\"1000\",\"fileBytes\":\"1024\",\"concurrency\":\"4\","
        + "\"limitsHonoured\":\"timeout, log, concurrency, stack, memory, tables\"";
    deployable("3", runs);
    String[] asked = {"deploy", "me/shout", module, "--memory", "4Gi", "--stack", "8Mi", "--timeout", "20m", "--tables", "1001", "--concurrency", "4", "--log", "9Mi", "--file-bytes", "1Mi", "--cpuset", "0"};
    assertEquals(0, instar(asked), err);
    assertEquals("Deployed me/shout, version 3.\n", out);
    assertEquals("""
        note: --memory is 2097088 KiB on this node (asked for 4 GiB); the node's configuration or the backend bounds it
        note: --timeout is 15m on this node (asked for 20m); the node's configuration or the backend bounds it
        note: --tables is 1000 on this node (asked for 1001); the node's configuration or the backend bounds it
        note: --stack is 4 MiB on this node (asked for 8 MiB); the node's configuration or the backend bounds it
        note: --file-bytes is none of the limits that the backend 'some' honours on this node
        note: --cpuset is none of the limits that the backend 'some' honours on this node
        """, err, "none of what is as asked");

    assertEquals(0, instar("deploy", "me/shout", module, "--stack", "8Mi", "-o", "json"), err);
    assertEquals("{\"number\":3}", out.replaceAll("\\s", ""));
    assertTrue(err.startsWith("note: --stack is 4 MiB"), err);

    // How another version runs says nothing of this one, and what cannot be known is not worth a failure.
    deployable("2", runs);
    assertEquals(0, instar(asked));
    assertEquals("", err);
    answers.remove("GET /v1/functions/me/shout");
    assertEquals(0, instar(asked));
    assertEquals("", err);
  }

  @Test
  void deployOfATreeTellsABoundOnce() throws IOException {
    StringBuilder deployed = new StringBuilder();
    answers.put("POST /v1/images?user=me", new Answer(201, "application/json", "{\"digest\":\"sha256:cc\",\"kind\":\"wasm\",\"size\":6}"));
    for (String name : List.of("me/one", "me/two")) {
      Files.writeString(Files.createDirectories(directory.resolve(name)).resolve("function.wasm"), name);
      answers.put("POST /v1/functions/" + name + "/versions", new Answer(201, "application/json", "{\"number\":1}"));
      json("GET /v1/functions/" + name, "{\"active\":1,\"runs\":{\"stackBytes\":\"4194304\",\"limitsHonoured\":\"timeout, stack\"}}");
      deployed.append(name).append(": version 1\n");
    }
    assertEquals(0, instar("deploy", "--tree", directory.toString(), "--stack", "8Mi"), err);
    assertEquals(deployed + "2 deployed, 0 failed\n", out);
    assertEquals("note: --stack is 4 MiB on this node (asked for 8 MiB); the node's configuration or the backend bounds it\n", err);
  }

  @Test
  void deployOfATreeNamesWhatFailed() throws IOException {
    for (String name : List.of("wasm/demo/good", "wasm/demo/bad")) {
      Files.writeString(Files.createDirectories(directory.resolve(name)).resolve("function.wasm"), name);
    }
    Files.writeString(Files.createDirectories(directory.resolve("wasm/demo/notes")).resolve("readme.txt"), "no module");
    answers.put("POST /v1/images?user=demo", new Answer(201, "application/json", "{\"digest\":\"sha256:cc\",\"kind\":\"wasm\",\"size\":6}"));
    answers.put("POST /v1/functions/demo/good/versions", new Answer(201, "application/json", "{\"number\":1}"));
    answers.put("POST /v1/functions/demo/bad/versions",
        new Answer(422, "application/problem+json", "{\"code\":\"module-refused\",\"title\":\"The module was refused\",\"detail\":\"It imports env.\\u001b[31mfoo.\"}"));
    assertEquals(1, instar("deploy", "--tree", directory.toString()));
    assertEquals("""
        demo/bad: failed: The module was refused: It imports env.\ufffd[31mfoo. (module-refused, request r1)
        demo/good: version 1
        1 deployed, 1 failed
        """, out);
    assertEquals("instar: 1 of 2 functions could not be deployed: demo/bad\n", err);
  }

  @Test
  void imagesAreNamedByTheirFirstDigits() {
    String digest = "sha256:" + "ab".repeat(32);
    json("GET /v1/images", "{\"images\":[{\"digest\":\"" + digest + "\",\"kind\":\"container\",\"size\":2048,\"added\":\"2026-01-01T00:00:00Z\",\"user\":\"me\",\"unpackedBytes\":4096,"
        + "\"unpackedFiles\":3,\"unpacked\":true,\"functions\":[\"me/f@1\"]},{\"digest\":\"sha256:abababab" + "0".repeat(56) + "\",\"kind\":\"wasm\",\"size\":1,\"added\":\"2026-01-01T00:00:00Z\",\"functions\":[]}]}");
    assertEquals(0, instar("image", "list"), err);
    assertEquals("""
        DIGEST        KIND       PACKED  UNPACKED  CAME FOR  FUNCTIONS  UPLOADED
        abababababab  container  2 KiB   4 KiB*    me        me/f@1     2026-01-01T00:00:00Z
        abababab0000  wasm       1 B     -         -         -          2026-01-01T00:00:00Z
        """, out);
    json("GET /v1/images/" + digest + "/description", "{\"digest\":\"" + digest + "\",\"kind\":\"container\",\"size\":2048,\"unpackedBytes\":4096,\"unpackedFiles\":3,\"unpacked\":false,"
        + "\"added\":\"2026-01-01T00:00:00Z\",\"functions\":[],\"configuration\":{\"os\":\"linux\",\"architecture\":\"amd64\",\"config\":{\"Entrypoint\":[\"/srv\"],\"Env\":[\"A=1\"],"
        + "\"ExposedPorts\":{\"80/tcp\":{}}}},\"layers\":[{\"digest\":\"sha256:cc\",\"size\":1024}]}");
    assertEquals(0, instar("image", "inspect", "ababababab"), err);
    assertTrue(out.contains("entry point         [\"/srv\"]\n") && out.contains("ports               80/tcp\n") && out.contains("variable            A=1\n")
        && out.contains("layer               sha256:cc 1 KiB\n") && out.contains("unpacked            4 KiB in 3 files\n"), out);
    assertEquals(1, instar("image", "rm", "abababab"));
    assertEquals("instar: More than one image begins with abababab; give more digits.\n", err);
    assertEquals(1, instar("image", "rm", "cccccccc"));
    assertEquals(2, instar("image", "rm", "abc"));
    answers.put("DELETE /v1/images/" + digest, new Answer(204, "application/json", ""));
    assertEquals(0, instar("image", "rm", digest), err);
    assertEquals("Removed " + digest + ".\n", out);
  }

  @Test
  void secretsArePutFromAFileListedAndRemoved() throws IOException {
    Path file = Files.writeString(directory.resolve("value"), "hunter2\n");
    answers.put("PUT /v1/secrets/me/db", new Answer(201, "application/json", "{\"user\":\"me\",\"name\":\"db\",\"size\":8}"));
    assertEquals(0, instar("secrets", "put", "me/db", "--file", file.toString()), err);
    assertEquals("Put me/db, 8 bytes.\n", out);
    assertTrue(err.startsWith("note: the value ends with a line end"), err);
    assertEquals("PUT /v1/secrets/me/db hunter2\n", requests.getLast());
    Files.writeString(file, "");
    assertEquals(1, instar("secrets", "put", "me/db", "--file", file.toString()));
    assertEquals("instar: The value is empty, so nothing was put.\n", err);
    assertEquals(1, requests.size());
    assertEquals(2, instar("secrets", "put", "me/db", "hunter2"), "no value on the command line");
    json("GET /v1/secrets?user=me", "{\"secrets\":[{\"user\":\"me\",\"name\":\"db\",\"size\":8,\"updated\":\"2026-01-01T00:00:00Z\"}]}");
    assertEquals(0, instar("secrets", "list", "me"), err);
    assertEquals("SECRET  BYTES  PUT\nme/db   8      2026-01-01T00:00:00Z\n", out);
    answers.put("DELETE /v1/secrets/me/db", new Answer(204, "application/json", ""));
    assertEquals(0, instar("secrets", "rm", "me/db"), err);
    assertEquals(2, instar("secrets", "rm", "db"));
  }

  @Test
  void deployOfAFileThatIsNotThereAsksNothingOfTheNode() {
    assertEquals(1, instar("deploy", "a/b", directory.resolve("none.wasm").toString()));
    assertEquals("instar: There is no file " + directory.resolve("none.wasm") + ".\n", err);
    assertEquals(List.of(), requests);
  }

  @Test
  void deployOfADirectorySaysWhatTakesOne() {
    assertEquals(1, instar("deploy", "a/b", directory.toString()));
    assertEquals("instar: " + directory + " is a directory. Give a module or a bundle (pack the directory as .tgz), or deploy a whole tree of functions with --tree.\n", err);
    assertEquals(List.of(), requests);
  }

  @Test
  void activateRollBackAndRemove() {
    json("POST /v1/functions/demo/echo/activate", ECHO);
    json("POST /v1/functions/demo/echo/rollback", ECHO);
    answers.put("DELETE /v1/functions/demo/echo", new Answer(204, "application/json", ""));
    answers.put("DELETE /v1/functions/demo/echo/versions/1", new Answer(204, "application/json", ""));
    assertEquals(0, instar("activate", "demo/echo", "2"), err);
    assertEquals("Version 2 of demo/echo answers calls now.\n", out);
    assertEquals("POST /v1/functions/demo/echo/activate {\"version\":2}", requests.getLast());
    assertEquals(0, instar("rollback", "demo/echo"), err);
    assertEquals(0, instar("remove", "demo/echo", "--version", "1"), err);
    assertEquals("Removed version 1 of demo/echo.\n", out);
    assertEquals(0, instar("remove", "demo/echo"), err);
    assertEquals("Removed demo/echo.\n", out);
  }

  @Test
  void logsArePrintedWithoutWhatSteersATerminal() {
    answers.put("GET /v1/functions/demo/echo/logs?tail=5&follow=true", new Answer(200, "application/x-ndjson",
        "{\"time\":\"2026-01-01T00:00:00Z\",\"version\":2,\"invocation\":\"i\",\"text\":\"hello\"}\n{\"time\":\"2026-01-01T00:00:01Z\",\"version\":2,\"invocation\":\"i\",\"text\":\"\\u001b]0;owned\\u0007\"}\n"));
    assertEquals(0, instar("logs", "demo/echo", "--tail", "5", "-f"), err);
    assertEquals("2026-01-01T00:00:00Z v2  hello\n2026-01-01T00:00:01Z v2  \ufffd]0;owned\ufffd\n", out);
  }

  @Test
  void backendsSaysWhatIsMissing() {
    json("GET /v1/backends", """
        {"backends":[{"name":"wasm","kinds":["wasm"],"isolation":"software","usable":true,"detail":"Chicory","generation":1,"state":"active","inFlight":0,"idle":2,"served":9},
        {"name":"vm","kinds":["executable"],"isolation":"virtual-machine","usable":false,"missing":"/dev/kvm","remedy":"modprobe kvm","generation":1,"state":"active","inFlight":0,"idle":0,"served":0}]}""");
    json("GET /v1/backends/assignments", """
        {"assignments":[{"own":"wasm","to":"vm","before":"wasm","rampSeconds":60,"share":0.25},{"function":"ann/f","own":"wasm","to":"vm","before":"wasm","rampSeconds":0,"share":1}]}""");
    assertEquals(0, instar("backends"), err);
    assertTrue(out.lines().anyMatch(l -> l.matches("all +wasm +vm +25 % +wasm")), out);
    assertTrue(out.lines().anyMatch(l -> l.matches("function ann/f +wasm +vm +100 % *")), out);
    assertTrue(out.lines().anyMatch(l -> l.matches("wasm +yes +active +software +wasm +1 +0 +2 +9 +Chicory")), out);
    assertTrue(out.lines().anyMatch(l -> l.matches("vm +no .*missing: /dev/kvm; remedy: modprobe kvm")), out);
  }

  @Test
  void functionsMoveToAnotherBackend() {
    json("POST /v1/backends/swap", "{\"assignments\":[{\"user\":\"ann\",\"own\":\"wasm\",\"to\":\"vm\",\"before\":\"wasm\",\"rampSeconds\":60,\"share\":0}]}");
    assertEquals(0, instar("backends", "swap", "wasm", "vm", "--user", "ann", "--ramp", "60", "--drain", "5"), err);
    assertEquals("POST /v1/backends/swap {\"from\":\"wasm\",\"to\":\"vm\",\"user\":\"ann\",\"rampSeconds\":60,\"drainSeconds\":5}", requests.getLast());
    assertTrue(out.startsWith("The functions of ann move from wasm to vm within 60 s;") && out.lines().anyMatch(l -> l.matches("user ann +wasm +vm +0 % +wasm")), out);
    assertEquals(2, instar("backends", "swap", "wasm", "vm", "--user", "ann", "--function", "ann/f"));
    assertEquals(2, instar("backends", "swap", "wasm", "vm", "--ramp", "-1"));
    assertEquals(2, instar("backends", "swap", "wasm"));
  }

  private static final String FIRST = "sha256:aaaaaaaa1" + "0".repeat(55);
  private static final String SECOND = "sha256:aaaaaaaa2" + "0".repeat(55);

  private static String snapshot(String id, String users) {
    return """
        {"id":"%s","parent":null,"backend":"wasm","backendVersion":"9","machine":{"limit":"7"},"images":["sha256:bb"],"created":"2026-01-01T00:00:00Z","creator":"node",
        "memoryBytes":16777216,"storedBytes":2048,"lastUsed":"%s","leases":3,"users":[%s],"blobs":[{"name":"module","digest":"sha256:cc","bytes":5}],
        "extents":[{"offset":0,"length":4096,"guestAddress":0}]}""".formatted(id, Instant.now(), users);
  }

  private void twoSnapshots() {
    json("GET /v1/snapshots", "{\"snapshots\":[" + snapshot(FIRST, "{\"uid\":\"u1\",\"function\":\"demo/echo\",\"version\":3,\"active\":true},{\"uid\":\"zygote\\u001b\"}") + ","
        + snapshot(SECOND, "{\"uid\":\"u2\",\"function\":\"demo/echo\",\"version\":2,\"active\":false}") + "]}");
  }

  @Test
  void snapshotsOfFunctions() {
    json("GET /v1/snapshots", "{\"snapshots\":[]}");
    assertEquals(0, instar("snapshots", "list"), err);
    assertTrue(out.startsWith("There are no snapshots"), out);
    twoSnapshots();
    assertEquals(0, instar("snapshots", "list"), err);
    List<String> lines = out.lines().toList();
    assertEquals("ID            FUNCTION                              BACKEND  MEMORY  STORED  AGE   USED  OPEN".replaceAll(" +", " "), lines.get(0).replaceAll(" +", " "));
    assertTrue(lines.get(1).matches("aaaaaaaa1000 +demo/echo version 3, zygote\ufffd +wasm +16 MiB +2 KiB +[0-9]+d +[0-9]+s +3"), out);
    assertTrue(lines.get(2).startsWith("aaaaaaaa2000  demo/echo version 2 "), out);
    assertEquals(0, instar("snapshots", "list", "-o", "json"), err);
    assertTrue(out.contains(FIRST), out);
  }

  @Test
  void aSnapshotIsNamedByItsFunctionOrTheBeginningOfItsId() {
    twoSnapshots();
    json("GET /v1/snapshots/" + FIRST, snapshot(FIRST, ""));
    json("GET /v1/snapshots/" + SECOND, snapshot(SECOND, ""));
    for (String name : List.of("demo/echo", "aaaaaaaa1", "sha256:aaaaaaaa1", FIRST, FIRST.substring(7))) {
      assertEquals(0, instar("snapshots", "inspect", name), err);
      assertTrue(out.startsWith(FIRST + "\n") && out.contains("held by             -\n") && out.contains("file module         5 B sha256:cc\n") && out.contains("16 MiB in 1 extents"), out);
    }
    assertEquals(0, instar("snapshots", "inspect", "aaaaaaaa2", "-o", "json"), err);
    assertTrue(out.contains(SECOND), out);
    assertEquals(1, instar("snapshots", "inspect", "aaaaaaaa"));
    assertEquals("instar: 2 snapshots begin with aaaaaaaa; give more digits: " + FIRST + ", " + SECOND + "\n", err);
    assertEquals(1, instar("snapshots", "inspect", "bbbbbbbb"));
    assertEquals("instar: There is no snapshot bbbbbbbb; see 'instar snapshots list'.\n", err);
    assertEquals(1, instar("snapshots", "inspect", "demo/other"));
    assertTrue(err.contains("The version of demo/other that answers calls holds no snapshot"), err);
  }

  @Test
  void snapshotsAreVerifiedCollectedAndRemoved() {
    twoSnapshots();
    json("POST /v1/snapshots/" + FIRST + "/verify", snapshot(FIRST, ""));
    assertEquals(0, instar("snapshots", "verify", "demo/echo"), err);
    assertEquals("Every byte of " + FIRST + " is as it was published.\n", out);
    json("POST /v1/snapshots/gc", "{\"removed\":[\"" + SECOND + "\"],\"freedBytes\":2048,\"keptBytes\":1024}");
    assertEquals(0, instar("snapshots", "gc", "--unused-for", "2h", "--budget", "1Mi"), err);
    assertEquals("Removed " + SECOND + ".\n1 removed, 2 KiB freed, 1 KiB kept.\n", out);
    assertEquals("POST /v1/snapshots/gc {\"unusedForSeconds\":7200,\"budgetBytes\":1048576}", requests.getLast().replaceAll("\\s+(?=[\"}])|(?<=:)\\s+|(?<=\\})\\s+", "").replace("gc{", "gc {"));
    assertEquals(0, instar("snapshots", "gc"), err);
    answers.put("DELETE /v1/snapshots/" + SECOND, new Answer(204, "application/json", ""));
    assertEquals(0, instar("snapshots", "remove", SECOND), err);
  }

  @Test
  void anExportIsWholeOrNotThere() throws IOException {
    twoSnapshots();
    String archive = "GET /v1/snapshots/" + FIRST + "/archive";
    answers.put(archive, new Answer(200, "application/octet-stream", "the archive"));
    Path file = directory.resolve("echo.snapshot");
    assertEquals(0, instar("snapshots", "export", "demo/echo", "--to", file.toString()), err);
    assertEquals("the archive", Files.readString(file));
    assertEquals(1, instar("snapshots", "export", "demo/echo", "-o", file.toString()));
    assertEquals("instar: The file " + file + " is there already; give another name, or --force to replace it.\n", err);
    answers.put(archive, new Answer(200, "application/octet-stream", "another"));
    assertEquals(0, instar("snapshots", "export", "demo/echo", "--to", file.toString(), "--force"), err);
    assertEquals("another", Files.readString(file));
    assertEquals(1, instar("snapshots", "export", "demo/echo", "--to", directory.toString(), "--force"));
    assertTrue(err.contains("is no file"), err);

    answers.put(archive, new Answer(200, CUT, "half"));
    assertEquals(1, instar("snapshots", "export", "demo/echo", "--to", file.toString(), "--force"));
    assertTrue(err.startsWith("instar: The archive of demo/echo was cut off: "), err);
    assertEquals(1, instar("snapshots", "export", "demo/echo", "--to", directory.resolve("new").toString()));
    answers.put(archive, new Answer(500, "application/problem+json", "{\"code\":\"damaged\",\"title\":\"Stored data is damaged\",\"detail\":\"It was set aside.\"}"));
    assertEquals(1, instar("snapshots", "export", "demo/echo", "--to", directory.resolve("new").toString()));
    assertEquals("instar: Stored data is damaged: It was set aside. (damaged, request r1)\n", err);
    assertEquals("another", Files.readString(file));
    try (Stream<Path> left = Files.list(directory)) {
      assertEquals(List.of(file), left.toList());
    }
  }

  @Test
  void anImportSendsTheFile() throws IOException {
    Path file = Files.writeString(directory.resolve("echo.snapshot"), "archive");
    answers.put("POST /v1/snapshots", new Answer(201, "application/json", snapshot(FIRST, "")));
    assertEquals(0, instar("snapshots", "import", file.toString()), err);
    assertEquals("POST /v1/snapshots archive", requests.getLast());
    assertEquals("Imported " + FIRST + " of backend wasm, 16 MiB of memory.\n", out);
    assertEquals(1, instar("snapshots", "import", directory.resolve("none").toString()));
    assertEquals("instar: There is no file " + directory.resolve("none") + ".\n", err);
    answers.put("POST /v1/snapshots", new Answer(422, "application/problem+json", "{\"code\":\"archive-refused\",\"title\":\"The archive was refused\",\"detail\":\"It is cut off.\"}"));
    assertEquals(1, instar("snapshots", "import", file.toString()));
    assertEquals("instar: The archive was refused: It is cut off. (archive-refused, request r1)\n", err);
  }

  @Test
  void bundles() {
    json("GET /v1/bundles", "{\"bundles\":[{\"id\":7,\"name\":\"dev.instar.gateway\",\"version\":\"0.1.0\",\"state\":\"active\",\"startLevel\":4,\"origin\":\"api\"},"
        + "{\"id\":8,\"name\":\"dev.instar.listener\",\"version\":\"0.1.0\",\"state\":\"active\",\"startLevel\":5,\"origin\":\"distribution\",\"stays\":\"it holds the connections\"}]}");
    for (String[] command : new String[][] {{"bundles"}, {"bundles", "list"}}) {
      assertEquals(0, instar(command), err);
      assertEquals("ID  STATE   LEVEL  NAME                 VERSION  FROM\n7   active  4      dev.instar.gateway   0.1.0    api\n"
          + "8   active  5      dev.instar.listener  0.1.0    distribution  stays\n", out);
    }
  }

  @Test
  void aChangeOfBundlesIsShownAndFollowedToItsEnd() throws IOException {
    Path jar = Files.writeString(directory.resolve("a.jar"), "jar");
    String plan = "\"plan\":{\"steps\":[{\"action\":\"update\",\"bundle\":\"a\",\"version\":\"2.0.0\",\"reason\":\"replaces 1.0.0\"}],\"backends\":[\"wasm\"],\"functions\":[\"me/f\"],\"functionCount\":3,\"endsConnection\":false}";
    json("PUT /v1/bundles/a?dryRun=true", "{\"dryRun\":true," + plan + "}");
    assertEquals(0, instar("bundles", "update", "a", jar.toString(), "--dry-run"), err);
    String table = "STEP    BUNDLE  VERSION  WHY\nupdate  a       2.0.0    replaces 1.0.0\nBackends that are touched: wasm.\nFunctions that are touched: me/f and 2 more.\n";
    assertEquals(table + "Nothing was changed; this is what would be done.\n", out);
    answers.put("PUT /v1/bundles/a", new Answer(202, "application/json", "{\"id\":\"x-1\",\"state\":\"running\"," + plan + "}"));
    json("GET /v1/deployments/x-1", "{\"id\":\"x-1\",\"state\":\"done\"," + plan + ",\"notes\":[\"a waits for b.\"],\"millis\":12}");
    assertEquals(0, instar("bundles", "update", "a", jar.toString()), err);
    assertEquals(table + "note: a waits for b.\nDone in 12 ms.\n", out);
    assertTrue(requests.contains("PUT /v1/bundles/a jar"), requests::toString);
    answers.put("POST /v1/bundles", new Answer(422, "application/problem+json", "{\"code\":\"bundle-unresolved\",\"title\":\"The bundle does not resolve\",\"detail\":\"a needs package p.\"}"));
    assertEquals(1, instar("bundles", "install", jar.toString()));
    assertEquals("instar: The bundle does not resolve: a needs package p. (bundle-unresolved, request r1)\n", err);
    assertEquals(1, instar("bundles", "install", directory.resolve("none.jar").toString()));
    assertEquals("instar: " + directory.resolve("none.jar") + " is no file that can be read.\n", err);
    for (String[] command : new String[][] {{"POST /v1/bundles/a/start", "bundles", "start", "a"}, {"POST /v1/bundles/a/stop", "bundles", "stop", "a"}, {"DELETE /v1/bundles/a", "bundles", "uninstall", "a"},
        {"POST /v1/features/f/apply", "features", "apply", "f"}, {"DELETE /v1/features/f", "features", "remove", "f"}}) {
      json(command[0], "{\"id\":\"x-2\",\"state\":\"done\",\"plan\":{\"steps\":[]},\"millis\":3}");
      assertEquals(0, instar(Arrays.copyOfRange(command, 1, command.length)), err);
      assertEquals("Done in 3 ms.\n", out);
    }
    json("POST /v1/features", "{\"id\":\"x-3\",\"state\":\"done\",\"plan\":{\"steps\":[]},\"millis\":3}");
    assertEquals(0, instar("features", "apply", Files.writeString(directory.resolve("f.json"), "{}").toString()), err);
    assertEquals("POST /v1/features {}", requests.getLast());
  }

  @Test
  void features() {
    json("GET /v1/features", "{\"features\":[{\"name\":\"process\",\"id\":\"dev.instar:process:0.1.0\",\"description\":\"Child processes.\",\"present\":true,\"applied\":true,\"bundles\":[\"a:b:1\"]}]}");
    assertEquals(0, instar("features", "list"), err);
    assertEquals("NAME     ID                        STATE    BUNDLES  DESCRIPTION\nprocess  dev.instar:process:0.1.0  applied  1        Child processes.\n", out);
  }

  @Test
  void aRefusalIsOneLineWithTitleDetailAndCode() {
    answers.put("GET /v1/functions/demo/none", new Answer(404, "application/problem+json",
        "{\"type\":\"urn:instar:error:function-not-found\",\"code\":\"function-not-found\",\"title\":\"The function does not exist\",\"detail\":\"There is no function demo/none.\"}"));
    assertEquals(1, instar("describe", "demo/none"));
    assertEquals("instar: The function does not exist: There is no function demo/none. (function-not-found, request r1)\n", err);
    assertEquals("", out);
  }

  @Test
  void aTokenThatDoesNotHoldIsNamedByItsFile() throws IOException {
    Path token = Files.writeString(directory.resolve("other.token"), "abc");
    answers.put("GET /v1/bundles", new Answer(401, "application/problem+json", "{\"title\":\"A credential is needed\",\"detail\":\"The token that came does not hold.\",\"code\":\"unauthenticated\"}"));
    assertEquals(1, instar("bundles", "list", "--token-file", token.toString()));
    assertTrue(err.contains("does not hold. The token that was sent is that of " + token + ". (unauthenticated"), err);
  }

  @Test
  void whatDoesNotSpeakHttpMaySpeakTls() throws Exception {
    try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      Thread tls = Thread.ofVirtual().start(() -> {
        try (var caller = socket.accept()) {
          caller.getInputStream().read(new byte[4096]);
          caller.getOutputStream().write(new byte[] {21, 3, 3, 0, 2, 2, 80});
        } catch (IOException e) {
          // The command has gone.
        }
      });
      String there = "http://127.0.0.1:" + socket.getLocalPort();
      assertEquals(1, plain("list", "--url", there));
      assertEquals("instar: What answers at " + there + " does not speak HTTP. A node with TLS is named by an https:// URL, with --ca for its certificate.\n", err);
      tls.join();
    }
  }

  @Test
  void somethingElseAtThePortIsNotTakenForANode() {
    answers.put("GET /v1/functions", new Answer(502, "text/html", "<html>bad gateway</html>"));
    assertEquals(1, instar("list"));
    assertTrue(err.contains("is it an Instar node?"), err);
    answers.put("GET /v1/functions", new Answer(200, "text/html", "<html>hello</html>"));
    assertEquals(1, instar("list"));
    assertTrue(err.contains("is no Instar node"), err);
    json("GET /v1/functions", "{\"functions\":[" + ECHO + ",");
    assertEquals(1, instar("list"));
    assertTrue(err.contains("is no Instar node"), err);
    assertEquals("", out);
  }

  @Test
  void listPassesOverWhatItDoesNotKnow() {
    json("GET /v1/functions", "{\"next\":{\"functions\":[1,[2]]},\"more\":[{\"user\":\"x\"}],\"functions\":[" + ECHO + "],\"count\":1}");
    assertEquals(0, instar("list"), err);
    assertEquals("""
        NAME       ACTIVE  VERSIONS  KIND  DEPLOYED
        demo/echo  2       2         wasm  2026-01-02T00:00:00Z
        """, out);
  }

  @Test
  void noNodeIsExitCodeThreeAndSaysHowToStartOne() throws IOException {
    int free;
    try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      free = socket.getLocalPort();
    }
    assertEquals(3, plain("list", "--url", "http://127.0.0.1:" + free));
    assertEquals("instar: No node answers at http://127.0.0.1:" + free + ". Start one with 'instar run', or name another with --url or INSTAR_URL.\n", err);
  }

  @Test
  void wrongUsageIsExitCodeTwoAndPointsToTheHelp() {
    for (String[] wrong : new String[][] {{"depoy"}, {"deploy", "noslash", "f"}, {"deploy", "a/b"}, {"list", "-o", "xml"}, {"invoke"}, {"invoke", "a/b", "--data", "x", "--file", "y"},
        {"deploy", "a/b", "f", "--memory", "64MB"}, {"logs", "a/b", "--since", "soon"}, {"activate", "a/b", "two"}, {"list", "--url", "localhost"}, {"run", "--port", "70000"}, {"snapshots"},
        {"snapshots", "inspect", "1234567"}, {"snapshots", "verify", "sha256:XYZ"}, {"snapshots", "export", "a/b"}, {"snapshots", "gc", "--budget", "1GB"}, {"new"}, {"new", "backend"},
        {}}) {
      assertEquals(2, plain(wrong), String.join(" ", wrong));
      assertTrue(err.startsWith("instar: ") && err.contains("help"), err);
    }
  }

  @Test
  void aWrongValueOfAMapIsSaidInOneOption() {
    assertEquals(2, plain("deploy", "a/b", "f", "--env", "A"));
    assertTrue(err.startsWith("instar: Value for option '--env'"), err);
  }

  @Test
  void aBackendsNameAndPackageAreChecked(@TempDir Path place) throws Exception {
    Files.createFile(Files.createDirectories(place.resolve("bundles")).resolve("dev.instar.backend.wasm-" + Distribution.version() + ".jar"));
    String before = System.setProperty("instar.home", place.toString());
    try {
      for (String name : List.of("Big", "1st", "a_b", "a--b", "-a", "a-", "a/b", "..", "", "naïve", "a".repeat(41))) {
        assertEquals(2, plain("new", "backend", "--directory", place.resolve("made").toString(), "--", name), name);
        assertTrue(err.contains("lower-case letters, digits and single hyphens, with a letter first"), err);
      }
      assertEquals(2, plain("new", "backend", "wasm", "--directory", place.resolve("made").toString()));
      assertTrue(err.contains("one of Instar's own"), err);
      for (String wrong : List.of("single", "org.example.class", "org..x", "java.x", "dev.instar.x", "org/x", "org.ex ample", "org.naïve")) {
        assertEquals(2, plain("new", "backend", "x", "--package", wrong, "--directory", place.resolve("made").toString()), wrong);
        assertTrue(err.contains("none of them a Java keyword"), err);
      }
      assertEquals(2, plain("new", "backend", "class", "--directory", place.resolve("made").toString()));
      assertTrue(err.contains("so give one with --package"), err);
      assertFalse(Files.exists(place.resolve("made")));
    } finally {
      if (before == null) {
        System.clearProperty("instar.home");
      } else {
        System.setProperty("instar.home", before);
      }
    }
  }

  @Test
  void everyCommandHasHelp() {
    assertEquals(0, plain("--help"));
    for (String command : CommandLines.names()) {
      assertTrue(out.contains("\n  " + command + " "), command);
    }
    for (String command : CommandLines.names()) {
      assertEquals(0, plain(command, "--help"), command);
      assertTrue(out.startsWith("Usage: instar " + command), out);
    }
  }
}
