package dev.instar.listener;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.http.HttpEntry;
import dev.instar.api.http.ServiceSlot;
import dev.instar.tck.http.RawHttp;
import dev.instar.tck.http.RawHttp.Answer;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.eclipse.jetty.io.Content;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** HTTP/1 that would never end, or would become something else; {@link ListenerIT} has what is refused for its two readings. */
@Timeout(60)
class HostileRequestsIT {
  private static final String CHUNKED = "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
  private final AtomicInteger asked = new AtomicInteger();
  private final CompletableFuture<Throwable> failure = new CompletableFuture<>();
  private final ServiceSlot<HttpEntry> entries = new ServiceSlot<>("gateway");
  private HttpListener listener;

  @AfterEach
  void close() {
    listener.close();
  }

  private int open(Duration headerTime, int connections) {
    entries.bind((request, response, callback) -> {
      asked.incrementAndGet();
      ByteArrayOutputStream body = new ByteArrayOutputStream();
      try (InputStream in = Content.Source.asInputStream(request)) {
        in.transferTo(body);
      } catch (IOException e) {
        failure.complete(e);
        throw e;
      }
      response.write(true, ByteBuffer.wrap(body.toByteArray()), callback);
      return true;
    }, Map.of());
    Settings d = Settings.FREE_PORT;
    listener = HttpListener.open(new Settings(d.name(), d.bind(), 0, d.maxHeaderBytes(), headerTime, d.idleTimeout(), d.minBytesPerSecond(), d.dataRateGrace(), connections,
        Duration.ofMillis(200), Duration.ofSeconds(1), d.http2MaxStreams(), d.http2MaxControlFrames()), entries);
    return listener.port();
  }

  private int open() {
    return open(Duration.ofSeconds(10), 10_000);
  }

  /** What a chunk may be wrapped in, and what may follow the last one, is not the body: no limit of a body holds it. */
  @ParameterizedTest
  @ValueSource(strings = {"5;x=", "5;x=\"", "5;", "0;x=", "0000", "0\r\nX: ", "5\r\nabcde\r\n5;x=", "\r\n"})
  void chunksWrappedInMuchAreCutOff(String begin) throws Exception {
    int port = open();
    String more = (begin.endsWith("000") ? "0" : begin.equals("\r\n") ? "\r\n" : "x").repeat(32 << 10);
    try (RawHttp http = new RawHttp(port)) {
      http.send(CHUNKED + begin);
      assertThrows(IOException.class, () -> {
        for (int i = 0; i < 1000; i++) {
          http.send(more);
        }
      }, "32 MiB were taken");
    }
    failure.get(20, TimeUnit.SECONDS);
    assertEquals(200, RawHttp.exchange(port, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").status());
  }

  /** Bytes that are no bytes of the body come slowly and without end; no data rate sees them. */
  @ParameterizedTest
  @ValueSource(strings = {"5;", "0\r\nX: ", "5\r\nabcde\r\n5;x="})
  void chunksThatDribbleAreCutOff(String begin) throws Exception {
    try (RawHttp http = new RawHttp(open(Duration.ofMillis(300), 10_000))) {
      http.send(CHUNKED + begin);
      assertThrows(IOException.class, () -> {
        for (int i = 0; i < 300; i++) {
          http.send("x");
          Thread.sleep(30);
        }
      });
    }
    failure.get(20, TimeUnit.SECONDS);
  }

  /** A second request on the connection is watched as the first one is, and a body of a known length is not taken for wrapping. */
  @Test
  void aPipelinedRequestIsWatchedLikeItsPredecessor() throws Exception {
    String length = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 300000\r\n\r\n" + "y".repeat(300_000);
    try (RawHttp http = new RawHttp(open())) {
      http.send(CHUNKED + "1\r\na\r\n0\r\n\r\n" + length + CHUNKED + "1\r\nb\r\n0\r\n\r\n");
      assertEquals("a", http.answer().text());
      assertEquals(300_000, http.answer().text().length());
      assertEquals("b", http.answer().text());
      http.send(CHUNKED + "1\r\na\r\n0\r\n\r\n" + CHUNKED + "5;x=");
      assertEquals("a", http.answer().text());
      assertThrows(IOException.class, () -> {
        for (int i = 0; i < 1000; i++) {
          http.send("x".repeat(32 << 10));
        }
      });
    }
  }

  @Test
  void aBodyInSmallChunksIsWhole() throws Exception {
    int port = open();
    StringBuilder request = new StringBuilder(CHUNKED);
    StringBuilder body = new StringBuilder();
    for (int i = 0; i < 30_000; i++) {
      char c = (char) ('a' + i % 26);
      request.append("1\r\n").append(c).append("\r\n");
      body.append(c);
    }
    request.append("4;name=value\r\nlast\r\n0\r\nChecksum: x\r\n\r\n");
    try (RawHttp http = new RawHttp(port)) {
      for (int i = 0; i < 2; i++) {
        assertEquals(body + "last", http.send(request.toString()).answer().text());
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Upgrade: tcp\r\nConnection: Upgrade",
      "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: !!!!",
      "Connection: Upgrade\r\nUpgrade: TLS/1.2", "Connection: Upgrade\r\nUpgrade: h2"})
  void noUpgradeLeadsOutOfHttp(String headers) throws Exception {
    int port = open();
    try (RawHttp http = new RawHttp(port)) {
      Answer answer = http.send("GET / HTTP/1.1\r\nHost: localhost\r\n" + headers + "\r\n\r\n").answer();
      assertNotEquals(101, answer.status());
      assertTrue(answer.status() == 200 || answer.status() == 400, answer::toString);
    }
  }

  /** A request that asks for HTTP/2 and has a body must not have that body read as frames. */
  @Test
  void anUpgradeWithABodyDoesNotReadTheBodyAsFrames() throws Exception {
    int port = open();
    String body = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    try (RawHttp http = new RawHttp(port)) {
      Answer answer = http.send("POST / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nContent-Length: "
          + body.length() + "\r\n\r\n" + body).answer();
      assertTrue(answer.status() == 200 && answer.text().equals(body) || answer.status() == 400, answer::toString);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: 169.254.169.254:80\r\n\r\n", "CONNECT localhost:22 HTTP/1.1\r\nHost: localhost:22\r\n\r\n"})
  void connectOpensNoTunnel(String request) throws Exception {
    entries.bind((r, response, callback) -> {
      response.setStatus(405);
      response.write(true, ByteBuffer.allocate(0), callback);
      return true;
    }, Map.of("service.ranking", 1));
    int port = open();
    Answer answer = RawHttp.exchange(port, request);
    assertTrue(List.of(400, 405, 421).contains(answer.status()), answer::toString);
  }

  /** All places are taken by callers who never end their headers: they lose them in time, and who waited is served. */
  @Test
  void slowHeadersHoldTheirPlacesForTheHeaderTimeOnly() throws Exception {
    int port = open(Duration.ofMillis(500), 8);
    List<RawHttp> slow = new ArrayList<>();
    try {
      for (int i = 0; i < 8; i++) {
        slow.add(new RawHttp(port).send("GET / HTTP/1.1\r\nX: "));
      }
      CompletableFuture<Void> dribble = CompletableFuture.runAsync(() -> {
        int alive = slow.size();
        while (alive > 0) {
          alive = 0;
          for (RawHttp http : slow) {
            try {
              http.send("y");
              alive++;
            } catch (IOException e) {
              // This one was closed.
            }
          }
          try {
            Thread.sleep(50);
          } catch (InterruptedException e) {
            return;
          }
        }
      }, task -> Thread.ofVirtual().start(task));
      assertEquals("late", RawHttp.exchange(port, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nlate").text());
      dribble.get(20, TimeUnit.SECONDS);
    } finally {
      for (RawHttp http : slow) {
        http.close();
      }
    }
    assertEquals(1, asked.get());
  }

  /** RFC 9112, section 2.2, lets a server take a line that ends with LF alone; it does, and sees the same requests as one that does not split there. */
  @Test
  void aLoneCarriageReturnEndsNoLine() throws Exception {
    int port = open();
    for (String request : new String[] {"GET / HTTP/1.1\r\nHost: localhost\r\nX: a\rY: b\r\n\r\n", "GET / HTTP/1.1\rHost: localhost\r\r", "GET / HTTP/1.1\r\nHost: localhost\r\n\rX: y\r\n\r\n"}) {
      assertEquals("bad-request", RawHttp.exchange(port, request).code());
    }
    assertEquals(0, asked.get());
  }

  /** Bytes of every kind where a request should be: an answer or the end of the connection, and no exception in the log. */
  @Test
  void noiseIsAnsweredOrCutOff() throws Exception {
    int port = open();
    java.util.Random random = new java.util.Random(11);
    for (int round = 0; round < 200; round++) {
      byte[] bytes = "POST /a/b HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n".getBytes(StandardCharsets.US_ASCII);
      for (int i = random.nextInt(4); i >= 0; i--) {
        bytes[random.nextInt(bytes.length)] = (byte) random.nextInt(256);
      }
      try (RawHttp http = new RawHttp(port)) {
        http.send(bytes).endOutput();
        String all = new String(http.rest(), StandardCharsets.ISO_8859_1);
        assertTrue(all.isEmpty() || all.startsWith("HTTP/1.1 "), all);
        assertFalse(all.contains("Exception"), all);
      } catch (java.net.SocketException e) {
        // Reset, for what was sent behind a request that was refused.
      }
    }
    assertEquals(200, RawHttp.exchange(port, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").status());
  }
}
