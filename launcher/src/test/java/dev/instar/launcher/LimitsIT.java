package dev.instar.launcher;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Stream;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Each limit of a function and the node's memory budget, reached over HTTP on a node as it is shipped; at the end nothing is left of any. */
@Timeout(120)
class LimitsIT {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final HttpClient HTTP = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
  /** Small, so that a few sandboxes use it up: those that wait keep a quarter at most. */
  private static final int BUDGET = 8 << 20;
  private static final int CROWD = 14;
  /** A compiler that waits as a spare, and one that waits for the next module of its user. */
  private static final int COMPILERS = 2;
  /** Connections of this test that the node has not closed yet, and what a JVM opens when it likes. */
  private static final int FEW = 24;
  private static final long PATIENCE_NANOS = 20_000_000_000L;

  private static final String GROW = "(loop $l (br_if $l (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) unreachable";
  private static final String SPIN = "(loop $l (br $l))";

  @TempDir
  static Path directory;
  private static Shell shell;
  private static Shell.Running node;
  private static long descriptors;

  @BeforeAll
  static void start() throws Exception {
    Path config = Files.createDirectory(directory.resolve("config"));
    try (Stream<Path> files = Files.list(Path.of("../config"))) {
      for (Path file : files.toList()) {
        Files.copy(file, config.resolve(file.getFileName()));
      }
    }
    Files.writeString(config.resolve("dev.instar.backend.wasm.cfg.json"), "{\"guest-memory-bytes\": " + BUDGET + "}");
    Files.writeString(config.resolve("dev.instar.scheduler.cfg.json"), "{\"queue-wait-ms\": 3000}");
    shell = new Shell(directory, Map.of());
    node = shell.node(directory.resolve("data"), "--config", config.toString(), "--no-examples");
    publish("first", "", "{}");
    good("first");
    remove("first");
    descriptors = Resources.of(node.process().pid()).descriptors();
  }

  @AfterAll
  static void nothingIsLeft() throws Exception {
    try (Shell toClose = shell) {
      for (JsonNode function : JSON.readTree(send("GET", "/v1/functions", "").body()).get("functions")) {
        remove(function.get("user").textValue() + "/" + function.get("function").textValue());
      }
      long end = System.nanoTime() + PATIENCE_NANOS;
      while (!left().isEmpty() && System.nanoTime() < end) {
        Thread.sleep(50);
      }
      assertEquals(List.of(), left());
      assertEquals("", Files.readString(node.err()), "a breach is no fault of the node");
    } finally {
      HTTP.close();
    }
  }

  private static List<String> left() throws IOException {
    List<String> left = new ArrayList<>();
    try (Stream<Path> files = Files.walk(directory.resolve("data"))) {
      files.filter(f -> f.toString().contains("/sandboxes/") && Files.isRegularFile(f)).map(Path::toString).forEach(left::add);
    }
    if (node.process().descendants().count() > COMPILERS) {
      node.process().descendants().map(p -> p.info().toString()).forEach(left::add);
    }
    Resources now = Resources.of(node.process().pid());
    if (now.descriptors() > descriptors + FEW) {
      left.add(now.descriptors() + " descriptors after " + descriptors);
    }
    if (sum("inFlight") + sum("idle") > 0) {
      left.add("sandboxes");
    }
    return left;
  }

  /** A command that does something when it has input, and then, if it still can, answers {@code ok}. */
  private static byte[] command(String body) throws IOException, InterruptedException {
    Path source = Files.createTempFile(directory, "limit", ".wat");
    Path module = source.resolveSibling(source.getFileName() + ".wasm");
    Files.writeString(source, """
        (module
          (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "path_create_directory" (func $mkdir (param i32 i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
          (memory (export "memory") 2) (table $t 10 funcref)
          (data (i32.const 100) "file")
          (data (i32.const 110) "ok")
          (func $deep (call $deep))
          (func $new (result i32)
            (call $open (i32.const 3) (i32.const 0) (i32.const 100) (i32.const 4) (i32.const 1) (i64.const 70) (i64.const 0) (i32.const 0)
              (i32.const 16)))
          (func $sleep (param $ms i64)
            (i32.store (i32.const 216) (i32.const 1))
            (i64.store (i32.const 224) (i64.mul (local.get $ms) (i64.const 1000000)))
            (drop (call $poll (i32.const 200) (i32.const 300) (i32.const 1) (i32.const 16))))
          (func $put (param $fd i32) (param $from i32) (param $length i32) (result i32)
            (i32.store (i32.const 0) (local.get $from))
            (i32.store (i32.const 4) (local.get $length))
            (call $write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8)))
          (func (export "_start")
            (i32.store (i32.const 0) (i32.const 1000))
            (i32.store (i32.const 4) (i32.const 1000))
            (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
            (if (i32.load (i32.const 8)) (then
        """ + body + ")) (drop (call $put (i32.const 1) (i32.const 110) (i32.const 2)))))");
    Process translator = new ProcessBuilder("wat2wasm", source.toString(), "-o", module.toString()).redirectErrorStream(true).start();
    String said = new String(translator.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, translator.waitFor(), said);
    ByteArrayOutputStream packed = new ByteArrayOutputStream();
    try (GZIPOutputStream gzip = new GZIPOutputStream(packed)) {
      HostileNodeIT.entry(gzip, "function.wasm", Files.readAllBytes(module));
      HostileNodeIT.entry(gzip, "rootfs/seen", new byte[1]);
      gzip.write(new byte[1024]);
    }
    return packed.toByteArray();
  }

  private static HttpResponse<String> send(String method, String path, String body) throws IOException, InterruptedException {
    return send(method, path, body.getBytes(StandardCharsets.UTF_8));
  }

  private static HttpResponse<String> send(String method, String path, byte[] body) throws IOException, InterruptedException {
    return HTTP.send(request(method, path, body), HttpResponse.BodyHandlers.ofString());
  }

  private static HttpRequest request(String method, String path, byte[] body) {
    return HttpRequest.newBuilder(node.url().resolve(path)).method(method, HttpRequest.BodyPublishers.ofByteArray(body)).build();
  }

  private static void publish(String name, String body, String limits) throws IOException, InterruptedException {
    HttpResponse<String> image = send("POST", "/v1/images", command(body));
    assertEquals(2, image.statusCode() / 100, image.body());
    String digest = JSON.readTree(image.body()).get("digest").textValue();
    HttpResponse<String> version = send("POST", "/v1/functions/" + name(name) + "/versions",
        "{\"variants\":[{\"digest\":\"" + digest + "\"}],\"limits\":" + limits + "}");
    assertEquals(201, version.statusCode(), version.body());
  }

  private static String name(String name) {
    return name.contains("/") ? name : "limits/" + name;
  }

  private static void remove(String name) throws IOException, InterruptedException {
    assertEquals(204, send("DELETE", "/v1/functions/" + name(name), "").statusCode());
  }

  private static HttpResponse<String> call(String name, String input) throws IOException, InterruptedException {
    return send("POST", "/f/" + name(name), input);
  }

  private static CompletableFuture<HttpResponse<String>> begin(String name) {
    return HTTP.sendAsync(request("POST", "/f/" + name(name), new byte[] {1}), HttpResponse.BodyHandlers.ofString());
  }

  private static void good(String name) throws IOException, InterruptedException {
    HttpResponse<String> answer = call(name, "");
    assertEquals(200, answer.statusCode(), answer.body());
    assertEquals("ok", answer.body());
  }

  private static JsonNode problem(int status, String code, HttpResponse<String> answer) throws IOException {
    assertEquals(status, answer.statusCode(), answer.body());
    JsonNode problem = JSON.readTree(answer.body());
    assertEquals(code, problem.path("code").textValue(), answer.body());
    return problem;
  }

  /** Over all backends. */
  private static int sum(String fact) throws IOException {
    try {
      return JSON.readTree(send("GET", "/v1/backends", "").body()).findValues(fact).stream().mapToInt(JsonNode::intValue).sum();
    } catch (InterruptedException e) {
      throw new IOException(e);
    }
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', value = {
      "memory | " + GROW + " | \"1Mi\" | 502 | out-of-memory | limitBytes | 1048576",
      "tables | (loop $l (br_if $l (i32.ne (table.grow $t (ref.null func) (i32.const 7)) (i32.const -1)))) unreachable"
          + " | 100 | 502 | out-of-tables | limitCount | 100",
      "stack | (call $deep) | \"1Mi\" | 502 | stack-overflow | limitBytes | 1048576",
      "runTime | " + SPIN + " | \"2s\" | 504 | ran-too-long | limitMillis | 2000",
      "timeout | " + SPIN + " | \"2s\" | 504 | timed-out | limitMillis | 2000",
      "output | (loop $l (br_if $l (i32.eqz (call $put (i32.const 1) (i32.const 0) (i32.const 4096)))))"
          + " | \"32Ki\" | 502 | output-too-large | limitBytes | 32768",
      "openFiles | (loop $l (br_if $l (i32.eqz (call $new)))) (call $exit (i32.const 1)) | 8 | 502 | out-of-files | limitCount | 8",
      "fileBytes | (drop (call $new))"
          + " (loop $l (br_if $l (i32.eqz (call $put (i32.load (i32.const 16)) (i32.const 0) (i32.const 65536))))) (call $exit (i32.const 1))"
          + " | \"4Mi\" | 502 | files-full | limitBytes | 4194304",
      "madeFiles | (loop $l (i32.store8 (i32.const 100) (i32.add (i32.load8_u (i32.const 100)) (i32.const 1)))"
          + " (br_if $l (i32.eqz (call $mkdir (i32.const 3)"
          + " (i32.const 100) (i32.const 4))))) (call $exit (i32.const 1)) | 10 | 502 | too-many-files | limitCount | 10"})
  void aBreachNamesItsLimitAndTheNextCallIsRight(String limit, String body, String given, int status, String code, String unit, long value)
      throws Exception {
    String name = limit.toLowerCase();
    publish(name, body, "{\"" + limit + "\":" + given + "}");
    for (int i = 0; i < 2; i++) {
      good(name);
      JsonNode problem = problem(status, code, call(name, "go"));
      assertEquals(limit, problem.path("limit").textValue(), problem.toString());
      assertEquals(value, problem.path(unit).longValue(), problem.toString());
    }
    good(name);
  }

  @Test
  void aLogIsCutAndTheCallGoesOn() throws Exception {
    publish("log", "(drop (call $put (i32.const 2) (i32.const 2000) (i32.const 60000)))", "{\"log\":1000}");
    good("log");
    HttpResponse<String> answer = call("log", "go");
    assertEquals("ok", answer.body());
    String log = "";
    long end = System.nanoTime() + PATIENCE_NANOS;
    while (!log.contains("dropped") && System.nanoTime() < end) {
      log = send("GET", "/v1/functions/limits/log/logs", "").body();
      Thread.sleep(20);
    }
    assertTrue(log.contains("[59000 bytes beyond the limit of 1000 dropped]"), log);
    good("log");
  }

  @Test
  void anAnswerThatBreaksOffHasItsReasonInTheFunctionsLog() throws Exception {
    publish("broken", "(loop $l (br_if $l (i32.eqz (call $put (i32.const 1) (i32.const 0) (i32.const 60000)))))",
        "{\"output\":\"128Ki\",\"log\":0}");
    assertThrows(IOException.class, () -> call("broken", "go"));
    // It is there before the caller sees the end, but for the writer of the log, which nothing waits for.
    String log = "";
    long end = System.nanoTime() + PATIENCE_NANOS;
    while (!log.contains("output-too-large") && System.nanoTime() < end) {
      log = send("GET", "/v1/functions/limits/broken/logs", "").body();
      Thread.sleep(20);
    }
    assertTrue(log.contains("[failed after 120000 bytes of its answer: output-too-large: "), log);
    good("broken");
  }

  @Test
  void aCallBeyondTheConcurrencyIsRefusedWhenItHasWaited() throws Exception {
    publish("concurrency", "(call $sleep (i64.const 5000))", "{\"concurrency\":1}");
    good("concurrency");
    CompletableFuture<HttpResponse<String>> first = begin("concurrency");
    while (sum("inFlight") == 0) {
      assertFalse(first.isDone(), "it did not sleep");
      Thread.sleep(5);
    }
    JsonNode problem = problem(429, "function-busy", call("concurrency", ""));
    assertEquals("concurrency", problem.path("limit").textValue(), problem.toString());
    assertEquals(1, problem.path("limitCount").intValue(), problem.toString());
    assertEquals("ok", first.get().body());
    good("concurrency");
  }

  @Test
  void whoNeedsTheNodesMemoryGetsThatOfIdleSandboxesOfOthers() throws Exception {
    publish("crowd/crowd", "(memory.fill (i32.const 4096) (i32.const 1) (i32.const 126000)) (call $sleep (i64.const 1500))", "{}");
    good("crowd/crowd");
    List<CompletableFuture<HttpResponse<String>>> crowd = new ArrayList<>();
    for (int i = 0; i < CROWD; i++) {
      crowd.add(begin("crowd/crowd"));
    }
    for (CompletableFuture<HttpResponse<String>> each : crowd) {
      assertEquals("ok", each.get().body());
    }
    int before = sum("idle");
    assertTrue(before >= CROWD, before + " idle");
    // What was used within a second is nobody's to take.
    Thread.sleep(1200);
    publish("needy/needy", "(if (i32.eq (memory.grow (i32.const 116)) (i32.const -1)) (then unreachable))", "{\"memory\":\"64Mi\"}");
    HttpResponse<String> answer = call("needy/needy", "go");
    assertEquals("ok", answer.body());
    int after = sum("idle");
    assertTrue(after < before, () -> "nobody gave way: " + before + " were idle, " + after + " are");
    good("crowd/crowd");

    publish("needy/huge", "(if (i32.eq (memory.grow (i32.const 500)) (i32.const -1)) (then unreachable))", "{\"memory\":\"64Mi\"}");
    good("needy/huge");
    JsonNode problem = problem(502, "out-of-memory", call("needy/huge", "go"));
    assertTrue(problem.path("detail").textValue().contains("guest-memory-bytes"), problem.toString());
    assertEquals(BUDGET, problem.path("limitBytes").intValue(), problem.toString());
    good("needy/huge");
    good("needy/needy");
  }

  @Test
  void describeEchoesEveryLimit() throws Exception {
    publish("defaults", "", "{}");
    assertEquals(JSON.readTree("""
        {"memory":268435456,"tables":1000000,"stack":1048576,"timeout":30000,"runTime":30000,"input":67108864,"output":67108864,"log":262144,
         "openFiles":128,"fileBytes":67108864,"madeFiles":2048,"concurrency":64}"""), limits("defaults"));
    String given = """
        {"memory":131072,"tables":17,"stack":2097152,"timeout":4000,"runTime":3000,"input":5,"output":6,"log":8,"openFiles":9,"fileBytes":10,
         "madeFiles":11,"concurrency":12}""";
    publish("given", "", given);
    assertEquals(JSON.readTree(given), limits("given"));
  }

  private static JsonNode limits(String name) throws IOException, InterruptedException {
    return JSON.readTree(send("GET", "/v1/functions/" + name(name), "").body()).at("/versions/0/limits");
  }
}
