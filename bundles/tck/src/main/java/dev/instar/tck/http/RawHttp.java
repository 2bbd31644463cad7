package dev.instar.tck.http;

import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/**
 * One HTTP/1.1 connection to the loopback address that sends exactly the bytes it is given, for what no polite client can say. A read that gets
 * nothing for {@value #PATIENCE_MS} ms fails the test.
 */
public final class RawHttp implements AutoCloseable {
  private static final int PATIENCE_MS = 20_000;
  private final Socket socket;
  private final InputStream in;
  private final OutputStream out;

  public RawHttp(int port) throws IOException {
    this(port, 0);
  }

  /** @param receiveBuffer bytes of the socket's receive buffer, for a reader that takes little; 0: the system's default */
  public RawHttp(int port, int receiveBuffer) throws IOException {
    socket = new Socket();
    if (receiveBuffer > 0) {
      socket.setReceiveBufferSize(receiveBuffer);
    }
    socket.connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), port));
    socket.setSoTimeout(PATIENCE_MS);
    socket.setTcpNoDelay(true);
    in = new BufferedInputStream(socket.getInputStream());
    out = socket.getOutputStream();
  }

  /** Sends one request on a connection of its own and returns the answer. */
  public static Answer exchange(int port, String request) throws IOException {
    try (RawHttp http = new RawHttp(port)) {
      return http.send(request).answer();
    }
  }

  /** Sends the text's characters as bytes (ISO 8859-1), line ends as given. */
  public RawHttp send(String text) throws IOException {
    return send(text.getBytes(StandardCharsets.ISO_8859_1));
  }

  public RawHttp send(byte[] bytes) throws IOException {
    out.write(bytes);
    out.flush();
    return this;
  }

  /** Tells the peer that no more will come. */
  public RawHttp endOutput() throws IOException {
    socket.shutdownOutput();
    return this;
  }

  /** Reads the answer to a request other than HEAD. @throws EOFException when the connection ends within it */
  public Answer answer() throws IOException {
    return answer(true);
  }

  /** Reads the answer to HEAD: one that never has a body. */
  public Answer answerToHead() throws IOException {
    return answer(false);
  }

  private Answer answer(boolean mayHaveBody) throws IOException {
    String statusLine = line();
    int status = Integer.parseInt(statusLine.split(" ")[1]);
    Map<String, String> headers = headers();
    byte[] body = new byte[0];
    if (mayHaveBody && status >= 200 && status != 204 && status != 304) {
      if ("chunked".equals(headers.get("transfer-encoding"))) {
        body = chunked();
      } else if (headers.containsKey("content-length")) {
        body = exactly(Integer.parseInt(headers.get("content-length")));
      } else {
        body = in.readAllBytes();
      }
    }
    return new Answer(status, headers, body);
  }

  /** One line without its end. */
  public String line() throws IOException {
    ByteArrayOutputStream line = new ByteArrayOutputStream();
    for (int c = in.read(); c != '\n'; c = in.read()) {
      if (c < 0) {
        throw new EOFException("the connection ended after '" + line.toString(StandardCharsets.ISO_8859_1) + "'");
      }
      line.write(c);
    }
    return line.toString(StandardCharsets.ISO_8859_1).stripTrailing();
  }

  /** Header lines up to the empty one; names in lower case. */
  public Map<String, String> headers() throws IOException {
    Map<String, String> headers = new TreeMap<>();
    for (String line = line(); !line.isEmpty(); line = line()) {
      int colon = line.indexOf(':');
      headers.merge(line.substring(0, colon).toLowerCase(Locale.ROOT), line.substring(colon + 1).strip(), (a, b) -> a + ", " + b);
    }
    return headers;
  }

  /** Whether the peer closes the connection (or resets it) without another byte. */
  public boolean closed() throws IOException {
    try {
      return in.read() < 0;
    } catch (java.net.SocketException e) {
      return true;
    }
  }

  /** What still comes, to the end of the connection. */
  public byte[] rest() throws IOException {
    return in.readAllBytes();
  }

  /** The socket, for what this class has no word for. */
  public Socket socket() {
    return socket;
  }

  private byte[] exactly(int length) throws IOException {
    byte[] bytes = in.readNBytes(length);
    if (bytes.length < length) {
      throw new EOFException("the body ended after " + bytes.length + " of " + length + " bytes");
    }
    return bytes;
  }

  private byte[] chunked() throws IOException {
    ByteArrayOutputStream body = new ByteArrayOutputStream();
    while (true) {
      int length = Integer.parseInt(line(), 16);
      body.write(exactly(length));
      if (length == 0) {
        headers();
        return body.toByteArray();
      }
      line();
    }
  }

  @Override
  public void close() throws IOException {
    socket.close();
  }

  /**
   * @param headers by names in lower case; several of one name are joined
   * @param body decoded from chunks
   */
  public record Answer(int status, Map<String, String> headers, byte[] body) {
    public String text() {
      return new String(body, StandardCharsets.UTF_8);
    }

    public Optional<String> header(String lowerCaseName) {
      return Optional.ofNullable(headers.get(lowerCaseName));
    }

    /** The code of a problem document; empty when it is none. */
    public String code() {
      if (!"application/problem+json".equals(headers.get("content-type"))) {
        return "";
      }
      String text = text();
      int at = text.indexOf("\"code\":\"") + 8;
      return text.substring(at, text.indexOf('"', at));
    }

    @Override
    public String toString() {
      return status + " " + headers + "\n" + text();
    }
  }
}
