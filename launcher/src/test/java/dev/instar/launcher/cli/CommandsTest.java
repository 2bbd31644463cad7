package dev.instar.launcher.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import dev.instar.launcher.CommandLines;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
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
        "limits":{"memory":65536,"tables":7,"stack":1048576,"timeout":500,"runTime":400,"input":1,"output":2,"log":3,"openFiles":4,"fileBytes":5,"madeFiles":6,"concurrency":4},"environment":{"K":"V"},"labels":{"team":"a"},"snapshot":"calls:2"}],
       "runs":{"backend":"wasm","reset":"after every call"}}""";

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
      exchange.sendResponseHeaders(answer.status, body.length == 0 ? -1 : body.length);
      exchange.getResponseBody().write(body);
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
  void deployUploadsTheArtifactAndThenPublishesIt() throws IOException {
    Path module = Files.writeString(directory.resolve("f.wasm"), "module");
    answers.put("POST /v1/images", new Answer(201, "application/json", "{\"digest\":\"sha256:cc\",\"kind\":\"wasm\",\"size\":6}"));
    answers.put("POST /v1/functions/me/shout/versions", new Answer(201, "application/json", "{\"number\":3}"));
    assertEquals(0, instar("deploy", "me/shout", module.toString(), "--memory", "64Mi", "--timeout", "2s", "--concurrency", "3", "--env", "A=1", "--env", "B=x=y", "--label", "team=a",
        "--backend", "wasm", "--no-activate"), err);
    assertEquals("Deployed me/shout, version 3 (not active).\n", out);
    assertEquals("POST /v1/images module", requests.get(0));
    assertEquals("POST /v1/functions/me/shout/versions {\"variants\":[{\"digest\":\"sha256:cc\",\"kind\":\"wasm\",\"backend\":\"wasm\"}],\"limits\":{\"memory\":67108864,\"timeout\":2000,\"concurrency\":3},"
        + "\"environment\":{\"A\":\"1\",\"B\":\"x=y\"},\"labels\":{\"team\":\"a\"},\"activate\":false}", requests.get(1));
  }

  @Test
  void deployOfATreeNamesWhatFailed() throws IOException {
    for (String name : List.of("wasm/demo/good", "wasm/demo/bad")) {
      Files.writeString(Files.createDirectories(directory.resolve(name)).resolve("function.wasm"), name);
    }
    Files.writeString(Files.createDirectories(directory.resolve("wasm/demo/notes")).resolve("readme.txt"), "no module");
    answers.put("POST /v1/images", new Answer(201, "application/json", "{\"digest\":\"sha256:cc\",\"kind\":\"wasm\",\"size\":6}"));
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
    assertEquals(0, instar("backends"), err);
    assertTrue(out.lines().anyMatch(l -> l.matches("wasm +yes +active +software +wasm +1 +0 +2 +9 +Chicory")), out);
    assertTrue(out.lines().anyMatch(l -> l.matches("vm +no .*missing: /dev/kvm; remedy: modprobe kvm")), out);
  }

  @Test
  void bundles() {
    json("GET /v1/bundles", "{\"bundles\":[{\"id\":7,\"name\":\"dev.instar.gateway\",\"version\":\"0.1.0\",\"state\":\"active\",\"startLevel\":4}]}");
    assertEquals(0, instar("bundles"), err);
    assertEquals("ID  STATE   LEVEL  NAME                VERSION\n7   active  4      dev.instar.gateway  0.1.0\n", out);
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
        {"deploy", "a/b", "f", "--memory", "64MB"}, {"logs", "a/b", "--since", "soon"}, {"activate", "a/b", "two"}, {"list", "--url", "localhost"}, {"run", "--port", "70000"}, {}}) {
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
