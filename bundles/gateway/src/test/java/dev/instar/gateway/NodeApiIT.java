package dev.instar.gateway;

import static dev.instar.gateway.ExchangeIT.assertProblem;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import dev.instar.api.Digest;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import dev.instar.api.function.Limits;
import dev.instar.api.invocation.BackendDirectory;
import dev.instar.api.invocation.BackendStatus;
import dev.instar.api.invocation.Invocation;
import dev.instar.api.invocation.Invoker;
import dev.instar.api.invocation.Outcome;
import dev.instar.tck.http.RawHttp;
import dev.instar.tck.http.RawHttp.Answer;
import java.io.EOFException;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Instar's own API through the real listener, over parts in memory. */
class NodeApiIT {
  private static final String F = "/v1/functions/demo/echo";
  private final Node node = new Node();

  @AfterEach
  void close() {
    node.close();
  }

  private static JsonNode json(Answer answer) throws IOException {
    assertEquals("application/json", answer.headers().get("content-type"), answer::toString);
    return Json.read(answer.body());
  }

  private String upload(int size) throws IOException {
    try (RawHttp http = new RawHttp(node.port())) {
      byte[] module = MemoryImages.module(size);
      Answer answer = http.send("POST /v1/images HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + size + "\r\n\r\n").send(module).answer();
      assertEquals(201, answer.status(), answer::toString);
      JsonNode image = json(answer);
      assertEquals(Digest.of(module).value(), image.get("digest").textValue());
      assertEquals("wasm", image.get("kind").textValue());
      assertEquals(size, image.get("size").intValue());
      assertEquals("/v1/images/" + Digest.of(module), answer.headers().get("location"));
      return image.get("digest").textValue();
    }
  }

  @Test
  void saysWhatItIs() throws Exception {
    JsonNode about = json(node.get("/v1"));
    assertEquals("instar", about.get("name").textValue());
    assertEquals("1.2.3", about.get("version").textValue());
    assertEquals("/v1/openapi.json", about.at("/links/openapi").textValue());
    JsonNode description = json(node.get("/v1/openapi.json"));
    assertEquals("3.1.0", description.get("openapi").textValue());
    assertEquals("1.2.3", description.at("/info/version").textValue());
  }

  @Test
  void storesImagesAndGivesThemBack() throws Exception {
    String digest = upload(300_000);
    Answer answer = node.get("/v1/images/" + digest);
    assertEquals(200, answer.status());
    assertArrayEquals(MemoryImages.module(300_000), answer.body());
    assertEquals("application/octet-stream", answer.headers().get("content-type"));
    assertEquals("nosniff", answer.headers().get("x-content-type-options"));
    assertProblem(404, "image-not-found", node.get("/v1/images/sha256:" + "0".repeat(64)));
    assertProblem(400, "bad-request", node.get("/v1/images/sha256:ABC"));
    assertProblem(422, "unsupported-artifact", node.call("POST", "/v1/images", "text"));
    assertProblem(413, "too-large", RawHttp.exchange(node.port(), "POST /v1/images HTTP/1.1\r\nHost: localhost\r\nContent-Length: 67108865\r\n\r\n"));
  }

  @Test
  void aCutUploadLeavesNothing() throws Exception {
    try (RawHttp http = new RawHttp(node.port())) {
      http.send("POST /v1/images HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n").send(MemoryImages.module(500)).endOutput();
      assertProblem(400, "bad-body", http.answer());
    }
    assertEquals(0, node.images.size());
  }

  @Test
  void theLifeOfAFunction() throws Exception {
    String digest = upload(100);
    Answer made = node.call("POST", F + "/versions", """
        {"variants":[{"digest":"%s","backend":"wasm"}],"limits":{"memory":"64Mi","timeout":"2m","input":"10Ki","output":1048576,"log":"1Mi","concurrency":3},
         "environment":{"B":"2","A":"1"},"labels":{"team":"x"},"snapshot":"calls:2"}""".formatted(digest));
    assertEquals(201, made.status(), made::toString);
    assertEquals(F + "/versions/1", made.headers().get("location"));
    JsonNode version = json(made);
    assertEquals("{\"memory\":67108864,\"tables\":1000000,\"stack\":1048576,\"timeout\":120000,\"runTime\":120000,\"input\":10240,\"output\":1048576,\"log\":1048576,\"openFiles\":128,\"fileBytes\":67108864,\"madeFiles\":2048,\"concurrency\":3}", version.get("limits").toString());
    assertEquals("[{\"digest\":\"" + digest + "\",\"kind\":\"wasm\",\"backend\":\"wasm\"}]", version.get("variants").toString());
    assertEquals("{\"A\":\"1\",\"B\":\"2\"}", version.get("environment").toString());
    assertEquals("{\"team\":\"x\"}", version.get("labels").toString());
    assertEquals("calls:2", version.get("snapshot").asText());
    assertEquals(version, json(node.get(F + "/versions/1")));

    JsonNode second = json(node.call("POST", F + "/versions", "{\"variants\":[{\"digest\":\"" + digest + "\"}],\"activate\":false,"
        + "\"limits\":{\"cpu\":\"0.5\",\"cpuWeight\":200,\"cpuset\":\"0-1\",\"processes\":9,\"ioWeight\":50}}"));
    assertTrue(second.get("limits").toString().endsWith(",\"concurrency\":64,\"cpu\":500,\"cpuWeight\":200,\"cpuset\":\"0-1\",\"processes\":9,\"ioWeight\":50}"), second::toString);
    JsonNode function = json(node.get(F));
    assertEquals(1, function.get("active").intValue());
    assertTrue(function.get("previous").isNull());
    assertEquals(2, function.get("versions").size());
    assertTrue(function.at("/versions/1/variants/0/backend").isNull());

    assertEquals(2, json(node.call("POST", F + "/activate", "{\"version\":2}")).get("active").intValue());
    assertProblem(409, "conflict", node.call("DELETE", F + "/versions/2", ""));
    assertEquals(1, json(node.call("POST", F + "/rollback", "")).get("active").intValue());
    assertEquals(204, node.call("DELETE", F + "/versions/2", "").status());
    assertProblem(404, "version-not-found", node.get(F + "/versions/2"));
    assertProblem(404, "version-not-found", node.call("POST", F + "/activate", "{\"version\":2}"));

    assertEquals(1, json(node.get("/v1/functions")).get("functions").size());
    assertEquals(1, json(node.get("/v1/functions?user=demo")).get("functions").size());
    assertEquals(0, json(node.get("/v1/functions?user=other")).get("functions").size());
    assertEquals(204, node.call("DELETE", F, "").status());
    assertProblem(404, "function-not-found", node.get(F));
    assertProblem(404, "function-not-found", node.call("DELETE", F, ""));
    assertProblem(404, "function-not-found", node.call("POST", F + "/rollback", ""));
    assertProblem(404, "function-not-found", node.call("POST", F + "/invoke", "x"));
    assertProblem(404, "function-not-found", node.get(F + "/logs"));
  }

  @Test
  void listsMoreFunctionsThanAreHeldBack() throws Exception {
    Set<String> names = new TreeSet<>();
    for (int i = 0; i < 400; i++) {
      node.function("demo/f" + i, Limits.DEFAULT);
      names.add("f" + i);
    }
    Answer answer = node.get("/v1/functions");
    assertTrue(answer.body().length > 100_000);
    assertEquals("application/json", answer.headers().get("content-type"));
    List<String> listed = new ArrayList<>();
    json(answer).get("functions").forEach(f -> listed.add(f.get("function").textValue()));
    assertEquals(400, listed.size());
    assertEquals(names, new TreeSet<>(listed));
    assertEquals(400, json(node.get("/v1/functions?user=demo")).get("functions").size());
    assertEquals("{\"functions\":[]}", node.get("/v1/functions?user=other").text());
  }

  @Test
  void describesHowAFunctionRuns() throws Exception {
    node.function("demo/echo", Limits.DEFAULT);
    assertEquals("{}", json(node.get(F)).get("runs").toString());
    BackendDirectory directory = new NoBackends() {
      @Override
      public Map<String, String> describe(dev.instar.api.function.FunctionVersion version) {
        return Map.of("backend", "wasm", "version", version.label());
      }
    };
    node.services.backends().bind(directory, Map.of());
    assertEquals("demo/echo@1", json(node.get(F)).at("/runs/version").textValue());
    node.services.backends().bind(new NoBackends() {
      @Override
      public Map<String, String> describe(dev.instar.api.function.FunctionVersion version) {
        throw new InstarException(ErrorCode.BACKEND_UNAVAILABLE, "away");
      }
    }, Map.of("service.ranking", 1));
    JsonNode away = json(node.get(F));
    assertEquals("backend-unavailable", away.at("/problem/code").textValue());
    assertEquals(1, away.get("active").intValue());
  }

  @ParameterizedTest
  @ValueSource(strings = {"Demo/echo", "demo/Echo", "-demo/echo", "demo/echo.", "demo/a..b", "d%C3%A9mo/echo", "%F0%9F%98%80/echo", "demo/%E2%80%AEohce", "d%D0%B5mo/echo", "demo/e%20cho", "demo/CON",
      "demo/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"})
  void refusesBadNames(String name) throws Exception {
    String path = "/v1/functions/" + name;
    assertProblem(400, "bad-name", node.get(path));
    assertProblem(400, "bad-name", node.call("POST", path + "/invoke", "x"));
    assertProblem(400, "bad-name", node.call("POST", path + "/versions", "{}"));
    assertProblem(400, "bad-name", node.get(path + "/logs"));
  }

  /** A coding of the content is the function's affair: the node neither undoes it nor answers in one, so no bomb goes off here. */
  @Test
  void aContentCodingIsNotUndone() throws Exception {
    java.io.ByteArrayOutputStream packed = new java.io.ByteArrayOutputStream();
    try (java.util.zip.GZIPOutputStream gzip = new java.util.zip.GZIPOutputStream(packed)) {
      gzip.write(new byte[10 << 20]);
    }
    node.function("u/coded", Limits.DEFAULT);
    for (String coding : List.of("gzip", "deflate", "br", "gzip, gzip", "zstd", "nonsense")) {
      try (RawHttp http = new RawHttp(node.port())) {
        http.send("POST /v1/functions/u/coded/invoke HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\nContent-Encoding: " + coding + "\r\nContent-Length: " + packed.size() + "\r\n\r\n");
        Answer answer = http.send(packed.toByteArray()).answer();
        assertArrayEquals(packed.toByteArray(), answer.body());
        assertFalse(answer.headers().containsKey("content-encoding"));
      }
    }
  }

  @Test
  void aLongNameIsRefusedWithAShortWord() throws Exception {
    Answer answer = node.get("/v1/functions/demo/" + "a".repeat(8000));
    assertProblem(400, "bad-name", answer);
    assertTrue(answer.body().length < 1000, answer::toString);
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', quoteCharacter = '`', value = {
      "`` | empty",
      "[] | not a JSON object",
      "{ | line 1, column",
      "{\"variants\":[]} x | line 1",
      "{\"variants\":[],\"variants\":[]} | Duplicate field 'variants'",
      "{\"varaints\":[]} | 'varaints' is not known",
      "{} | 'variants' is missing",
      "{\"variants\":{}} | 'variants' must be a list",
      "{\"variants\":[1]} | 'variants' must be a list of objects",
      "{\"variants\":[{\"digset\":\"x\"}]} | 'variants[0].digset' is not known",
      "{\"variants\":[{\"digest\":1}]} | 'variants[0].digest' must be a string",
      "{\"variants\":[{}]} | 'variants[0].digest' is missing",
      "{\"variants\":[IMAGE],\"limits\":{\"memroy\":1}} | 'limits.memroy' is not known",
      "{\"variants\":[IMAGE],\"limits\":{\"memory\":\"1MB\"}} | 'limits.memory' must be bytes",
      "{\"variants\":[IMAGE],\"limits\":{\"memory\":1.5}} | 'limits.memory' must be bytes",
      "{\"variants\":[IMAGE],\"limits\":{\"timeout\":\"soon\"}} | 'limits.timeout' must be",
      "{\"variants\":[IMAGE],\"limits\":{\"concurrency\":1.5}} | 'limits.concurrency' must be a whole number",
      "{\"variants\":[IMAGE],\"environment\":{\"A\":1}} | 'environment.A' must be a string",
      "{\"variants\":[IMAGE],\"activate\":\"yes\"} | 'activate' must be true or false",
      "{\"variants\":[IMAGE],\"limits\":{\"memory\":1e999999999}} | must be bytes",
      "{\"variants\":[IMAGE],\"limits\":{\"memory\":NaN}} | line 1",
      "{\"@class\":\"java.lang.Runtime\"} | '@class' is not known"})
  void refusesBadBodiesAndSaysWhy(String body, String why) throws Exception {
    String image = "{\"digest\":\"" + upload(50) + "\"}";
    Answer answer = node.call("POST", F + "/versions", body.replace("IMAGE", image));
    assertProblem(400, "bad-body", answer);
    assertTrue(Json.read(answer.body()).get("detail").textValue().contains(why), answer::toString);
    assertTrue(node.functions.list().isEmpty());
  }

  @Test
  void refusesJsonBombs() throws Exception {
    for (String bomb : List.of("[".repeat(100_000), "{\"a\":".repeat(50_000), "{\"labels\":{\"a\":\"" + "x".repeat(200_000) + "\"}}", "{\"limits\":{\"memory\":" + "9".repeat(100_000) + "}}",
        "{\"" + "n".repeat(100_000) + "\":1}", "{\"a\":\"\\ud800\\u0000\u0001\"}",
        "{\"limits\":{\"memory\":1e999999999}}", "{\"limits\":{\"memory\":-1E-999999999}}", "{\"variants\":[],\"variants\":[]}", "{\"a\":[" + "{},".repeat(200_000) + "{}]}",
        "{\"@class\":\"java.net.URL\",\"variants\":[]}")) {
      Answer answer = node.call("POST", F + "/versions", bomb);
      assertProblem(400, "bad-body", answer);
      assertTrue(answer.body().length < 1200, answer::toString);
    }
    assertProblem(413, "too-large", node.call("POST", F + "/versions", " ".repeat((1 << 20) + 1)));
  }

  @Test
  void refusesValuesOutOfRangeAndImagesThatAreNotThere() throws Exception {
    String image = "{\"digest\":\"" + upload(50) + "\"}";
    assertProblem(400, "bad-request", node.call("POST", F + "/versions", "{\"variants\":[" + image + "],\"limits\":{\"memory\":1}}"));
    assertProblem(400, "bad-request", node.call("POST", F + "/versions", "{\"variants\":[]}"));
    assertProblem(400, "bad-request", node.call("POST", F + "/versions", "{\"variants\":[{\"digest\":\"md5:1\"}]}"));
    assertProblem(404, "image-not-found", node.call("POST", F + "/versions", "{\"variants\":[{\"digest\":\"sha256:" + "0".repeat(64) + "\"}]}"));
    node.functions.refuse(new InstarException(ErrorCode.MODULE_REFUSED, "The module imports env.nothing."));
    Answer refused = node.call("POST", F + "/versions", "{\"variants\":[" + image + "]}");
    assertProblem(422, "module-refused", refused);
    assertTrue(refused.text().contains("env.nothing"));
    assertProblem(400, "bad-request", node.get(F + "/versions/one"));
    assertProblem(400, "bad-request", node.get(F + "/versions/99999999999"));
  }

  @Test
  void callsAFunction() throws Exception {
    node.function("demo/echo", Limits.DEFAULT);
    node.function("demo/echo", Limits.DEFAULT);
    Answer answer = node.call("POST", F + "/invoke", "hello");
    assertEquals(200, answer.status(), answer::toString);
    assertEquals("hello", answer.text());
    assertEquals("application/octet-stream", answer.headers().get("content-type"));
    assertEquals("cold", answer.headers().get("instar-startup"));
    assertEquals("2", answer.headers().get("instar-version"));
    assertEquals("scripted", answer.headers().get("instar-backend"));
    assertEquals(answer.headers().get("instar-request-id"), node.invoker.last().id());
    assertEquals(OptionalInt.empty(), node.invoker.last().version());
    assertEquals("1", node.call("POST", F + "/invoke?version=1&timeout=500ms", "").headers().get("instar-version"));
    assertEquals(OptionalInt.of(1), node.invoker.last().version());
    assertEquals(Optional.of(Duration.ofMillis(500)), node.invoker.last().timeout());
    assertProblem(404, "version-not-found", node.call("POST", F + "/invoke?version=3", ""));
    for (String query : List.of("version=0", "version=x", "timeout=soon", "timeout=0", "timeout=-1s", "version=%zz")) {
      assertProblem(400, "bad-request", node.call("POST", F + "/invoke?" + query, ""));
    }
    // No body at all.
    assertEquals("", RawHttp.exchange(node.port(), "POST " + F + "/invoke HTTP/1.1\r\nHost: localhost\r\n\r\n").text());
  }

  @Test
  void aSmallBodyIsWholeBeforeASandboxIsAskedFor() throws Exception {
    node.function("demo/echo", Limits.DEFAULT);
    CountDownLatch asked = new CountDownLatch(1);
    node.invoker.script(call -> {
      asked.countDown();
      ScriptedInvoker.ECHO.run(call);
    });
    try (RawHttp http = new RawHttp(node.port())) {
      http.send("POST " + F + "/invoke HTTP/1.1\r\nHost: localhost\r\nContent-Length: 65536\r\n\r\n").send(new byte[65535]);
      Thread.sleep(100);
      assertEquals(1, asked.getCount());
      assertEquals(65536, http.send(new byte[1]).answer().body().length);
    }
  }

  @Test
  void aLargeBodyStreamsIntoTheSandbox() throws Exception {
    node.function("demo/echo", Limits.DEFAULT);
    CountDownLatch begun = new CountDownLatch(1);
    node.invoker.script(call -> {
      assertEquals(65537, call.input().length().getAsLong());
      call.input().stream().read();
      begun.countDown();
      call.output().write(call.input().stream().readAllBytes());
    });
    try (RawHttp http = new RawHttp(node.port())) {
      http.send("POST " + F + "/invoke HTTP/1.1\r\nHost: localhost\r\nContent-Length: 65537\r\n\r\n").send(new byte[100]);
      begun.await();
      assertEquals(65536, http.send(new byte[65437]).answer().body().length);
    }
  }

  @Test
  void theInputLimitIsTheFunctions() throws Exception {
    Limits d = Limits.DEFAULT;
    node.function("demo/echo", new Limits(d.memoryBytes(), d.timeout(), 100, d.outputBytes(), d.logBytes(), d.concurrency()));
    assertEquals(200, node.call("POST", F + "/invoke", "x".repeat(100)).status());
    Answer declared = node.call("POST", F + "/invoke", "x".repeat(101));
    assertProblem(413, "too-large", declared);
    assertTrue(declared.text().contains("\"limitBytes\":100"));
    Answer chunked = RawHttp.exchange(node.port(), "POST " + F + "/invoke HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n" + "x".repeat(101) + "\r\n0\r\n\r\n");
    assertProblem(413, "too-large", chunked);
  }

  @ParameterizedTest
  @CsvSource({"FUNCTION_BUSY,429", "FUNCTION_TRAPPED,502", "FUNCTION_FAILED,502", "SANDBOX_CRASHED,502", "OUT_OF_MEMORY,502", "OUTPUT_TOO_LARGE,502", "CHAINING_UNAVAILABLE,502", "NODE_BUSY,503",
      "BACKEND_UNAVAILABLE,503", "TIMED_OUT,504", "MODULE_REFUSED,422", "DAMAGED,500"})
  void everyFailureOfACallHasItsStatusAndTheConnectionGoesOn(ErrorCode code, int status) throws Exception {
    node.function("demo/echo", Limits.DEFAULT);
    Problem problem = Problem.of(code, "It was so.", Map.of("exitCode", 7));
    node.invoker.script(ScriptedInvoker.failing(status == 429 || status == 503 ? problem.retryAfter(Duration.ofSeconds(3)) : problem));
    try (RawHttp http = new RawHttp(node.port())) {
      for (int i = 0; i < 2; i++) {
        Answer answer = http.send("POST " + F + "/invoke HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nhi").answer();
        assertProblem(status, code.code(), answer);
        assertTrue(answer.text().contains("\"exitCode\":7"));
        assertEquals(status == 429 || status == 503 ? Optional.of("3") : Optional.empty(), answer.header("retry-after"));
        assertFalse(answer.headers().containsKey("instar-startup"));
      }
    }
  }

  @Test
  void aTrapWithinTheHoldBackIsCleanAndOneBeyondItCutsTheAnswer() throws Exception {
    node.function("demo/echo", Limits.DEFAULT);
    node.invoker.script(call -> {
      call.output().write(new byte[60_000]);
      throw new InstarException(ErrorCode.FUNCTION_TRAPPED, "unreachable");
    });
    assertProblem(502, "function-trapped", node.call("POST", F + "/invoke", ""));
    node.invoker.script(call -> {
      call.output().write(new byte[70_000]);
      throw new InstarException(ErrorCode.FUNCTION_TRAPPED, "unreachable");
    });
    assertThrows(EOFException.class, () -> node.call("POST", F + "/invoke", ""));
  }

  @Test
  void whatAFunctionWritesIsNeverAHeader() throws Exception {
    node.function("demo/echo", Limits.DEFAULT);
    node.invoker.script(call -> call.output().write("HTTP/1.1 200 OK\r\nInstar-Startup: forged\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".getBytes()));
    Answer answer = node.call("POST", F + "/invoke", "");
    assertEquals("cold", answer.headers().get("instar-startup"));
    assertTrue(answer.text().startsWith("HTTP/1.1 200 OK\r\nInstar-Startup: forged"));
  }

  @Test
  void aSchedulerCanBeReplacedUnderACall() throws Exception {
    node.function("demo/echo", Limits.DEFAULT);
    CountDownLatch refused = new CountDownLatch(1);
    node.invoker.script(call -> {
      refused.countDown();
      throw new InstarException(ErrorCode.NOT_READY, "stopping");
    });
    Thread.ofVirtual().start(() -> {
      try {
        refused.await();
        Thread.sleep(50);
      } catch (InterruptedException e) {
        return;
      }
      node.services.invokers().unbind(node.invoker);
      node.services.invokers().bind(new ScriptedInvoker(node.functions), Map.of());
    });
    assertEquals("hello", node.call("POST", F + "/invoke", "hello").text());
  }

  @Test
  void aCallThatHadBegunIsNotMadeTwice() throws Exception {
    node.function("demo/echo", Limits.DEFAULT);
    Invoker stopping = call -> {
      try {
        call.input().stream().read();
      } catch (IOException e) {
        throw new java.io.UncheckedIOException(e);
      }
      return new Outcome.Failed(Problem.of(ErrorCode.NOT_READY, "stopping"));
    };
    Invoker successor = new Invoker() {
      @Override
      public Outcome invoke(Invocation invocation) {
        throw new AssertionError("called twice");
      }
    };
    node.services.invokers().unbind(node.invoker);
    node.services.invokers().bind(stopping, Map.of("service.ranking", 2));
    node.services.invokers().bind(successor, Map.of());
    assertProblem(503, "not-ready", node.call("POST", F + "/invoke", "hello"));
  }

  @Test
  void waitsForPartsThatAreBeingReplacedAndThenSaysWhichIsMissing() throws Exception {
    try (Node quick = new Node(new Settings(10, 1, 1000, 1, Duration.ofMillis(100), Duration.ofSeconds(1)), dev.instar.listener.Settings.FREE_PORT)) {
      quick.function("demo/echo", Limits.DEFAULT);
      quick.services.invokers().unbind(quick.invoker);
      Answer answer = quick.call("POST", F + "/invoke", "");
      assertProblem(503, "not-ready", answer);
      assertTrue(answer.text().contains("scheduler"));
      assertTrue(answer.headers().containsKey("retry-after"));
      quick.services.functions().unbind(quick.functions);
      assertProblem(503, "not-ready", quick.get("/v1/functions"));
      quick.services.images().unbind(quick.images);
      assertProblem(503, "not-ready", quick.call("POST", "/v1/images", "x"));
    }
  }

  @Test
  void readsLogs() throws Exception {
    node.function("demo/echo", Limits.DEFAULT);
    for (int i = 0; i < 5; i++) {
      node.logs.say("line " + i + " \"quoted\"");
    }
    Answer answer = node.get(F + "/logs?tail=2");
    assertEquals(200, answer.status(), answer::toString);
    assertEquals("application/x-ndjson", answer.headers().get("content-type"));
    List<String> lines = answer.text().lines().toList();
    assertEquals(2, lines.size());
    JsonNode entry = Json.read(lines.get(1).getBytes());
    assertEquals("line 4 \"quoted\"", entry.get("text").textValue());
    assertEquals(1, entry.get("version").intValue());
    assertEquals("inv", entry.get("invocation").textValue());
    assertEquals("", node.get(F + "/logs?since=2999-01-01T00:00:00Z").text());
    assertEquals(5, node.get(F + "/logs?since=2020-01-01T00:00:00%2B01:00").text().lines().count());
    for (String query : List.of("tail=x", "tail=-1", "tail=10001", "since=yesterday", "follow=maybe")) {
      assertProblem(400, "bad-request", node.get(F + "/logs?" + query));
    }
  }

  @Test
  void followsALogUntilTheFunctionGoes() throws Exception {
    node.function("demo/echo", Limits.DEFAULT);
    node.logs.say("before");
    try (RawHttp http = new RawHttp(node.port())) {
      http.send("GET " + F + "/logs?follow=true HTTP/1.1\r\nHost: localhost\r\n\r\n");
      http.line();
      http.headers();
      String before = chunk(http);
      assertTrue(before.contains("before"), before);
      node.logs.say("after");
      String after = chunk(http);
      assertTrue(after.contains("after"), after);
      node.functions.remove(dev.instar.api.function.FunctionName.parse("demo/echo"));
      assertEquals("", chunk(http));
    }
    while (node.logs.followers() > 0) {
      Thread.sleep(5);
    }
  }

  @Test
  void aFollowerThatReadsLateMissesNothing() throws Exception {
    // More than the sockets' buffers and the queue before them hold.
    int entries = 3000;
    String filler = " " + "x".repeat(8000);
    node.function("demo/echo", Limits.DEFAULT);
    try (RawHttp http = new RawHttp(node.port())) {
      http.send("GET " + F + "/logs?follow=true&tail=0 HTTP/1.1\r\nHost: localhost\r\n\r\n");
      http.line();
      http.headers();
      Thread writer = Thread.ofVirtual().start(() -> {
        for (int i = 0; i < entries; i++) {
          node.logs.say(i + filler);
        }
      });
      Thread.sleep(1500);
      assertTrue(writer.isAlive(), "all of it found room on the way");
      for (int i = 0; i < entries; i++) {
        String text = Json.read(chunk(http).getBytes()).get("text").textValue();
        assertEquals(Integer.toString(i), text.substring(0, text.indexOf(' ')));
      }
      writer.join();
    }
  }

  @Test
  void followersAreFew() throws Exception {
    try (Node few = new Node(new Settings(10, 1, 1000, 1, Duration.ofSeconds(1), Duration.ofSeconds(1)), dev.instar.listener.Settings.FREE_PORT);
        RawHttp first = new RawHttp(few.port())) {
      few.function("demo/echo", Limits.DEFAULT);
      few.logs.say("x");
      first.send("GET " + F + "/logs?follow HTTP/1.1\r\nHost: localhost\r\n\r\n");
      assertEquals("HTTP/1.1 200 OK", first.line());
      assertProblem(503, "node-busy", few.get(F + "/logs?follow=true"));
    }
  }

  @Test
  void aLogThatCannotBeFollowedTakesNoPlace() throws Exception {
    try (Node few = new Node(new Settings(10, 1, 1000, 1, Duration.ofSeconds(1), Duration.ofSeconds(1)), dev.instar.listener.Settings.FREE_PORT)) {
      few.function("demo/echo", Limits.DEFAULT);
      few.logs.refuse(new InstarException(ErrorCode.NO_SPACE, "There is no room to follow."));
      for (int i = 0; i < 3; i++) {
        assertProblem(507, "no-space", few.get(F + "/logs?follow=true"));
      }
    }
  }

  @Test
  void aCallWithMalformedChunksIsABadBody() throws Exception {
    node.function("demo/echo", Limits.DEFAULT);
    for (String broken : new String[] {"-1\r\n", "FFFFFFFFFFFFFFFFF\r\n", "zz\r\n", "5\r\nabcdeX\r\n0\r\n\r\n"}) {
      try (RawHttp http = new RawHttp(node.port())) {
        http.send("POST " + F + "/invoke HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" + broken);
        assertProblem(400, "bad-body", http.answer());
        assertTrue(http.closed());
      }
    }
  }

  @Test
  void aStopEndsThoseWhoFollow() throws Exception {
    node.function("demo/echo", Limits.DEFAULT);
    try (RawHttp http = new RawHttp(node.port())) {
      http.send("GET " + F + "/logs?follow=true HTTP/1.1\r\nHost: localhost\r\n\r\n");
      http.line();
      http.headers();
      Thread stop = Thread.ofVirtual().start(node::close);
      assertEquals("", chunk(http));
      stop.join();
    }
  }

  /** The end of a chunk comes with the next one's beginning. */
  private static String chunk(RawHttp http) throws IOException {
    String length = http.line();
    while (length.isEmpty()) {
      length = http.line();
    }
    return Integer.parseInt(length, 16) == 0 ? "" : http.line();
  }
}
