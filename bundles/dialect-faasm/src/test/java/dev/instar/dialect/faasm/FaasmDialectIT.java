package dev.instar.dialect.faasm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.Digest;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import dev.instar.api.function.FunctionName;
import dev.instar.api.function.FunctionRegistry;
import dev.instar.api.function.FunctionSpec;
import dev.instar.api.function.Limits;
import dev.instar.api.function.SnapshotPolicy;
import dev.instar.api.function.Variant;
import dev.instar.gateway.MemoryFunctions;
import dev.instar.gateway.MemoryImages;
import dev.instar.gateway.Node;
import dev.instar.gateway.ScriptedInvoker;
import dev.instar.tck.capability.RequiresCapability;
import dev.instar.tck.http.RawHttp;
import dev.instar.tck.http.RawHttp.Answer;
import java.io.EOFException;
import java.io.IOException;
import java.lang.reflect.Proxy;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The dialect behind the real listener and gateway, over parts in memory. */
class FaasmDialectIT {
  private static final FunctionName ECHO = FunctionName.parse("simon/echo");
  private final Node node = new Node();
  private final FaasmDialect dialect = new FaasmDialect(node.services.functions(), node.services.images(), node.services.invokers());

  @BeforeEach
  void add() {
    node.dialects.add(dialect, Map.of());
  }

  @AfterEach
  void close() {
    node.close();
  }

  private Answer put(String path, byte[] body) throws IOException {
    try (RawHttp http = new RawHttp(node.port())) {
      return http.send("PUT " + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + body.length + "\r\n\r\n").send(body).answer();
    }
  }

  private static void assertProblem(int status, String code, Answer answer) {
    assertEquals(status, answer.status(), answer::toString);
    assertEquals(code, answer.code(), answer::toString);
  }

  @Test
  void uploadsCallsAndGivesBack() throws Exception {
    byte[] module = MemoryImages.module(200_000);
    Answer first = put("/f/simon/echo", module);
    assertEquals(201, first.status(), first::toString);
    assertEquals("application/json", first.headers().get("content-type"));
    assertEquals("{\"user\":\"simon\",\"function\":\"echo\",\"version\":1,\"digest\":\"" + Digest.of(module) + "\"}\n", first.text());

    Answer answer = node.call("POST", "/f/simon/echo", "hello faasm");
    assertEquals(200, answer.status(), answer::toString);
    assertEquals("hello faasm", answer.text());
    assertEquals("1", answer.headers().get("instar-version"));
    assertEquals("", RawHttp.exchange(node.port(), "POST /f/simon/echo HTTP/1.1\r\nHost: localhost\r\n\r\n").text());

    Answer back = node.get("/f/simon/echo");
    assertArrayEquals(module, back.body());
    assertEquals("application/octet-stream", back.headers().get("content-type"));
  }

  @Test
  void aTrailingSlashIsAllowed() throws Exception {
    assertEquals(201, put("/f/simon/echo/", MemoryImages.module(10)).status());
    assertEquals("x", node.call("POST", "/f/simon/echo/", "x").text());
    assertEquals(200, node.get("/f/simon/echo/").status());
  }

  @Test
  void theSameContentAgainIsNoNewVersion() throws Exception {
    put("/f/simon/echo", MemoryImages.module(10));
    Answer again = put("/f/simon/echo", MemoryImages.module(10));
    assertEquals(200, again.status());
    assertTrue(again.text().contains("\"version\":1"));
    assertEquals(1, node.functions.find(ECHO).orElseThrow().versions().size());
    Answer other = put("/f/simon/echo", MemoryImages.module(11));
    assertEquals(200, other.status());
    assertTrue(other.text().contains("\"version\":2"));
    // What is stored but not active is published anew: the upload says which code is to run now.
    assertTrue(put("/f/simon/echo", MemoryImages.module(10)).text().contains("\"version\":3"));
  }

  @Test
  void newCodeKeepsAllElse() throws Exception {
    Limits limits = new Limits(1 << 20, Duration.ofSeconds(1), 5, 5, 5, 1);
    node.functions.publish(ECHO, new FunctionSpec(List.of(new Variant(Digest.of(new byte[0]), Variant.WASM, Optional.of("wasm"))), limits, Map.of("A", "1"), Map.of("l", "2"),
        SnapshotPolicy.parse("idle"), List.of("word")), true);
    put("/f/simon/echo", MemoryImages.module(10));
    FunctionSpec spec = node.functions.find(ECHO).orElseThrow().activeVersion().spec();
    assertEquals(limits, spec.limits());
    assertEquals(Map.of("A", "1"), spec.environment());
    assertEquals(Map.of("l", "2"), spec.labels());
    assertEquals(SnapshotPolicy.parse("idle"), spec.snapshot());
    assertEquals(List.of("word"), spec.secrets());
    assertEquals(List.of(new Variant(Digest.of(MemoryImages.module(10)), Variant.WASM, Optional.empty())), spec.variants());
  }

  @ParameterizedTest
  @ValueSource(strings = {"Simon/echo", "simon/e%20o", "simon/..echo", "simon/a..b", "simon/%E2%80%AEohce", "simon/e%CC%81cho", "-/echo", "simon/echo-"})
  void aBadNameIsRefusedBeforeTheBodyIsSent(String name) throws Exception {
    try (RawHttp http = new RawHttp(node.port())) {
      assertProblem(400, "bad-name", http.send("PUT /f/" + name + " HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 1000\r\n\r\n").answer());
    }
    assertProblem(400, "bad-name", node.call("POST", "/f/" + name, "x"));
    assertProblem(400, "bad-name", node.get("/f/" + name));
    assertTrue(node.functions.list().isEmpty());
  }

  @ParameterizedTest
  @ValueSource(strings = {"/f/../../etc/passwd", "/f/simon/..%2f..%2fpasswd", "/f/simon/%2e%2e", "/f/simon/..;/echo", "/f//echo", "/f/simon/echo%00", "/f/simon/echo%5c..", "/f/simon/%c0%ae%c0%ae"})
  void aPathWithTwoReadingsIsRefused(String path) throws Exception {
    assertProblem(400, "bad-request", put(path, MemoryImages.module(10)));
    assertEquals(0, node.images.size());
  }

  @Test
  void refusesWhatIsNoModule() throws Exception {
    assertProblem(400, "bad-body", put("/f/simon/echo", new byte[0]));
    assertProblem(422, "unsupported-artifact", put("/f/simon/echo", "text".getBytes()));
    node.functions.refuse(new InstarException(ErrorCode.MODULE_REFUSED, "The module imports env.nothing."));
    assertProblem(422, "module-refused", put("/f/simon/echo", MemoryImages.module(10)));
    assertTrue(node.functions.list().isEmpty());
  }

  @Test
  void refusesWhatIsTooLargeDeclaredOrNot() throws Exception {
    dialect.configure(1000, Duration.ofSeconds(1));
    assertEquals(201, put("/f/simon/echo", MemoryImages.module(1000)).status());
    try (RawHttp http = new RawHttp(node.port())) {
      Answer declared = http.send("PUT /f/simon/echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1001\r\n\r\n").answer();
      assertProblem(413, "too-large", declared);
      assertTrue(declared.text().contains("\"limitBytes\":1000"));
    }
    assertProblem(413, "too-large", RawHttp.exchange(node.port(), "PUT /f/simon/echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n"
        + new String(MemoryImages.module(1001), StandardCharsets.ISO_8859_1) + "\r\n0\r\n\r\n"));
    assertEquals(1, node.images.size());
  }

  @Test
  void aCutUploadLeavesNothing() throws Exception {
    try (RawHttp http = new RawHttp(node.port())) {
      http.send("PUT /f/simon/echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n").send(MemoryImages.module(999)).endOutput();
      assertProblem(400, "bad-body", http.answer());
    }
    assertEquals(0, node.images.size());
    assertTrue(node.functions.list().isEmpty());
    assertProblem(404, "function-not-found", node.call("POST", "/f/simon/echo", "x"));
  }

  @Test
  void concurrentUploadsOfOneNameAllEnd() throws Exception {
    List<CompletableFuture<Answer>> answers = new ArrayList<>();
    for (int i = 0; i < 8; i++) {
      byte[] module = MemoryImages.module(100 + i);
      CompletableFuture<Answer> answer = new CompletableFuture<>();
      answers.add(answer);
      Thread.ofVirtual().start(() -> {
        try {
          answer.complete(put("/f/simon/echo", module));
        } catch (IOException e) {
          answer.completeExceptionally(e);
        }
      });
    }
    int created = 0;
    for (CompletableFuture<Answer> answer : answers) {
      assertTrue(answer.get().status() == 200 || answer.get().status() == 201, () -> answer.join().toString());
      created += answer.get().status() == 201 ? 1 : 0;
    }
    assertEquals(1, created);
    assertEquals(8, node.functions.find(ECHO).orElseThrow().versions().size());
  }

  @Test
  void concurrentUploadsOfOneContentMakeOneVersion() throws Exception {
    // Whoever finds the name absent waits a moment for another who does.
    CountDownLatch found = new CountDownLatch(2);
    MemoryFunctions functions = node.functions;
    FunctionRegistry slow = (FunctionRegistry) Proxy.newProxyInstance(FunctionRegistry.class.getClassLoader(), new Class<?>[] {FunctionRegistry.class}, (proxy, method, arguments) -> {
      Object result = method.invoke(functions, arguments);
      if ("find".equals(method.getName())) {
        found.countDown();
        found.await(500, TimeUnit.MILLISECONDS);
      }
      return result;
    });
    node.services.functions().unbind(functions);
    node.services.functions().bind(slow, Map.of());
    List<CompletableFuture<Answer>> answers = new ArrayList<>();
    for (int i = 0; i < 2; i++) {
      CompletableFuture<Answer> answer = new CompletableFuture<>();
      answers.add(answer);
      Thread.ofVirtual().start(() -> {
        try {
          answer.complete(put("/f/simon/echo", MemoryImages.module(100)));
        } catch (IOException e) {
          answer.completeExceptionally(e);
        }
      });
    }
    assertEquals(401, answers.get(0).get().status() + answers.get(1).get().status());
    assertEquals(1, functions.find(ECHO).orElseThrow().versions().size());
  }

  @Test
  void saysWhatIsMissing() throws Exception {
    assertProblem(404, "function-not-found", node.call("POST", "/f/simon/echo", "x"));
    assertProblem(404, "function-not-found", node.get("/f/simon/echo"));
    assertProblem(404, "route-not-found", node.get("/f/simon"));
    Answer method = node.call("DELETE", "/f/simon/echo", "");
    assertProblem(405, "method-not-allowed", method);
    assertEquals("GET, HEAD, OPTIONS, POST, PUT", method.headers().get("allow"));
  }

  @ParameterizedTest
  @CsvSource({"FUNCTION_BUSY,429", "FUNCTION_TRAPPED,502", "FUNCTION_FAILED,502", "OUT_OF_MEMORY,502", "NODE_BUSY,503", "BACKEND_UNAVAILABLE,503", "TIMED_OUT,504"})
  void aCallThatFailsIsAProblem(ErrorCode code, int status) throws Exception {
    put("/f/simon/echo", MemoryImages.module(10));
    Problem problem = Problem.of(code, "It was so.");
    node.invoker.script(ScriptedInvoker.failing(status == 429 || status == 503 ? problem.retryAfter(Duration.ofSeconds(1)) : problem));
    Answer answer = node.call("POST", "/f/simon/echo", "x");
    assertProblem(status, code.code(), answer);
    assertEquals(status == 429 || status == 503, answer.headers().containsKey("retry-after"));
    assertFalse(answer.text().contains("\\tat "));
  }

  @Test
  void aFailureAfterTheHoldBackCutsTheConnection() throws Exception {
    put("/f/simon/echo", MemoryImages.module(10));
    node.invoker.script(call -> {
      call.output().write(new byte[100_000]);
      throw new InstarException(ErrorCode.FUNCTION_TRAPPED, "unreachable");
    });
    assertThrows(EOFException.class, () -> node.call("POST", "/f/simon/echo", "x"));
  }

  @Test
  @RequiresCapability("curl")
  void whatTheReadmeOfTheSeedTypesWorks(@TempDir Path dir) throws Exception {
    // Over a megabyte, so that curl expects 100 Continue.
    Path module = Files.write(dir.resolve("do_something.wasm"), MemoryImages.module(3_000_000));
    String url = "http://127.0.0.1:" + node.port() + "/f/simon/cool_func/";
    assertTrue(curl(url, "-X", "PUT", "-T", module.toString()).contains("\"version\":1"));
    assertTrue(curl(url, "-T", module.toString()).contains("\"version\":1"));
    assertTrue(curl("--http2-prior-knowledge", url, "-T", module.toString()).contains("\"version\":1"));
    assertTrue(curl("-H", "Transfer-Encoding: chunked", url, "-T", module.toString()).contains("\"version\":1"));
    assertEquals("hello faasm", curl("-X", "POST", url, "-d", "hello faasm"));
    assertEquals("", curl("-X", "POST", url));
    Path back = dir.resolve("back.wasm");
    curl("-o", back.toString(), url);
    assertArrayEquals(Files.readAllBytes(module), Files.readAllBytes(back));
  }

  private static String curl(String... arguments) throws Exception {
    List<String> command = new ArrayList<>(List.of("curl", "-sS", "--fail-with-body", "--max-time", "20"));
    command.addAll(List.of(arguments));
    Process process = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor(), said);
    return said;
  }
}
