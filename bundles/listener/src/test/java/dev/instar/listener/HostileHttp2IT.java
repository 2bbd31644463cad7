package dev.instar.listener;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.http.HttpEntry;
import dev.instar.api.http.ServiceSlot;
import dev.instar.tck.http.RawHttp;
import dev.instar.tck.http.RawHttp2;
import dev.instar.tck.http.RawHttp2.Ending;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.IntFunction;
import org.eclipse.jetty.io.Content;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A real listener and frames that no polite client sends. Whatever one connection does, another is served. */
@Timeout(60)
class HostileHttp2IT {
  private final AtomicInteger asked = new AtomicInteger();
  private final ServiceSlot<HttpEntry> entries = new ServiceSlot<>("gateway");
  private HttpListener listener;

  @BeforeEach
  void open() {
    entries.bind((request, response, callback) -> {
      asked.incrementAndGet();
      ByteArrayOutputStream body = new ByteArrayOutputStream();
      try (InputStream in = Content.Source.asInputStream(request)) {
        in.transferTo(body);
      }
      response.write(true, ByteBuffer.wrap(("<" + body + ">").getBytes()), callback);
      return true;
    }, Map.of());
    Settings d = Settings.FREE_PORT;
    listener = HttpListener.open(new Settings(d.name(), d.bind(), 0, d.maxHeaderBytes(), d.headerTimeout(), d.idleTimeout(), 1 << 20, Duration.ofMillis(500),
        d.maxConnections(), Duration.ofMillis(200), Duration.ofSeconds(1), d.http2MaxStreams(), d.http2MaxControlFrames()), entries);
  }

  @AfterEach
  void close() {
    listener.close();
  }

  private RawHttp2 connect(int... settings) throws IOException {
    return new RawHttp2(listener.port(), settings);
  }

  private void assertOthersAreServed() throws IOException {
    assertEquals("<hi>", RawHttp.exchange(listener.port(), "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nhi").text());
    try (RawHttp2 http = connect()) {
      assertEquals("<>", http.get(1, "/").ending(1).text());
    }
  }

  /** What is sent in a flood: the n-th piece. Stream 1 is a request whose body is still to come. */
  private enum Flood {
    SETTINGS(n -> RawHttp2.bytes(RawHttp2.SETTINGS, 0, 0, new byte[] {0, 3, 0, 0, 0, 1})),
    EMPTY_SETTINGS(n -> RawHttp2.bytes(RawHttp2.SETTINGS, 0, 0)),
    PING(n -> RawHttp2.bytes(RawHttp2.PING, 0, 0, new byte[8])),
    PRIORITY(n -> RawHttp2.bytes(RawHttp2.PRIORITY, 0, 1, new byte[] {0, 0, 0, 3, 7})),
    EMPTY_DATA(n -> RawHttp2.bytes(RawHttp2.DATA, 0, 1)),
    UNKNOWN(n -> RawHttp2.bytes(0x42, 0, 1, new byte[16])),
    RESET(n -> both(RawHttp2.bytes(RawHttp2.HEADERS, RawHttp2.END_HEADERS, 2 * n + 3, RawHttp2.request("POST", "/")),
        RawHttp2.bytes(RawHttp2.RST_STREAM, 0, 2 * n + 3, new byte[] {0, 0, 0, 8}))),
    MADE_YOU_RESET(n -> both(RawHttp2.bytes(RawHttp2.HEADERS, RawHttp2.END_HEADERS, 2 * n + 3, RawHttp2.request("POST", "/")),
        RawHttp2.bytes(RawHttp2.WINDOW_UPDATE, 0, 2 * n + 3, new byte[4]))),
    EMPTY_CONTINUATION(n -> n == 0 ? RawHttp2.bytes(RawHttp2.HEADERS, 0, 3, RawHttp2.request("GET", "/")) : RawHttp2.bytes(RawHttp2.CONTINUATION, 0, 3)),
    LARGE_CONTINUATION(n -> n == 0 ? RawHttp2.bytes(RawHttp2.HEADERS, 0, 3, RawHttp2.request("GET", "/"))
        : RawHttp2.bytes(RawHttp2.CONTINUATION, 0, 3, RawHttp2.fields("x" + n, "y".repeat(8000))));

    private final IntFunction<byte[]> piece;

    Flood(IntFunction<byte[]> piece) {
      this.piece = piece;
    }

    private static byte[] both(byte[] a, byte[] b) {
      return ByteBuffer.allocate(a.length + b.length).put(a).put(b).array();
    }
  }

  @ParameterizedTest
  @EnumSource(Flood.class)
  void aFloodClosesItsOwnConnectionOnly(Flood flood) throws Exception {
    try (RawHttp2 http = connect()) {
      http.frame(RawHttp2.HEADERS, RawHttp2.END_HEADERS, 1, RawHttp2.request("POST", "/"));
      ByteArrayOutputStream all = new ByteArrayOutputStream();
      int pieces = flood == Flood.LARGE_CONTINUATION ? 40 : 2000;
      for (int n = 0; n < pieces; n++) {
        all.write(flood.piece.apply(n));
      }
      try {
        http.send(all.toByteArray());
      } catch (IOException e) {
        // It was closed while the flood still went out.
      }
      assertTrue(http.closed());
    }
    assertOthersAreServed();
  }

  /** What is allowed without end and costs no more than the bytes that it came in. */
  @Test
  void manySmallFramesAreTaken() throws Exception {
    try (RawHttp2 http = connect()) {
      http.frame(RawHttp2.HEADERS, RawHttp2.END_HEADERS, 1, RawHttp2.request("POST", "/"));
      ByteArrayOutputStream all = new ByteArrayOutputStream();
      for (int n = 0; n < 2000; n++) {
        all.write(RawHttp2.bytes(RawHttp2.WINDOW_UPDATE, 0, 1, new byte[] {0, 0, 0, 1}));
        all.write(RawHttp2.bytes(RawHttp2.DATA, 8, 1, new byte[] {0}));
        all.write(RawHttp2.bytes(RawHttp2.DATA, 0, 1, new byte[] {'x'}));
      }
      http.send(all.toByteArray()).frame(RawHttp2.DATA, RawHttp2.END_STREAM, 1);
      assertEquals("<" + "x".repeat(2000) + ">", http.ending(1).text());
    }
    assertOthersAreServed();
  }

  /** A table entry of 4 000 bytes and then one byte for each time that it is meant (RFC 7541, section 6.1): 4 KiB would become 4 MiB. */
  @Test
  void headersThatUnpackToMuchAreRefused() throws Exception {
    ByteArrayOutputStream block = new ByteArrayOutputStream();
    block.write(RawHttp2.request("GET", "/"));
    byte[] literal = RawHttp2.fields("x", "y".repeat(4000));
    literal[0] = 0x40; // with incremental indexing
    block.write(literal);
    for (int i = 0; i < 1000; i++) {
      block.write(0x80 | 62);
    }
    try (RawHttp2 http = connect()) {
      http.frame(RawHttp2.HEADERS, RawHttp2.END_HEADERS | RawHttp2.END_STREAM, 1, block.toByteArray());
      Ending ending = http.ending(1);
      assertTrue(ending.reset().isPresent() || ending.closed() || ending.text().contains("header-too-large"), ending::toString);
      assertEquals(0, asked.get());
    }
    assertOthersAreServed();
  }

  @Test
  void headersOverTheLimitAreRefused() throws Exception {
    try (RawHttp2 http = connect()) {
      byte[] block = RawHttp2.request("GET", "/", "x", "y".repeat(8000), "x", "y".repeat(12_000));
      http.frame(RawHttp2.HEADERS, RawHttp2.END_STREAM, 1, java.util.Arrays.copyOf(block, 10_000));
      http.frame(RawHttp2.CONTINUATION, RawHttp2.END_HEADERS, 1, java.util.Arrays.copyOfRange(block, 10_000, block.length));
      Ending ending = http.ending(1);
      assertTrue(ending.reset().isPresent() || ending.closed() || ending.text().contains("header-too-large"), ending::toString);
      assertEquals(0, asked.get());
    }
    assertOthersAreServed();
  }

  /** A peer that gives no window never takes its answer: the data rate ends it. */
  @Test
  void anAnswerWithoutAWindowEnds() throws Exception {
    CompletableFuture<Throwable> failure = new CompletableFuture<>();
    entries.bind((request, response, callback) -> {
      try (OutputStream out = Content.Sink.asOutputStream(response)) {
        out.write(new byte[100_000]);
        failure.complete(new AssertionError("100 000 bytes went through a window of none"));
      } catch (IOException e) {
        failure.complete(e);
      }
      callback.succeeded();
      return true;
    }, Map.of("service.ranking", 1));
    try (RawHttp2 http = connect(4, 0)) { // SETTINGS_INITIAL_WINDOW_SIZE
      http.get(1, "/");
      Ending ending = http.ending(1);
      assertFalse(ending.whole(), ending::toString);
      assertTrue(failure.get(20, TimeUnit.SECONDS).toString().contains("too slowly"), failure.get()::toString);
    }
  }

  /** Nobody reads the body: the windows end what one connection can leave on the heap. */
  @Test
  void aBodyThatNobodyReadsIsHeldToTheWindows() throws Exception {
    CountDownLatch go = new CountDownLatch(1);
    entries.bind((request, response, callback) -> {
      go.await();
      response.write(true, ByteBuffer.allocate(0), callback);
      return true;
    }, Map.of("service.ranking", 1));
    try (RawHttp2 http = connect()) {
      int window = 65_535;
      for (int stream = 1; stream < 9; stream += 2) {
        http.frame(RawHttp2.HEADERS, RawHttp2.END_HEADERS, stream, RawHttp2.request("POST", "/"));
      }
      for (Optional<RawHttp2.Frame> frame = http.next(); frame.isPresent() && frame.get().type() != RawHttp2.WINDOW_UPDATE; frame = http.next()) {
        if (frame.get().type() == RawHttp2.SETTINGS) {
          ByteBuffer pairs = ByteBuffer.wrap(frame.get().payload());
          while (pairs.hasRemaining()) {
            int identifier = pairs.getShort();
            int value = pairs.getInt();
            window = identifier == 4 ? value : window; // SETTINGS_INITIAL_WINDOW_SIZE
          }
        }
      }
      assertTrue(window <= 64 << 10, "a stream may leave " + window + " bytes");
      for (int sent = 0; sent < window; sent += 8 << 10) {
        http.frame(RawHttp2.DATA, 0, 1, new byte[8 << 10]);
      }
      http.frame(RawHttp2.DATA, 0, 1, new byte[8 << 10]);
      Ending ending = http.ending(1);
      assertTrue(ending.reset().isPresent() && !ending.headers(), ending::toString);
      assertTrue(http.closed());
    } finally {
      go.countDown();
    }
  }

  @Test
  void moreStreamsThanAllowedAreRefusedAndTheOthersGoOn() throws Exception {
    try (RawHttp2 http = connect()) {
      int most = Settings.FREE_PORT.http2MaxStreams();
      for (int i = 0; i <= most; i++) {
        http.frame(RawHttp2.HEADERS, RawHttp2.END_HEADERS, 2 * i + 1, RawHttp2.request("POST", "/"));
      }
      int refused = 2 * most + 1;
      assertEquals(OptionalInt.of(7), http.ending(refused).reset()); // REFUSED_STREAM
      http.frame(RawHttp2.DATA, RawHttp2.END_STREAM, 1, "first".getBytes());
      assertEquals("<first>", http.ending(1).text());
    }
  }

  /** What RFC 9113 calls malformed (section 8.1.1) never reaches an entry. */
  @ParameterizedTest
  @ValueSource(strings = {"connection=close", "transfer-encoding=chunked", "upgrade=h2c", "keep-alive=5", "proxy-connection=x", "Upper=x", "te=gzip", "bad name=x", ":path=/other",
      ":status=200", ":unknown=x", "x=a\r\ninjected: 1", "x=a\nb", "x=a\0b", "=empty", "x:y=z", "content-length=-1", "content-length=1x",
      "content-length=99999999999999999999", "host=elsewhere"})
  void malformedFieldsAreRefused(String field) throws Exception {
    int equals = field.indexOf('=');
    try (RawHttp2 http = connect()) {
      http.get(1, "/", field.substring(0, equals), field.substring(equals + 1));
      Ending ending = http.ending(1);
      assertTrue(ending.reset().isPresent() || ending.closed() || ending.text().contains("bad-request"), ending::toString);
      assertEquals(0, asked.get(), ending::toString);
    }
    assertOthersAreServed();
  }

  @Test
  void twoLengthsAreRefused() throws Exception {
    try (RawHttp2 http = connect()) {
      http.frame(RawHttp2.HEADERS, RawHttp2.END_HEADERS, 1, RawHttp2.request("POST", "/", "content-length", "3", "content-length", "3"));
      http.frame(RawHttp2.DATA, RawHttp2.END_STREAM, 1, "abc".getBytes());
      Ending ending = http.ending(1);
      assertFalse(ending.text().startsWith("<"), ending::toString);
      assertEquals(0, asked.get());
    }
  }

  @Test
  void pseudoFieldsAreAllThereOnceAndFirst() throws Exception {
    byte[][] blocks = {
        RawHttp2.fields(":scheme", "http", ":path", "/", ":authority", "localhost"),
        RawHttp2.fields(":method", "GET", ":path", "/", ":authority", "localhost"),
        RawHttp2.fields(":method", "GET", ":scheme", "http", ":authority", "localhost"),
        RawHttp2.fields(":method", "GET", ":method", "POST", ":scheme", "http", ":path", "/", ":authority", "localhost"),
        RawHttp2.fields(":method", "GET", "x", "y", ":scheme", "http", ":path", "/", ":authority", "localhost"),
        RawHttp2.fields(":method", "GET", ":scheme", "http", ":path", "", ":authority", "localhost"),
        RawHttp2.fields(":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":path", "/", ":authority", "localhost")};
    for (byte[] block : blocks) {
      try (RawHttp2 http = connect()) {
        http.frame(RawHttp2.HEADERS, RawHttp2.END_HEADERS | RawHttp2.END_STREAM, 1, block);
        Ending ending = http.ending(1);
        assertTrue(ending.reset().isPresent() || ending.closed() || ending.text().contains("bad-request"), ending::toString);
        assertEquals(0, asked.get(), ending::toString);
      }
    }
    assertOthersAreServed();
  }

  @ParameterizedTest
  @ValueSource(strings = {"/a/../b", "/a/./b", "/a/%2e%2e/b", "/a/..;/b", "/a%2fb", "/a%5cb", "//a", "/a%00b", "/a;x=1", "/%c0%ae", "/%ff", "/%zz", "/a b", "/a\\b", "/a#b"})
  void pathsWithTwoReadingsAreRefused(String path) throws Exception {
    try (RawHttp2 http = connect()) {
      http.get(1, path);
      Ending ending = http.ending(1);
      assertTrue(ending.text().contains("bad-request") || ending.reset().isPresent() || ending.closed(), ending::toString);
      assertEquals(0, asked.get(), ending::toString);
    }
  }

  /** A body longer or shorter than its declared length is how a request is smuggled once it is translated to HTTP/1. */
  @Test
  void aBodyThatIsNotOfItsDeclaredLengthIsNoBody() throws Exception {
    for (String sent : new String[] {"abc", "abcdefgh"}) {
      try (RawHttp2 http = connect()) {
        http.frame(RawHttp2.HEADERS, RawHttp2.END_HEADERS, 1, RawHttp2.request("POST", "/", "content-length", "5"));
        http.frame(RawHttp2.DATA, RawHttp2.END_STREAM, 1, sent.getBytes());
        Ending ending = http.ending(1);
        assertFalse(ending.text().startsWith("<"), ending::toString);
      }
    }
    assertOthersAreServed();
  }

  @Test
  void framesThatBreakTheProtocolCloseTheirConnectionOnly() throws Exception {
    byte[] request = RawHttp2.request("GET", "/");
    byte[][] wrong = {
        RawHttp2.bytes(RawHttp2.HEADERS, 5, 0, request),
        RawHttp2.bytes(RawHttp2.HEADERS, 5, 2, request),
        RawHttp2.bytes(RawHttp2.DATA, 0, 0, new byte[1]),
        RawHttp2.bytes(RawHttp2.DATA, 0, 9, new byte[1]),
        RawHttp2.bytes(RawHttp2.CONTINUATION, 4, 1, request),
        RawHttp2.bytes(RawHttp2.PUSH_PROMISE, 4, 1, new byte[8]),
        RawHttp2.bytes(RawHttp2.PING, 0, 0, new byte[7]),
        RawHttp2.bytes(RawHttp2.PING, 0, 1, new byte[8]),
        RawHttp2.bytes(RawHttp2.SETTINGS, 0, 0, new byte[5]),
        RawHttp2.bytes(RawHttp2.SETTINGS, 0, 1),
        RawHttp2.bytes(RawHttp2.SETTINGS, 0, 0, new byte[] {0, 4, -1, -1, -1, -1}),
        RawHttp2.bytes(RawHttp2.SETTINGS, 0, 0, new byte[] {0, 5, 0, 0, 0, 1}),
        RawHttp2.bytes(RawHttp2.WINDOW_UPDATE, 0, 0, new byte[4]),
        RawHttp2.bytes(RawHttp2.WINDOW_UPDATE, 0, 0, new byte[] {127, -1, -1, -1}),
        RawHttp2.bytes(RawHttp2.RST_STREAM, 0, 0, new byte[4]),
        RawHttp2.bytes(RawHttp2.RST_STREAM, 0, 11, new byte[4]),
        RawHttp2.bytes(RawHttp2.HEADERS, 13, 1, new byte[] {-1, 0}),
        RawHttp2.bytes(RawHttp2.HEADERS, 5, 1, new byte[] {-1, -1, -1, -1, -1, -1, -1, -1}),
        RawHttp2.bytes(RawHttp2.HEADERS, 5, 1, new byte[] {(byte) 0x80}),
        RawHttp2.bytes(RawHttp2.DATA, 0, 1, new byte[1 << 15])};
    for (int i = 0; i < wrong.length; i++) {
      try (RawHttp2 http = connect()) {
        try {
          http.send(wrong[i]).frame(RawHttp2.PING, 0, 0, new byte[8]);
        } catch (IOException e) {
          // It was closed before the second frame went out.
        }
        int at = i;
        Optional<RawHttp2.Frame> frame = http.next();
        while (frame.isPresent() && frame.get().type() != RawHttp2.GOAWAY) {
          assertFalse(frame.get().type() == RawHttp2.PING, () -> "frame " + at + " was taken for a good one");
          frame = http.next();
        }
      }
    }
    assertEquals(0, asked.get());
    assertOthersAreServed();
  }

  /** What cannot be read as HTTP/2 frames at all: the greeting is followed by noise. */
  @Test
  void noiseAfterTheGreetingClosesTheConnection() throws Exception {
    byte[] noise = new byte[64 << 10];
    new java.util.Random(7).nextBytes(noise);
    try (RawHttp http = new RawHttp(listener.port())) {
      http.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
      try {
        http.send(noise);
        http.endOutput();
        http.rest();
      } catch (IOException e) {
        // Reset.
      }
    }
    assertOthersAreServed();
  }
}
