package dev.instar.backend.container;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What a hostile function may answer, byte for byte. */
@Timeout(30)
class HttpConnectionTest {
  private static final String OK = "HTTP/1.1 200 OK\r\n";

  /** One connection whose answer to the first request is what it was given. */
  private static final class Server implements AutoCloseable {
    private final ServerSocket socket = new ServerSocket(0, 5, InetAddress.getLoopbackAddress());
    private final CompletableFuture<String> asked = new CompletableFuture<>();

    Server(String answer, boolean ends) throws IOException {
      Thread.ofPlatform().daemon().start(() -> {
        try (Socket peer = socket.accept()) {
          asked.complete(request(peer.getInputStream()));
          peer.getOutputStream().write(answer.getBytes(StandardCharsets.ISO_8859_1));
          peer.getOutputStream().flush();
          if (ends) {
            peer.shutdownOutput();
          }
          peer.getInputStream().transferTo(OutputStream.nullOutputStream());
        } catch (IOException e) {
          asked.completeExceptionally(e);
        }
      });
    }

    private static String request(InputStream in) throws IOException {
      ByteArrayOutputStream head = new ByteArrayOutputStream();
      while (!head.toString(StandardCharsets.ISO_8859_1).endsWith("\r\n\r\nx")) {
        head.write(in.read());
      }
      return head.toString(StandardCharsets.ISO_8859_1);
    }

    HttpConnection connect() throws IOException {
      return new HttpConnection((InetSocketAddress) socket.getLocalSocketAddress(), 5000);
    }

    @Override
    public void close() throws IOException {
      socket.close();
    }
  }

  /** The status, the body, and whether the connection may be used again. */
  private record Answer(int status, String body, boolean reusable) {}

  private static Answer answer(String answer, boolean ends) throws Exception {
    try (Server server = new Server(answer, ends); HttpConnection http = server.connect()) {
      http.sendHead(new Connection.Request("host", "id", OptionalLong.of(1), Instant.now().plusSeconds(60), Optional.empty()));
      http.send(new byte[] {'x'}, 1);
      http.sendEnd();
      int status = http.readHead().status();
      ByteArrayOutputStream body = new ByteArrayOutputStream();
      http.readBody((bytes, length) -> body.write(bytes, 0, length));
      assertTrue(server.asked.get().startsWith("POST / HTTP/1.1\r\nHost: host\r\n"));
      return new Answer(status, body.toString(StandardCharsets.ISO_8859_1), http.reusable());
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {
      "HTTP/2 200 OK\r\n\r\n", "HTTP/1.1 099 X\r\n\r\n", "HTTP/1.1 600 X\r\n\r\n", "HTTP/1.1\r\n\r\n", "200 OK\r\n\r\n",
      OK + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", OK + "Content-Length: 1, 1\r\n\r\na", OK + "Content-Length: -1\r\n\r\n", OK + "Content-Length: +1\r\n\r\na",
      OK + "Content-Length: 0x1\r\n\r\na", OK + "Content-Length: 9999999999999999999\r\n\r\n", OK + "Content-Length:\r\n\r\n",
      OK + "Transfer-Encoding: gzip\r\n\r\n", OK + "Transfer-Encoding: chunked, chunked\r\n\r\n", OK + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      OK + "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      OK + "Content-Length : 1\r\n\r\na", OK + "A: b\r\n c: d\r\n\r\n", OK + ": nameless\r\n\r\n", OK + "no colon\r\n\r\n",
      OK + "Transfer-Encoding: chunked\r\n\r\n-1\r\n", OK + "Transfer-Encoding: chunked\r\n\r\n+1\r\na\r\n", OK + "Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n",
      OK + "Transfer-Encoding: chunked\r\n\r\n\r\n", OK + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n", OK + "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"})
  void whatCanBeReadInTwoWaysIsRefused(String answer) {
    assertThrows(Connection.MalformedException.class, () -> answer(answer, true));
  }

  @Test
  void whatIsTooMuchIsRefused() {
    for (String much : new String[] {OK + "A: " + "b".repeat(9000) + "\r\n\r\n", OK + "A: bbbbbbbbbbbbbbbb\r\n".repeat(5000) + "\r\n", "HTTP/1.1 100 Continue\r\n\r\n".repeat(20) + OK + "\r\n",
        OK + "Transfer-Encoding: chunked\r\n\r\n1;" + "x".repeat(9000) + "\r\na\r\n0\r\n\r\n", OK + "Transfer-Encoding: chunked\r\n\r\n0\r\n" + "A: bbbbbbbbbbbbbbbb\r\n".repeat(5000) + "\r\n"}) {
      assertThrows(Connection.MalformedException.class, () -> answer(much, true));
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"HTT", OK, OK + "A: b\r\n", OK + "Content-Length: 5\r\n\r\nabcd", OK + "Transfer-Encoding: chunked\r\n\r\n5\r\nabcd", OK + "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n",
      OK + "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n"})
  void halfAnAnswerIsNone(String answer) {
    assertThrows(EOFException.class, () -> answer(answer, true));
  }

  @Test
  void aServerOfHttp2IsKnownByItsFirstFrame() {
    assertThrows(Connection.OtherProtocolException.class, () -> answer("\0\0\0\4\0\0\0\0\0", false));
  }

  @Test
  void whatComesBeforeTheAnswerIsPassedOver() throws Exception {
    assertEquals(new Answer(200, "a", true), answer("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK + "Content-Length: 1\r\n\r\na", false));
  }

  @Test
  void bodiesEndAsTheyAreFramed() throws Exception {
    assertEquals(new Answer(200, "abc", true), answer(OK + "Transfer-Encoding: chunked\r\n\r\n1;x=y\r\na\r\n2\r\nbc\r\n0\r\nA: b\r\n\r\n", false));
    assertEquals(new Answer(200, "to the end", false), answer(OK + "\r\nto the end", true));
    assertEquals(new Answer(200, "a", false), answer("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", false));
    assertEquals(new Answer(200, "a", false), answer(OK + "Content-Length: 1\r\nConnection: close\r\n\r\na", false));
    assertEquals(new Answer(200, "", true), answer(OK + "Content-Length: 0\r\n\r\n", false));
  }

  /** What follows an answer is no answer to the next request, and its connection is not used for one. */
  @Test
  void whatIsLeftOverIsNobodysAnswer() throws Exception {
    String second = OK + "Content-Length: 6\r\n\r\nforged";
    assertEquals(new Answer(200, "a", false), answer(OK + "Content-Length: 1\r\n\r\nabc", false));
    assertEquals(new Answer(200, "a", false), answer(OK + "Content-Length: 1\r\n\r\na" + second, false));
    assertEquals(new Answer(204, "", false), answer("HTTP/1.1 204 No Content\r\n\r\nbody", false));
    assertEquals(new Answer(204, "", false), answer("HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\nbody", false));
    assertEquals(new Answer(304, "", false), answer("HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", false));
  }

  @Test
  void aPieceOfNothingEndsNoBody() throws Exception {
    try (Server server = new Server(OK + "Content-Length: 0\r\n\r\n", false); HttpConnection http = server.connect()) {
      http.sendHead(new Connection.Request("host", "id", OptionalLong.empty(), Instant.now(), Optional.empty()));
      http.send(new byte[0], 0);
      http.send("\r\n\r\nx".getBytes(StandardCharsets.US_ASCII), 5);
      http.sendEnd();
      assertFalse(server.asked.get().contains("\r\n0\r\n"), server.asked.get());
    }
  }
}
