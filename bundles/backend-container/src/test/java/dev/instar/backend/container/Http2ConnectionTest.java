package dev.instar.backend.container;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.invocation.Rpc;
import dev.instar.api.invocation.Rpc.Field;
import dev.instar.tck.http.RawHttp2;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.eclipse.jetty.http.HttpField;
import org.eclipse.jetty.http.MetaData;
import org.eclipse.jetty.http2.hpack.HpackDecoder;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What a function may send that speaks HTTP/2, or says so, frame by frame. */
@Timeout(30)
class Http2ConnectionTest {
  private static final byte[] HELLO = RawHttp2.bytes(RawHttp2.SETTINGS, 0, 0);
  private final ServerSocket socket;
  private final BlockingQueue<RawHttp2.Frame> came = new LinkedBlockingQueue<>();
  private final CompletableFuture<Socket> peer = new CompletableFuture<>();

  Http2ConnectionTest() throws IOException {
    socket = new ServerSocket(0, 5, InetAddress.getLoopbackAddress());
    Thread.ofPlatform().daemon().start(() -> {
      try {
        Socket accepted = socket.accept();
        peer.complete(accepted);
        DataInputStream in = new DataInputStream(accepted.getInputStream());
        assertEquals("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", new String(in.readNBytes(24), StandardCharsets.US_ASCII));
        while (true) {
          int length = in.readUnsignedByte() << 16 | in.readUnsignedShort();
          came.add(new RawHttp2.Frame(in.readUnsignedByte(), in.readUnsignedByte(), in.readInt(), in.readNBytes(length)));
        }
      } catch (IOException e) {
        peer.completeExceptionally(e);
      }
    });
  }

  @AfterEach
  void close() throws Exception {
    socket.close();
    if (peer.isDone() && !peer.isCompletedExceptionally()) {
      peer.get().close();
    }
  }

  private Http2Connection connect() throws IOException {
    return new Http2Connection((InetSocketAddress) socket.getLocalSocketAddress(), 5000);
  }

  private void say(byte[]... frames) throws Exception {
    ByteArrayOutputStream all = new ByteArrayOutputStream();
    for (byte[] frame : frames) {
      all.write(frame);
    }
    peer.get(10, TimeUnit.SECONDS).getOutputStream().write(all.toByteArray());
  }

  private RawHttp2.Frame heard(int type) throws Exception {
    while (true) {
      RawHttp2.Frame frame = came.poll(10, TimeUnit.SECONDS);
      if (frame == null || frame.type() == type) {
        return frame;
      }
    }
  }

  private static byte[] head(int stream, int flags, String... fields) {
    return RawHttp2.bytes(RawHttp2.HEADERS, RawHttp2.END_HEADERS | flags, stream, RawHttp2.fields(fields));
  }

  private static byte[] ok(int stream, String... more) {
    byte[] first = RawHttp2.fields(":status", "200", "content-type", "application/grpc");
    byte[] rest = RawHttp2.fields(more);
    return RawHttp2.bytes(RawHttp2.HEADERS, RawHttp2.END_HEADERS, stream, ByteBuffer.allocate(first.length + rest.length).put(first).put(rest).array());
  }

  private static Connection.Request rpc(Field... metadata) {
    return new Connection.Request("host", "id", OptionalLong.empty(), Instant.now().plusSeconds(100), Optional.of(new Rpc("/a.B/C", List.of(metadata), new Rpc.Answer() {
      @Override
      public void begin(List<Field> begun) {}

      @Override
      public void end(List<Field> trailers) {}
    })));
  }

  private static Connection.Request plain() {
    return new Connection.Request("host", "id", OptionalLong.of(0), Instant.now().plusSeconds(100), Optional.empty());
  }

  /** What a whole exchange gives: the head's fields, the body, the trailers. */
  private record Answer(Connection.Head head, String body, List<Field> trailers) {}

  private static Answer answer(Connection http) throws IOException {
    Connection.Head head = http.readHead();
    ByteArrayOutputStream body = new ByteArrayOutputStream();
    http.readBody((bytes, length) -> body.write(bytes, 0, length));
    return new Answer(head, body.toString(StandardCharsets.ISO_8859_1), http.trailers());
  }

  private void fails(Class<? extends IOException> how, String word, byte[]... frames) throws Exception {
    try (Http2Connection http = connect()) {
      http.sendHead(plain());
      http.sendEnd();
      say(frames);
      IOException e = assertThrows(how, () -> answer(http));
      assertTrue(String.valueOf(e.getMessage()).contains(word), e.getMessage());
      assertFalse(http.reusable());
    }
  }

  private static byte[] data(int flags, String text) {
    return RawHttp2.bytes(RawHttp2.DATA, flags, 1, text.getBytes(StandardCharsets.US_ASCII));
  }

  @Test
  void aCallIsARequestOfGrpcAndItsAnswerComesWithTrailers() throws Exception {
    try (Http2Connection http = connect()) {
      http.sendHead(rpc(new Field("mine", "1"), new Field("content-type", "application/grpc")));
      http.send("hello".getBytes(StandardCharsets.US_ASCII), 5);
      http.sendEnd();
      MetaData.Request asked = (MetaData.Request) new HpackDecoder(1 << 16, System::nanoTime).decode(ByteBuffer.wrap(heard(RawHttp2.HEADERS).payload()));
      assertEquals("POST http://host/a.B/C", asked.getMethod() + " " + asked.getHttpURI());
      assertEquals(List.of("1", "trailers", "id", "application/grpc"), List.of(asked.getHttpFields().get("mine"), asked.getHttpFields().get("te"), asked.getHttpFields().get("instar-request-id"),
          asked.getHttpFields().get("content-type")));
      assertTrue(asked.getHttpFields().get("grpc-timeout").matches("[0-9]{5,6}m"));
      assertEquals("hello", new String(heard(RawHttp2.DATA).payload(), StandardCharsets.US_ASCII));
      assertEquals(RawHttp2.END_STREAM, heard(RawHttp2.DATA).flags());
      say(HELLO, head(1, 0, ":status", "103", "link", "x"), ok(1, "begun", "a", "begun", "b", "instar-version", "forged", "server", "forged"), data(0, "wor"), data(0, "ld"),
          head(1, RawHttp2.END_STREAM, "grpc-status", "0", "instar-error", "forged"));
      Answer answer = answer(http);
      assertEquals(List.of(new Field("content-type", "application/grpc"), new Field("begun", "a"), new Field("begun", "b")), answer.head().fields());
      assertEquals("world", answer.body());
      assertEquals(List.of(new Field("grpc-status", "0")), answer.trailers());
      assertTrue(http.reusable());
    }
  }

  @Test
  void oneConnectionServesMany() throws Exception {
    try (Http2Connection http = connect()) {
      say(HELLO);
      for (int stream = 1; stream < 9; stream += 2) {
        http.sendHead(rpc());
        http.sendEnd();
        assertEquals(stream, heard(RawHttp2.HEADERS).stream());
        say(head(stream, RawHttp2.END_STREAM, ":status", "200", "grpc-status", "5"));
        assertTrue(answer(http).head().last());
        // What a server may say between two calls.
        say(RawHttp2.bytes(RawHttp2.RST_STREAM, 0, stream, new byte[4]), RawHttp2.bytes(RawHttp2.PING, 0, 0, new byte[8]));
        while (came.stream().noneMatch(frame -> frame.type() == RawHttp2.PING)) {
          assertTrue(http.reusable());
        }
        came.clear();
      }
    }
  }

  @Test
  void whoGoesAwayIsNotAskedAgain() throws Exception {
    try (Http2Connection http = connect()) {
      http.sendHead(rpc());
      http.sendEnd();
      say(HELLO, ok(1), RawHttp2.bytes(RawHttp2.GOAWAY, 0, 0, new byte[] {0, 0, 0, 1, 0, 0, 0, 0}), head(1, RawHttp2.END_STREAM, "grpc-status", "0"));
      assertEquals(List.of(new Field("grpc-status", "0")), answer(http).trailers());
      assertFalse(http.reusable());
    }
  }

  @Test
  void aConnectionThatWasClosedMeanwhileIsSeen() throws Exception {
    try (Http2Connection http = connect()) {
      http.sendHead(rpc());
      http.sendEnd();
      say(HELLO, head(1, RawHttp2.END_STREAM, ":status", "200", "grpc-status", "0"));
      answer(http);
      peer.get().shutdownOutput();
      for (long until = System.nanoTime() + Duration.ofSeconds(10).toNanos(); http.reusable() && System.nanoTime() < until;) {
        Thread.sleep(1);
      }
      assertFalse(http.reusable());
    }
  }

  @Test
  void itSendsNoMoreThanTheWindowsAllow() throws Exception {
    try (Http2Connection http = connect()) {
      say(RawHttp2.bytes(RawHttp2.SETTINGS, 0, 0, new byte[] {0, 4, 0, 0, 0, 3}));
      // The settings hold once they have been read, which is at a reuse at the latest.
      while (heard(RawHttp2.SETTINGS).flags() == 0) {
        assertTrue(http.reusable());
      }
      http.sendHead(rpc());
      Thread feeding = Thread.ofVirtual().start(() -> {
        try {
          http.send("abcdefgh".getBytes(StandardCharsets.US_ASCII), 8);
          http.sendEnd();
        } catch (IOException e) {
          throw new UncheckedIOException(e);
        }
      });
      assertEquals("abc", new String(heard(RawHttp2.DATA).payload(), StandardCharsets.US_ASCII));
      assertTrue(feeding.isAlive());
      say(RawHttp2.bytes(RawHttp2.WINDOW_UPDATE, 0, 1, new byte[] {0, 0, 0, 5}), head(1, RawHttp2.END_STREAM, ":status", "200", "grpc-status", "0"));
      answer(http);
      assertEquals("defgh", new String(heard(RawHttp2.DATA).payload(), StandardCharsets.US_ASCII));
      assertTrue(feeding.join(Duration.ofSeconds(10)));
    }
  }

  @Test
  void whatWasTakenIsGrantedAgain() throws Exception {
    try (Http2Connection http = connect()) {
      http.sendHead(rpc());
      http.sendEnd();
      say(HELLO, ok(1));
      byte[] piece = RawHttp2.bytes(RawHttp2.DATA, 0, 1, new byte[16 << 10]);
      Thread.ofVirtual().start(() -> {
        try {
          for (int i = 0; i < 16; i++) {
            say(piece);
          }
          say(head(1, RawHttp2.END_STREAM, "grpc-status", "0"));
        } catch (Exception e) {
          peer.completeExceptionally(e);
        }
      });
      assertEquals(256 << 10, answer(http).body().length());
      int granted = 0;
      while (granted < (256 << 10) - 65_535) {
        RawHttp2.Frame frame = heard(RawHttp2.WINDOW_UPDATE);
        granted += frame.stream() == 1 ? ByteBuffer.wrap(frame.payload()).getInt() : 0;
      }
    }
  }

  @Test
  void fieldsThatFillMoreThanAFrameGoInSeveral() throws Exception {
    try (Http2Connection http = connect()) {
      http.sendHead(rpc(new Field("long", "x~".repeat(20_000))));
      http.sendEnd();
      ByteArrayOutputStream block = new ByteArrayOutputStream();
      RawHttp2.Frame frame = heard(RawHttp2.HEADERS);
      block.write(frame.payload());
      while ((frame.flags() & RawHttp2.END_HEADERS) == 0) {
        frame = came.poll(10, TimeUnit.SECONDS);
        assertEquals(RawHttp2.CONTINUATION, frame.type());
        block.write(frame.payload());
      }
      MetaData asked = new HpackDecoder(1 << 20, System::nanoTime).decode(ByteBuffer.wrap(block.toByteArray()));
      assertEquals(40_000, asked.getHttpFields().get("long").length());
    }
  }

  @Test
  void whatIsNoHttp2IsNamed() throws Exception {
    try (Http2Connection http = connect()) {
      http.sendHead(rpc());
      http.sendEnd();
      say("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
      assertThrows(Connection.OtherProtocolException.class, () -> answer(http));
    }
  }

  @Test
  void whoClosesAtOnceSpeaksSomethingElse() throws Exception {
    try (Http2Connection http = connect()) {
      http.sendHead(rpc());
      peer.get(10, TimeUnit.SECONDS).shutdownOutput();
      assertThrows(Connection.OtherProtocolException.class, () -> answer(http));
    }
  }

  @Test
  void anAnswerThatBreaksOffIsNone() throws Exception {
    try (Http2Connection http = connect()) {
      http.sendHead(rpc());
      say(HELLO, ok(1), data(0, "half"));
      peer.get().shutdownOutput();
      assertThrows(EOFException.class, () -> answer(http));
    }
  }

  @Test
  void aReset() throws Exception {
    fails(Connection.MalformedException.class, "reset the stream with the code 7", HELLO, RawHttp2.bytes(RawHttp2.RST_STREAM, 0, 1, new byte[] {0, 0, 0, 7}));
  }

  @Test
  void aRefusal() throws Exception {
    fails(Connection.MalformedException.class, "refuses the call", HELLO, RawHttp2.bytes(RawHttp2.GOAWAY, 0, 0, new byte[8]));
  }

  @Test
  void aBodyBeforeItsHead() throws Exception {
    fails(Connection.MalformedException.class, "before the head", HELLO, data(0, "x"));
  }

  @Test
  void aChangeOfProtocol() throws Exception {
    fails(Connection.MalformedException.class, "another protocol", HELLO, head(1, 0, ":status", "101"));
  }

  @Test
  void headsWithoutEnd() throws Exception {
    byte[][] frames = new byte[20][];
    Arrays.fill(frames, head(1, 0, ":status", "103"));
    frames[0] = HELLO;
    fails(Connection.MalformedException.class, "not final", frames);
  }

  @Test
  void fieldsThatAreNone() throws Exception {
    for (var field : Map.of("Upper", "x", "a b", "x", "split", "a\r\nb: c", ":path", "/", "connection", "close", "bytes", "\u00e9").entrySet()) {
      Http2ConnectionTest one = new Http2ConnectionTest();
      one.fails(Connection.MalformedException.class, "", HELLO, ok(1, field.getKey(), field.getValue()), data(RawHttp2.END_STREAM, ""));
      one.close();
    }
  }

  @Test
  void moreFieldsThanThereMayBe() throws Exception {
    fails(Connection.MalformedException.class, "broke the rules", HELLO, ok(1, "a", "x".repeat(4000), "b", "x".repeat(4000)));
  }

  @Test
  void aLengthThatIsNotThatOfTheBody() throws Exception {
    fails(Connection.MalformedException.class, "another length", HELLO, ok(1, "content-length", "5"), data(0, "abc"), data(RawHttp2.END_STREAM, ""));
  }

  @Test
  void aBodyThatIsLongerThanItsLength() throws Exception {
    fails(Connection.MalformedException.class, "another length", HELLO, ok(1, "content-length", "2"), data(RawHttp2.END_STREAM, "abc"));
  }

  @Test
  void trailersThatEndNothing() throws Exception {
    fails(Connection.MalformedException.class, "", HELLO, ok(1), head(1, 0, "grpc-status", "0"));
  }

  @Test
  void aPush() throws Exception {
    byte[] request = RawHttp2.request("GET", "/");
    fails(Connection.MalformedException.class, "", HELLO, RawHttp2.bytes(RawHttp2.PUSH_PROMISE, RawHttp2.END_HEADERS, 1, ByteBuffer.allocate(4 + request.length).putInt(2).put(request).array()));
  }

  @Test
  void aFloodOfPings() throws Exception {
    byte[] ping = RawHttp2.bytes(RawHttp2.PING, 0, 0, new byte[8]);
    ByteBuffer flood = ByteBuffer.allocate(30_000 * ping.length);
    while (flood.hasRemaining()) {
      flood.put(ping);
    }
    fails(Connection.MalformedException.class, "broke the rules", HELLO, flood.array());
  }
}
