package dev.instar.gateway;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import dev.instar.api.function.Limits;
import dev.instar.api.invocation.Rpc;
import dev.instar.api.invocation.Rpc.Field;
import dev.instar.tck.http.RawHttp2;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.eclipse.jetty.http.HttpField;
import org.eclipse.jetty.http.MetaData;
import org.eclipse.jetty.http2.hpack.HpackDecoder;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** gRPC calls frame by frame through the real listener and gateway. */
@Timeout(60)
class GrpcExchangeIT {
  private static final byte[] MESSAGE = {0, 0, 0, 0, 2, 'h', 'i'};
  @TempDir
  Path directory;
  private final Node node = new Node(Settings.DEFAULT, stoppingSoon());

  /** Jetty waits for connections that are closed while it stops for as long as it may. */
  private static dev.instar.listener.Settings stoppingSoon() {
    dev.instar.listener.Settings d = dev.instar.listener.Settings.FREE_PORT;
    return new dev.instar.listener.Settings(d.name(), d.bind(), d.port(), d.maxHeaderBytes(), d.headerTimeout(), d.idleTimeout(), d.minBytesPerSecond(), d.dataRateGrace(), d.maxConnections(),
        d.entryWait(), Duration.ofSeconds(1), d.http2MaxStreams(), d.http2MaxControlFrames());
  }

  @AfterEach
  void close() {
    node.close();
  }

  /** The blocks of fields in an answer, its body, and whether it ended as it should. */
  private record Answer(List<Map<String, String>> blocks, byte[] body, boolean whole) {
    String status() {
      return blocks.getLast().get("grpc-status");
    }

    String error() {
      return blocks.getLast().getOrDefault("instar-error", "");
    }
  }

  private Answer call(String function, byte[] body, String... metadata) throws Exception {
    try (RawHttp2 http = new RawHttp2(node.port())) {
      begin(http, function, metadata);
      http.frame(RawHttp2.DATA, RawHttp2.END_STREAM, 1, body);
      return answer(http);
    }
  }

  private static void begin(RawHttp2 http, String function, String... metadata) throws Exception {
    List<String> fields = new ArrayList<>(List.of("content-type", "application/grpc+proto", "te", "trailers"));
    if (!function.isEmpty()) {
      fields.addAll(List.of("instar-function", function));
    }
    fields.addAll(List.of(metadata));
    http.frame(RawHttp2.HEADERS, RawHttp2.END_HEADERS, 1, RawHttp2.request("POST", "/a.B/C", fields.toArray(String[]::new)));
  }

  private static Answer answer(RawHttp2 http) throws Exception {
    HpackDecoder decoder = new HpackDecoder(1 << 20, System::nanoTime);
    List<Map<String, String>> blocks = new ArrayList<>();
    ByteArrayOutputStream body = new ByteArrayOutputStream();
    while (true) {
      var next = http.next();
      if (next.isEmpty() || next.get().type() == RawHttp2.RST_STREAM) {
        return new Answer(blocks, body.toByteArray(), false);
      }
      RawHttp2.Frame frame = next.get();
      if (frame.type() == RawHttp2.HEADERS) {
        MetaData data = decoder.decode(ByteBuffer.wrap(frame.payload()));
        Map<String, String> fields = new TreeMap<>();
        if (data instanceof MetaData.Response response) {
          fields.put(":status", Integer.toString(response.getStatus()));
        }
        for (HttpField field : data.getHttpFields()) {
          fields.put(field.getLowerCaseName(), field.getValue());
        }
        blocks.add(fields);
      } else if (frame.type() == RawHttp2.DATA) {
        body.write(frame.payload());
      }
      if (frame.stream() == 1 && (frame.flags() & RawHttp2.END_STREAM) != 0) {
        return new Answer(blocks, body.toByteArray(), true);
      }
    }
  }

  private static Rpc rpc(dev.instar.api.invocation.Invocation call) {
    return call.rpc().orElseThrow();
  }

  @Test
  void messagesMetadataAndStatusGoThrough() throws Exception {
    node.function("me/f", Limits.DEFAULT);
    node.invoker.script(call -> {
      rpc(call).answer().begin(List.of(new Field("content-type", "application/grpc+proto"), new Field("mine", "1"), new Field("connection", "close"), new Field("instar-version", "forged"),
          new Field("server", "forged")));
      call.input().stream().transferTo(call.output());
      rpc(call).answer().end(List.of(new Field("grpc-status", "5"), new Field("grpc-message", "no%20such"), new Field("instar-request-id", "forged")));
    });
    Answer answer = call("me/f", MESSAGE, "custom", "a", "custom", "b", "authorization", "Bearer x", "instar-more", "x", "grpc-encoding", "gzip");
    assertTrue(answer.whole());
    assertArrayEquals(MESSAGE, answer.body());
    Map<String, String> head = answer.blocks().getFirst();
    assertEquals("200", head.get(":status"));
    assertEquals("application/grpc+proto", head.get("content-type"));
    assertEquals("1", head.get("mine"));
    assertFalse(head.containsKey("connection") || head.containsKey("instar-version") || head.containsKey("server"), head.toString());
    assertEquals(13, head.get("instar-request-id").length());
    assertEquals(Map.of("grpc-status", "5", "grpc-message", "no%20such"), answer.blocks().getLast());
    Rpc rpc = rpc(node.invoker.last());
    assertEquals("/a.B/C", rpc.method());
    assertEquals(List.of(new Field("content-type", "application/grpc+proto"), new Field("custom", "a"), new Field("custom", "b"), new Field("grpc-encoding", "gzip")), rpc.metadata());
  }

  /** As long as a container's may be. */
  @Test
  void metadataMayBeLong() throws Exception {
    node.function("me/f", Limits.DEFAULT);
    String longest = "x".repeat(6 << 10);
    node.invoker.script(call -> {
      rpc(call).answer().begin(List.of(new Field("long", longest)));
      rpc(call).answer().end(List.of(new Field("grpc-status", "0"), new Field("long", longest)));
    });
    Answer answer = call("me/f", MESSAGE);
    assertTrue(answer.whole());
    assertEquals(longest, answer.blocks().getFirst().get("long"));
    assertEquals(longest, answer.blocks().getLast().get("long"));
  }

  @Test
  void aStatusAloneIsOneBlock() throws Exception {
    node.function("me/f", Limits.DEFAULT);
    node.invoker.script(call -> rpc(call).answer().end(List.of(new Field("content-type", "application/grpc"), new Field("grpc-status", "12"))));
    Answer answer = call("me/f", MESSAGE);
    assertTrue(answer.whole());
    assertEquals(1, answer.blocks().size());
    assertEquals("12", answer.status());
    assertEquals("application/grpc", answer.blocks().getFirst().get("content-type"));
  }

  @Test
  void theNodesWordIsAStatusBeforeTheAnswerAndInItsMidst() throws Exception {
    node.function("me/f", Limits.DEFAULT);
    node.invoker.script(ScriptedInvoker.failing(Problem.of(ErrorCode.TIMED_OUT, "too ö\n")));
    Answer answer = call("me/f", MESSAGE);
    assertTrue(answer.whole());
    assertEquals(1, answer.blocks().size());
    Map<String, String> only = answer.blocks().getFirst();
    assertEquals(List.of("200", "application/grpc", "4", "too %C3%B6%0A", "timed-out"),
        List.of(only.get(":status"), only.get("content-type"), only.get("grpc-status"), only.get("grpc-message"), only.get("instar-error")));
    node.invoker.script(call -> {
      rpc(call).answer().begin(List.of());
      call.output().write(MESSAGE);
      rpc(call).answer().end(List.of(new Field("grpc-status", "0")));
      throw new InstarException(ErrorCode.SANDBOX_CRASHED, "gone");
    });
    answer = call("me/f", MESSAGE);
    assertTrue(answer.whole());
    assertArrayEquals(MESSAGE, answer.body());
    assertEquals("13", answer.status());
    assertEquals("sandbox-crashed", answer.error());
  }

  @Test
  void aFunctionThatSaysWhatIsNoFieldBreaksItsOwnCallOnly() throws Exception {
    node.function("me/f", Limits.DEFAULT);
    node.invoker.script(call -> rpc(call).answer().end(List.of(new Field("grpc-status", "0"), new Field("x", "a\r\nb: c"))));
    Answer answer = call("me/f", MESSAGE);
    assertEquals("internal", answer.error());
    assertFalse(answer.blocks().getFirst().containsKey("x"));
    // And one that says nothing at the end has not answered.
    node.invoker.script(call -> rpc(call).answer().begin(List.of()));
    assertEquals("internal", call("me/f", MESSAGE).error());
  }

  @Test
  void streamsGoBothWaysAtOnce() throws Exception {
    node.function("me/f", Limits.DEFAULT);
    node.invoker.script(call -> {
      rpc(call).answer().begin(List.of());
      byte[] message = new byte[MESSAGE.length];
      while (call.input().stream().readNBytes(message, 0, message.length) > 0) {
        call.output().write(message);
      }
      rpc(call).answer().end(List.of(new Field("grpc-status", "0")));
    });
    try (RawHttp2 http = new RawHttp2(node.port())) {
      begin(http, "me/f");
      for (int i = 0; i < 3; i++) {
        http.frame(RawHttp2.DATA, 0, 1, MESSAGE);
        RawHttp2.Frame frame = http.next().orElseThrow();
        while (frame.type() != RawHttp2.DATA) {
          frame = http.next().orElseThrow();
        }
        assertArrayEquals(MESSAGE, frame.payload());
      }
      http.frame(RawHttp2.DATA, RawHttp2.END_STREAM, 1);
      RawHttp2.Frame last = http.next().orElseThrow();
      while ((last.flags() & RawHttp2.END_STREAM) == 0 || last.stream() != 1) {
        last = http.next().orElseThrow();
      }
      assertEquals(RawHttp2.HEADERS, last.type());
    }
  }

  /** Whether nobody has read the request, or somebody waits for more of it. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void anAnswerThatComesBeforeTheEndOfTheRequestEndsTheStream(boolean read) throws Exception {
    node.function("me/f", Limits.DEFAULT);
    node.invoker.script(call -> {
      if (read) {
        CountDownLatch begun = new CountDownLatch(1);
        Thread reader = Thread.startVirtualThread(() -> {
          try {
            call.input().stream().readNBytes(MESSAGE.length);
            begun.countDown();
            call.input().stream().read();
          } catch (IOException e) {
            // Interrupted.
          }
        });
        begun.await();
        while (reader.getState() != Thread.State.WAITING) {
          Thread.sleep(1);
        }
        reader.interrupt();
        reader.join();
      }
      rpc(call).answer().end(List.of(new Field("grpc-status", "3")));
    });
    try (RawHttp2 http = new RawHttp2(node.port())) {
      begin(http, "me/f");
      http.frame(RawHttp2.DATA, 0, 1, MESSAGE);
      assertEquals("3", answer(http).status());
      RawHttp2.Frame frame = http.next().orElseThrow();
      while (frame.type() != RawHttp2.RST_STREAM) {
        frame = http.next().orElseThrow();
      }
      assertArrayEquals(new byte[4], frame.payload());
    }
  }

  @Test
  void aCallerWhoResetsHasItsCallEnded() throws Exception {
    node.function("me/f", Limits.DEFAULT);
    CountDownLatch begun = new CountDownLatch(1);
    CompletableFuture<Boolean> ended = new CompletableFuture<>();
    node.invoker.script(call -> {
      begun.countDown();
      try {
        Thread.sleep(Duration.ofMinutes(1));
        ended.complete(false);
      } catch (InterruptedException e) {
        ended.complete(true);
        throw e;
      }
    });
    try (RawHttp2 http = new RawHttp2(node.port())) {
      begin(http, "me/f");
      assertTrue(begun.await(20, TimeUnit.SECONDS));
      http.frame(RawHttp2.RST_STREAM, 0, 1, new byte[] {0, 0, 0, 8});
      assertTrue(ended.get(20, TimeUnit.SECONDS));
    }
  }

  @Test
  void timeOutsShortenTheFunctionsOwnAndWhatIsNoneIsRefused() throws Exception {
    node.function("me/f", Limits.DEFAULT);
    node.invoker.script(call -> rpc(call).answer().end(List.of(new Field("grpc-status", "0"))));
    assertEquals("0", call("me/f", MESSAGE, "grpc-timeout", "1500m").status());
    assertEquals(Duration.ofMillis(1500), node.invoker.last().timeout().orElseThrow());
    assertEquals("timed-out", call("me/f", MESSAGE, "grpc-timeout", "0S").error());
    assertEquals("bad-request", call("me/f", MESSAGE, "grpc-timeout", "soon").error());
    assertEquals("bad-request", call("me/f", MESSAGE, "mine", "a\tb").error());
  }

  @Test
  void theFunctionIsNamedByMetadataOrHost() throws Exception {
    node.function("me/f", Limits.DEFAULT);
    node.invoker.script(call -> rpc(call).answer().end(List.of(new Field("grpc-status", "0"))));
    assertEquals("bad-request", call("", MESSAGE).error());
    assertEquals("bad-name", call("Me/F", MESSAGE).error());
    assertEquals("function-not-found", call("me/g", MESSAGE).error());
    assertEquals("bad-request", call("me/f", MESSAGE, "instar-function", "me/g").error());
    for (var host : Map.of("f.me.localhost:1", "0", "f.me.x.localhost", "0", "me.localhost", "3", "127.0.0.1", "3", "g.me.localhost", "12").entrySet()) {
      try (RawHttp2 http = new RawHttp2(node.port())) {
        http.frame(RawHttp2.HEADERS, RawHttp2.END_HEADERS | RawHttp2.END_STREAM, 1,
            RawHttp2.fields(":method", "POST", ":scheme", "http", ":path", "/a.B/C", ":authority", host.getKey(), "content-type", "application/grpc"));
        assertEquals(host.getValue(), answer(http).status(), host.getKey());
      }
    }
  }

  @Test
  void aBodyOverTheLimitIsTold() throws Exception {
    Limits d = Limits.DEFAULT;
    node.function("me/f", new Limits(d.memoryBytes(), d.tableElements(), d.stackBytes(), d.timeout(), d.runTime(), 4, d.outputBytes(), d.logBytes(), d.openFiles(), d.fileBytes(), d.madeFiles(),
        d.concurrency()));
    node.invoker.script(call -> call.input().stream().readAllBytes());
    Answer answer = call("me/f", MESSAGE);
    assertEquals(List.of("8", "too-large"), List.of(answer.status(), answer.error()));
  }

  @Test
  void theRightToCallIsAskedForAndNothingElseIsTold() throws Exception {
    node.function("me/f", Limits.DEFAULT);
    node.invoker.script(call -> rpc(call).answer().end(List.of(new Field("grpc-status", "0"))));
    node.access.mode(dev.instar.gateway.access.Access.Mode.REQUIRED);
    node.administrator(directory);
    for (String function : List.of("me/f", "me/none", "")) {
      Answer answer = call(function, MESSAGE);
      assertEquals(List.of("16", "unauthenticated"), List.of(answer.status(), answer.error()), function);
      assertEquals("unauthenticated", call(function, MESSAGE, "authorization", "Bearer wrong").error());
    }
    String token = node.headers().substring("Authorization: ".length()).strip();
    assertEquals("0", call("me/f", MESSAGE, "authorization", token).status());
    assertTrue(rpc(node.invoker.last()).metadata().stream().noneMatch(field -> field.value().contains(token)));
  }
}
