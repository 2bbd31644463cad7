package dev.instar.gateway;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.http.HttpDialect;
import dev.instar.api.http.HttpExchange;
import dev.instar.api.http.Route;
import dev.instar.tck.http.RawHttp;
import dev.instar.tck.http.RawHttp.Answer;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** What every route gets from the gateway, through the real listener. */
class ExchangeIT {
  private static final int MIB = 1 << 20;
  private Node node = new Node();

  @AfterEach
  void close() {
    node.close();
  }

  private void with(Settings settings) {
    node.close();
    node = new Node(settings, dev.instar.listener.Settings.FREE_PORT);
  }

  static void assertProblem(int status, String code, Answer answer) {
    assertEquals(status, answer.status(), answer::toString);
    assertEquals(code, answer.code(), answer::toString);
    assertTrue(answer.text().contains("\"instance\":\"" + answer.headers().get("instar-request-id") + "\""), answer::toString);
    assertTrue(answer.text().contains("\"type\":\"urn:instar:error:" + code + "\""), answer::toString);
    assertEquals("nosniff", answer.headers().get("x-content-type-options"), answer::toString);
    assertFalse(answer.text().contains("Exception") || answer.text().contains("\\tat ") || answer.text().contains("dev.instar."), answer::toString);
  }

  @Test
  void anUnknownPathIsNotFound() throws Exception {
    assertProblem(404, "route-not-found", node.get("/"));
    assertProblem(404, "route-not-found", node.get("/v0/nothing"));
    assertProblem(404, "route-not-found", node.call("BREW", "/nothing", ""));
  }

  @Test
  void anotherMethodIsNotAllowedAndTheRightOnesAreNamed() throws Exception {
    for (String method : new String[] {"PUT", "DELETE", "TRACE", "BREW", "PATCH"}) {
      Answer answer = node.call(method, "/v1", "");
      assertProblem(405, "method-not-allowed", answer);
      assertEquals("GET, HEAD, OPTIONS", answer.headers().get("allow"));
    }
  }

  @Test
  void optionsTellsTheMethods() throws Exception {
    Answer answer = node.call("OPTIONS", "/v1/functions/u/f", "");
    assertEquals(204, answer.status());
    assertEquals("DELETE, GET, HEAD, OPTIONS", answer.headers().get("allow"));
    assertEquals(204, RawHttp.exchange(node.port(), "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n").status());
  }

  @Test
  void headIsGetWithoutTheBody() throws Exception {
    Answer get = node.get("/v1/functions");
    try (RawHttp http = new RawHttp(node.port())) {
      Answer head = http.send("HEAD /v1/functions HTTP/1.1\r\nHost: localhost\r\n\r\n").answerToHead();
      assertEquals(200, head.status());
      assertEquals(get.headers().get("content-length"), head.headers().get("content-length"));
      assertEquals("application/json", head.headers().get("content-type"));
      head = http.send("HEAD /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n").answerToHead();
      assertEquals(404, head.status());
      // The connection is in step: no body was sent.
      assertEquals(200, http.send("GET /v1 HTTP/1.1\r\nHost: localhost\r\n\r\n").answer().status());
    }
  }

  @Test
  void aTrailingSlashIsIgnored() throws Exception {
    assertEquals(200, node.get("/v1/").status());
  }

  @Test
  void requestIdsAreTheNodesOwn() throws Exception {
    Set<String> ids = new HashSet<>();
    for (int i = 0; i < 10; i++) {
      Answer answer = RawHttp.exchange(node.port(), "GET /v1 HTTP/1.1\r\nHost: localhost\r\nInstar-Request-Id: forged\r\n\r\n");
      ids.add(answer.headers().get("instar-request-id"));
    }
    assertEquals(10, ids.size());
    assertFalse(ids.contains("forged"));
  }

  @Test
  void variablesAreDecodedOnce() throws Exception {
    node.route("GET", "/echo/{what}", x -> x.respond(200, Map.of(), x.variable("what").getBytes(StandardCharsets.UTF_8)));
    assertEquals("a~b", node.get("/echo/a%7Eb").text());
    assertEquals("ü", node.get("/echo/%c3%bc").text());
  }

  @Test
  void aFaultOfARouteIsShownByItsIdOnly() throws Exception {
    node.route("GET", "/fault", x -> {
      throw new IllegalStateException("secret");
    });
    node.route("GET", "/fault2", x -> {
      throw new IOException("secret");
    });
    node.route("GET", "/silent", x -> {});
    for (String path : new String[] {"/fault", "/fault2", "/silent"}) {
      Answer answer = node.get(path);
      assertProblem(500, "internal", answer);
      assertFalse(answer.text().contains("secret"));
    }
  }

  @Test
  void headersThatTheNodeOwnsAreNotTakenAndSplitOnesAreRefused() throws Exception {
    node.route("GET", "/owned", x -> x.respond(200, Map.of("Transfer-Encoding", "chunked", "Content-Length", "99", "connection", "close", "Instar-Request-Id", "forged", "X-Own", "yes"), new byte[3]));
    Answer owned = node.get("/owned");
    assertEquals("3", owned.headers().get("content-length"));
    assertFalse(owned.headers().containsKey("transfer-encoding") || owned.headers().containsKey("connection"));
    assertFalse("forged".equals(owned.headers().get("instar-request-id")));
    assertEquals("yes", owned.headers().get("x-own"));
    for (String bad : new String[] {"a\r\nX-Injected: 1", "a\nb", "a\0b", "a\u010d\u010a"}) {
      node.route("GET", "/split" + bad.hashCode(), x -> x.respond(200, Map.of("X-Own", bad), new byte[0]));
      Answer answer = node.get("/split" + bad.hashCode());
      assertProblem(500, "internal", answer);
      assertFalse(answer.headers().containsKey("x-injected"));
    }
    node.route("GET", "/name", x -> x.stream(200, Map.of("X-Bad: 1\r\nX-Injected", "1"), 0).finish());
    assertProblem(500, "internal", node.get("/name"));
  }

  @Test
  void bodiesStreamBothWaysBeyondAnyBuffer() throws Exception {
    node.route("POST", "/echo", x -> {
      HttpExchange.Streamed out = x.stream(200, Map.of(), 1024);
      x.body(1L << 40).stream().transferTo(out);
      out.finish();
    });
    int length = 24 * MIB;
    try (RawHttp http = new RawHttp(node.port())) {
      Thread sender = Thread.ofVirtual().start(() -> {
        try {
          http.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + length + "\r\n\r\n");
          for (int sent = 0; sent < length; sent += MIB) {
            http.send(pattern(sent, MIB));
          }
        } catch (IOException e) {
          throw new java.io.UncheckedIOException(e);
        }
      });
      Answer answer = http.answer();
      sender.join();
      assertEquals("chunked", answer.headers().get("transfer-encoding"), () -> answer.status() + " " + answer.headers());
      assertArrayEquals(pattern(0, length), answer.body());
    }
  }

  private static byte[] pattern(int from, int length) {
    byte[] bytes = new byte[length];
    for (int i = 0; i < length; i++) {
      bytes[i] = (byte) ((from + i) * 31 >>> 3);
    }
    return bytes;
  }

  @Test
  void theFirstBytesArriveBeforeTheLastAreSent() throws Exception {
    CountDownLatch seen = new CountDownLatch(1);
    node.route("GET", "/slow", x -> {
      HttpExchange.Streamed out = x.stream(200, Map.of(), 0);
      out.write("first\n".getBytes());
      seen.await();
      out.write("last\n".getBytes());
      out.finish();
    });
    try (RawHttp http = new RawHttp(node.port())) {
      http.send("GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n");
      http.line();
      http.headers();
      assertEquals("6", http.line());
      assertEquals("first", http.line());
      seen.countDown();
      http.line();
      assertEquals("5", http.line());
      assertEquals("last", http.line());
    }
  }

  @Test
  void aShortStreamIsAWholeAnswerWithItsLength() throws Exception {
    node.route("GET", "/short", x -> {
      HttpExchange.Streamed out = x.stream(200, Map.of("A", "1"), 100);
      out.write(new byte[50]);
      out.flush();
      out.header("B", "2");
      out.write(new byte[50]);
      assertFalse(out.committed());
      out.finish();
      out.finish();
    });
    Answer answer = node.get("/short");
    assertEquals("100", answer.headers().get("content-length"));
    assertEquals("1", answer.headers().get("a"));
    assertEquals("2", answer.headers().get("b"));
  }

  @Test
  void aFailureWithinTheHoldBackIsAProblem() throws Exception {
    node.route("GET", "/late", x -> {
      x.stream(200, Map.of("Content-Type", "text/plain"), 64 << 10).write(new byte[64 << 10]);
      throw new InstarException(ErrorCode.FUNCTION_TRAPPED, "unreachable");
    });
    assertProblem(502, "function-trapped", node.get("/late"));
  }

  @Test
  void aFailureBeyondItCutsTheAnswer() throws Exception {
    node.route("GET", "/late", x -> {
      x.stream(200, Map.of(), 64 << 10).write(new byte[(64 << 10) + 1]);
      throw new InstarException(ErrorCode.FUNCTION_TRAPPED, "unreachable");
    });
    assertThrows(EOFException.class, () -> node.get("/late"));
    // HTTP/1.0 ends an answer by the end of the connection; a cut one must not look like that.
    try (RawHttp http = new RawHttp(node.port())) {
      http.send("GET /late HTTP/1.0\r\nHost: localhost\r\n\r\n");
      assertEquals("HTTP/1.1 200 OK", http.line());
      assertThrows(java.net.SocketException.class, http::rest);
    }
    try (HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_2).build()) {
      URI uri = URI.create("http://127.0.0.1:" + node.port());
      assertEquals(HttpClient.Version.HTTP_2, client.send(HttpRequest.newBuilder(uri.resolve("/v1")).build(), BodyHandlers.ofString()).version());
      assertThrows(IOException.class, () -> client.send(HttpRequest.newBuilder(uri.resolve("/late")).build(), BodyHandlers.ofByteArray()));
      assertEquals(200, client.send(HttpRequest.newBuilder(uri.resolve("/v1")).build(), BodyHandlers.ofString()).statusCode());
    }
  }

  @Test
  void aCallerThatWentIsNotAnswered() throws Exception {
    node.route("GET", "/gone", x -> {
      throw new InstarException(ErrorCode.CALLER_GONE, "gone");
    });
    try (RawHttp http = new RawHttp(node.port())) {
      assertTrue(http.send("GET /gone HTTP/1.1\r\nHost: localhost\r\n\r\n").closed());
    }
  }

  @Test
  void aDeclaredBodyOverTheLimitIsRefusedBeforeItIsSent() throws Exception {
    AtomicInteger read = new AtomicInteger();
    node.route("POST", "/small", x -> {
      InputStream body = x.body(10).stream();
      read.incrementAndGet();
      body.readAllBytes();
      x.respond(200, Map.of(), new byte[0]);
    });
    try (RawHttp http = new RawHttp(node.port())) {
      Answer answer = http.send("POST /small HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1099511627776\r\n\r\n").answer();
      assertProblem(413, "too-large", answer);
      assertTrue(answer.text().contains("\"limitBytes\":10"), answer::toString);
      assertEquals("close", answer.headers().get("connection"));
    }
    assertEquals(0, read.get());
  }

  @Test
  void aChunkedBodyIsRefusedWhereItPassesTheLimit() throws Exception {
    node.route("POST", "/small", x -> {
      assertTrue(x.body(10).length().isEmpty());
      x.body(10).stream().readAllBytes();
      x.respond(200, Map.of(), new byte[0]);
    });
    try (RawHttp http = new RawHttp(node.port())) {
      http.send("POST /small HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n5\r\nabcde\r\n0\r\n\r\n");
      assertEquals(200, http.answer().status());
      http.send("POST /small HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n6\r\nabcdef\r\n0\r\n\r\n");
      assertProblem(413, "too-large", http.answer());
      // What was left of the small body was read: the connection goes on.
      assertEquals(200, http.send("GET /v1 HTTP/1.1\r\nHost: localhost\r\n\r\n").answer().status());
    }
  }

  @Test
  void aChunkedBodyWithoutEndIsCutOff() throws Exception {
    node.route("POST", "/small", x -> {
      x.body(10).stream().readAllBytes();
      x.respond(200, Map.of(), new byte[0]);
    });
    try (RawHttp http = new RawHttp(node.port())) {
      http.send("POST /small HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
      AtomicBoolean refused = new AtomicBoolean();
      Thread sender = Thread.ofVirtual().start(() -> {
        try {
          while (true) {
            http.send("1000\r\n" + "x".repeat(4096) + "\r\n");
          }
        } catch (IOException e) {
          refused.set(true);
        }
      });
      assertProblem(413, "too-large", http.answer());
      sender.join();
      assertTrue(refused.get());
    }
  }

  @Test
  void theConnectionIsKeptAfterAnErrorThatLeftASmallBody() throws Exception {
    try (RawHttp http = new RawHttp(node.port())) {
      for (int i = 0; i < 3; i++) {
        Answer answer = http.send("POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n\r\n").send("x".repeat(5000)).answer();
        assertProblem(404, "route-not-found", answer);
        assertFalse(answer.headers().containsKey("connection"));
      }
      // The body of the refused request is never taken for a request.
      String smuggled = "GET /v1 HTTP/1.1\r\nHost: localhost\r\n\r\n";
      http.send("POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + smuggled.length() + "\r\n\r\n" + smuggled + "GET /v1/functions HTTP/1.1\r\nHost: localhost\r\n\r\n");
      assertEquals(404, http.answer().status());
      assertEquals("{\"functions\":[]}", http.answer().text());
    }
  }

  @Test
  void aCallerThatStillSendsSeesTheError() throws Exception {
    try (RawHttp http = new RawHttp(node.port())) {
      http.send("POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8000000\r\n\r\n");
      http.send(new byte[8_000_000]);
      Answer answer = http.answer();
      assertProblem(404, "route-not-found", answer);
      assertEquals("close", answer.headers().get("connection"));
      assertTrue(http.closed());
    }
  }

  @Test
  void aBodyThatNeverComesDoesNotHoldAnErrorBack() throws Exception {
    try (RawHttp http = new RawHttp(node.port())) {
      assertProblem(404, "route-not-found", http.send("POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n").answer());
      assertTrue(http.closed());
    }
  }

  @Test
  void continueIsSentAfterTheChecksOnly() throws Exception {
    node.route("POST", "/echo", x -> x.respond(200, Map.of(), x.bodyBytes(100)));
    try (RawHttp http = new RawHttp(node.port())) {
      Answer refused = http.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 101\r\n\r\n").answer();
      assertProblem(413, "too-large", refused);
      assertTrue(http.closed());
    }
    try (RawHttp http = new RawHttp(node.port())) {
      assertEquals(404, http.send("POST /nothing HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n").answer().status());
      assertTrue(http.closed());
    }
    try (RawHttp http = new RawHttp(node.port())) {
      assertEquals(100, http.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n").answer().status());
      assertEquals("hi", http.send("hi").answer().text());
      // One that does not wait is served all the same, and the connection goes on.
      Answer eager = http.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nho").answer();
      assertEquals("ho", (eager.status() == 100 ? http.answer() : eager).text());
      assertEquals(200, http.send("GET /v1 HTTP/1.1\r\nHost: localhost\r\n\r\n").answer().status());
    }
  }

  @Test
  void aCutBodyIsABadBody() throws Exception {
    node.route("POST", "/echo", x -> x.respond(200, Map.of(), x.bodyBytes(100)));
    try (RawHttp http = new RawHttp(node.port())) {
      http.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc").endOutput();
      assertProblem(400, "bad-body", http.answer());
    }
    for (String broken : new String[] {"5\r\nabcdeX\r\n0\r\n\r\n", "zz\r\n", "ffffffffffffffffffff\r\n", "-1\r\n"}) {
      try (RawHttp http = new RawHttp(node.port())) {
        http.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" + broken);
        assertProblem(400, "bad-body", http.answer());
        assertTrue(http.closed());
      }
    }
  }

  @Test
  void aSlowBodyIsTooSlow() throws Exception {
    node.close();
    dev.instar.listener.Settings d = dev.instar.listener.Settings.FREE_PORT;
    node = new Node(Settings.DEFAULT, new dev.instar.listener.Settings(d.name(), d.bind(), 0, d.maxHeaderBytes(), d.headerTimeout(), Duration.ofMillis(300), d.minBytesPerSecond(),
        d.dataRateGrace(), d.maxConnections(), d.entryWait(), d.stopTimeout(), d.http2MaxStreams(), d.http2MaxControlFrames()));
    node.route("POST", "/echo", x -> x.respond(200, Map.of(), x.bodyBytes(100)));
    try (RawHttp http = new RawHttp(node.port())) {
      assertProblem(408, "too-slow", http.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc").answer());
    }
  }

  @Test
  void pipelinedRequestsAreAnsweredInOrder() throws Exception {
    node.route("POST", "/echo", x -> x.respond(200, Map.of(), x.bodyBytes(100)));
    try (RawHttp http = new RawHttp(node.port())) {
      StringBuilder requests = new StringBuilder();
      for (int i = 0; i < 30; i++) {
        requests.append(i % 3 == 2 ? "GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n" : "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n" + (10 + i));
      }
      http.send(requests.toString());
      for (int i = 0; i < 30; i++) {
        Answer answer = http.answer();
        if (i % 3 == 2) {
          assertEquals(404, answer.status());
        } else {
          assertEquals(Integer.toString(10 + i), answer.text());
        }
      }
    }
  }

  @Test
  void aFullNodeSaysSoButCanBeLookedAt() throws Exception {
    // Two are reserved: the exchange that was refused may not have ended quite when the next one comes.
    with(new Settings(2, 2, 64 << 20, 4, Duration.ofSeconds(1), Duration.ofSeconds(5)));
    Semaphore entered = new Semaphore(0);
    CountDownLatch go = new CountDownLatch(1);
    node.route("POST", "/wait", x -> {
      entered.release();
      go.await();
      x.respond(204, Map.of(), new byte[0]);
    });
    CompletableFuture<Answer> first = postAsync("/wait");
    CompletableFuture<Answer> second = postAsync("/wait");
    entered.acquire(2);
    Answer busy = post("/wait");
    assertProblem(503, "node-busy", busy);
    assertEquals("1", busy.headers().get("retry-after"));
    assertEquals(200, node.get("/v1").status());
    go.countDown();
    assertEquals(204, first.get().status());
    assertEquals(204, second.get().status());
    while (node.gateway().inFlight() > 0) {
      Thread.sleep(1);
    }
    entered.drainPermits();
    assertEquals(204, post("/wait").status());
  }

  /** Where nothing may be held, a body is refused, an answer of a route too, and a stream goes out unheld; small ones are as ever, and nothing is left. */
  @Test
  void bodiesAndAnswersKeepToTheHeap() throws Exception {
    node.close();
    HeldBytes heap = new HeldBytes(20_000);
    node = new Node(Settings.DEFAULT, dev.instar.listener.Settings.FREE_PORT, heap);
    node.route("POST", "/echo", x -> x.respond(200, Map.of(), x.bodyBytes(1 << 20)));
    node.route("POST", "/stream", x -> {
      HttpExchange.Streamed out = x.stream(200, Map.of(), 64 << 10);
      out.write(new byte[10_000]);
      out.write(new byte[30_000]);
      assertTrue(out.committed());
      out.finish();
    });
    assertEquals("x".repeat(4096), node.call("POST", "/echo", "x".repeat(4096)).text());
    assertEquals("x".repeat(8000), node.call("POST", "/echo", "x".repeat(8000)).text());
    assertProblem(503, "node-busy", node.call("POST", "/echo", "x".repeat(30_000)));
    // It is answered before it is over.
    while (node.gateway().inFlight() > 0) {
      Thread.sleep(1);
    }
    assertEquals("x".repeat(15_000), node.call("POST", "/echo", "x".repeat(15_000)).text(), "what was done is told");
    node.route("GET", "/large", x -> x.respond(200, Map.of(), new byte[30_000]));
    assertProblem(503, "node-busy", node.get("/large"));
    assertEquals(40_000, node.call("POST", "/stream", "").body().length);
    try (RawHttp http = new RawHttp(node.port())) {
      http.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 18000\r\n\r\n").send("x".repeat(17_000));
      while (heap.held() == 0) {
        Thread.sleep(1);
      }
      assertProblem(503, "node-busy", node.call("POST", "/echo", "x".repeat(8000)));
      assertEquals("hi", node.call("POST", "/echo", "hi").text());
    }
    while (heap.held() > 0 || node.gateway().inFlight() > 0) {
      Thread.sleep(1);
    }
    assertEquals("x".repeat(8000), node.call("POST", "/echo", "x".repeat(8000)).text());
  }

  private Answer post(String path) {
    try {
      return node.call("POST", path, "");
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }

  private CompletableFuture<Answer> postAsync(String path) {
    return CompletableFuture.supplyAsync(() -> post(path), task -> Thread.ofVirtual().start(task));
  }

  @Test
  void aDialectCanBeReplacedUnderLoadWithoutAFailedRequest() throws Exception {
    AtomicBoolean stop = new AtomicBoolean();
    AtomicInteger answered = new AtomicInteger();
    HttpDialect first = Node.dialect("swap", new Route("GET", "/swap", x -> x.respond(200, Map.of(), new byte[1])));
    node.dialects.add(first, Map.of());
    CompletableFuture<Void> client = new CompletableFuture<>();
    Thread.ofVirtual().start(() -> {
      try (RawHttp http = new RawHttp(node.port())) {
        while (!stop.get()) {
          assertEquals(200, http.send("GET /swap HTTP/1.1\r\nHost: localhost\r\n\r\n").answer().status());
          answered.incrementAndGet();
        }
        client.complete(null);
      } catch (Throwable e) {
        client.completeExceptionally(e);
      }
    });
    HttpDialect current = first;
    for (int i = 0; i < 50; i++) {
      HttpDialect next = Node.dialect("swap", new Route("GET", "/swap", x -> x.respond(200, Map.of(), new byte[1])));
      if (i % 2 == 0) {
        node.dialects.add(next, Map.of());
        node.dialects.remove(current, Duration.ZERO);
      } else {
        node.dialects.remove(current, Duration.ZERO);
        node.dialects.add(next, Map.of());
      }
      current = next;
      int before = answered.get();
      while (answered.get() < before + 5 && !client.isDone()) {
        Thread.sleep(1);
      }
    }
    stop.set(true);
    client.get();
  }

  @Test
  void http2IsServedAlike() throws Exception {
    node.route("POST", "/sha", x -> {
      try {
        MessageDigest sha = MessageDigest.getInstance("SHA-256");
        x.body(1L << 40).stream().transferTo(new java.security.DigestOutputStream(java.io.OutputStream.nullOutputStream(), sha));
        x.respond(200, Map.of(), sha.digest());
      } catch (java.security.NoSuchAlgorithmException e) {
        throw new IllegalStateException(e);
      }
    });
    try (HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_2).build()) {
      URI uri = URI.create("http://127.0.0.1:" + node.port());
      client.send(HttpRequest.newBuilder(uri.resolve("/v1")).build(), BodyHandlers.ofString());
      byte[] large = pattern(0, 8 * MIB);
      HttpResponse<byte[]> whole = client.send(HttpRequest.newBuilder(uri.resolve("/sha")).POST(BodyPublishers.ofByteArray(large)).build(), BodyHandlers.ofByteArray());
      assertEquals(HttpClient.Version.HTTP_2, whole.version());
      assertArrayEquals(MessageDigest.getInstance("SHA-256").digest(large), whole.body());
      HttpResponse<String> missing = client.send(HttpRequest.newBuilder(uri.resolve("/nothing")).POST(BodyPublishers.ofByteArray(new byte[1000])).build(), BodyHandlers.ofString());
      assertEquals(404, missing.statusCode());
      assertTrue(missing.body().contains("route-not-found"));
      HttpResponse<String> head = client.send(HttpRequest.newBuilder(uri.resolve("/v1")).method("HEAD", BodyPublishers.noBody()).build(), BodyHandlers.ofString());
      assertEquals(200, head.statusCode());
      assertEquals("", head.body());
    }
  }

  /** A route that works for its caller until it is interrupted, and the future of how that ended. */
  private CompletableFuture<ErrorCode> work(CountDownLatch entered) {
    CompletableFuture<ErrorCode> end = new CompletableFuture<>();
    node.route("POST", "/work", x -> {
      x.bodyBytes(100);
      try {
        x.forCaller(() -> {
          entered.countDown();
          new CountDownLatch(1).await();
          return null;
        });
      } catch (InstarException e) {
        // Nothing of the interrupt is left for what follows on this thread.
        assertFalse(Thread.currentThread().isInterrupted());
        end.complete(e.code());
        throw e;
      }
    });
    return end;
  }

  @Test
  void workIsInterruptedWhenItsCallerClosesTheConnection() throws Exception {
    CountDownLatch entered = new CountDownLatch(1);
    CompletableFuture<ErrorCode> end = work(entered);
    try (RawHttp http = new RawHttp(node.port())) {
      http.send("POST /work HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc");
      entered.await();
    }
    assertEquals(ErrorCode.CALLER_GONE, end.get(20, TimeUnit.SECONDS));
  }

  @Test
  void workIsInterruptedWhenItsStreamIsReset() throws Exception {
    CountDownLatch entered = new CountDownLatch(1);
    CompletableFuture<ErrorCode> end = work(entered);
    try (HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_2).build()) {
      URI uri = URI.create("http://127.0.0.1:" + node.port());
      assertEquals(HttpClient.Version.HTTP_2, client.send(HttpRequest.newBuilder(uri.resolve("/v1")).build(), BodyHandlers.ofString()).version());
      var answer = client.sendAsync(HttpRequest.newBuilder(uri.resolve("/work")).POST(BodyPublishers.ofString("abc")).build(), BodyHandlers.ofString());
      entered.await();
      answer.cancel(true);
      assertEquals(ErrorCode.CALLER_GONE, end.get(20, TimeUnit.SECONDS));
    }
  }

  @Test
  void aRequestSentAheadOfAnAnswerThatTakesLongIsNotLost() throws Exception {
    AtomicBoolean interrupted = new AtomicBoolean();
    node.route("POST", "/slow", x -> {
      byte[] body = x.bodyBytes(100);
      x.forCaller(() -> {
        try {
          Thread.sleep(3500);
        } catch (InterruptedException e) {
          interrupted.set(true);
          throw e;
        }
        return null;
      });
      x.respond(200, Map.of(), body);
    });
    node.route("POST", "/echo", x -> x.respond(200, Map.of(), x.bodyBytes(5000)));
    String large = "x".repeat(3000);
    try (RawHttp http = new RawHttp(node.port())) {
      http.send("POST /slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc");
      // Longer than what a look reads.
      Thread.sleep(500);
      http.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3000\r\n\r\n" + large);
      assertEquals("abc", http.answer().text());
      assertEquals(large, http.answer().text());
    }
    assertFalse(interrupted.get());
  }

  @Test
  void aStopWaitsForWhatRuns() throws Exception {
    CountDownLatch entered = new CountDownLatch(1);
    CountDownLatch go = new CountDownLatch(1);
    node.route("POST", "/wait", x -> {
      entered.countDown();
      go.await();
      x.respond(200, Map.of(), "whole".getBytes());
    });
    CompletableFuture<Answer> answer = postAsync("/wait");
    entered.await();
    Thread stop = Thread.ofVirtual().start(node.gateway()::close);
    Thread.sleep(50);
    assertTrue(stop.isAlive());
    go.countDown();
    assertEquals("whole", answer.get().text());
    stop.join();
  }
}
