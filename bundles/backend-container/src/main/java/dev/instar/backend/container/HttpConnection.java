package dev.instar.backend.container;

import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.OptionalLong;

/**
 * The node's end of HTTP/1.1 to a function (RFC 9112), one exchange after another. Small on purpose: of what the function says only the status and the body
 * count, all else is held to be well-formed and short, and passed to nobody. A function's headers can't become the node's.
 */
final class HttpConnection implements AutoCloseable {
  private static final int LINE = 8 << 10;
  private static final int HEADERS = 64 << 10;
  /** Heads before the final one. */
  private static final int INTERIM = 16;
  private static final int BUFFER = 16 << 10;
  private static final byte[] CRLF = {'\r', '\n'};

  private final SocketChannel channel;
  private final InputStream in;
  private final OutputStream out;
  private boolean keptOpen = true;
  private Framing body = new Framing(false, OptionalLong.of(0));

  /** How the end of a body is told; by the end of the connection when by neither. */
  private record Framing(boolean chunked, OptionalLong length) {}

  /** @param timeoutMillis for the connection to be made */
  HttpConnection(InetSocketAddress address, int timeoutMillis) throws IOException {
    channel = SocketChannel.open();
    try {
      // Else a small body waits for the acknowledgement of the head before it.
      channel.socket().setTcpNoDelay(true);
      channel.socket().connect(address, timeoutMillis);
      in = new BufferedInputStream(channel.socket().getInputStream(), BUFFER);
      out = new BufferedOutputStream(channel.socket().getOutputStream(), BUFFER);
    } catch (IOException e) {
      channel.close();
      throw e;
    }
  }

  /** What the peer has sent is not HTTP/1.1 as it may be here. */
  static final class MalformedException extends IOException {
    private static final long serialVersionUID = 1;

    MalformedException(String message) {
      super(message);
    }
  }

  /** @param length of the body; chunked when it is unknown */
  void sendHead(String host, String invocation, OptionalLong length) throws IOException {
    String head = "POST / HTTP/1.1\r\nHost: " + host + "\r\nContent-Type: application/octet-stream\r\nInstar-Request-Id: " + invocation + "\r\n"
        + (length.isPresent() ? "Content-Length: " + length.getAsLong() : "Transfer-Encoding: chunked") + "\r\n\r\n";
    out.write(head.getBytes(StandardCharsets.ISO_8859_1));
  }

  void sendChunk(byte[] bytes, int length, boolean chunked) throws IOException {
    if (chunked) {
      out.write((Integer.toHexString(length) + "\r\n").getBytes(StandardCharsets.ISO_8859_1));
    }
    out.write(bytes, 0, length);
    if (chunked) {
      out.write(CRLF);
    }
    out.flush();
  }

  void sendEnd(boolean chunked) throws IOException {
    if (chunked) {
      out.write("0\r\n\r\n".getBytes(StandardCharsets.ISO_8859_1));
    }
    out.flush();
  }

  /**
   * Reads a final response's head; what comes before it (100 Continue and its like) is passed over.
   *
   * @return its status
   */
  int readHead() throws IOException {
    for (int heads = 0; ; heads++) {
      if (heads > INTERIM) {
        throw new MalformedException("it sent more than " + INTERIM + " answers that were not final");
      }
      String[] words = line().split(" ", 3);
      if (words.length < 2 || !words[0].matches("HTTP/1\\.[01]") || !words[1].matches("[1-5][0-9][0-9]")) {
        throw new MalformedException("it answered with no HTTP/1.1 status line");
      }
      int status = Integer.parseInt(words[1]);
      OptionalLong length = OptionalLong.empty();
      boolean chunked = false;
      keptOpen = words[0].equals("HTTP/1.1");
      int total = 0;
      for (String line = line(); !line.isEmpty(); line = line()) {
        total += line.length();
        int colon = line.indexOf(':');
        if (colon <= 0 || total > HEADERS) {
          throw new MalformedException(total > HEADERS ? "its headers have more than " + HEADERS + " bytes" : "a header of its answer is malformed");
        }
        String value = line.substring(colon + 1).strip();
        switch (line.substring(0, colon).toLowerCase(Locale.ROOT)) {
          case "content-length" -> {
            if (!value.matches("[0-9]{1,18}") || length.isPresent() && length.getAsLong() != Long.parseLong(value)) {
              throw new MalformedException("the Content-Length of its answer is malformed");
            }
            length = OptionalLong.of(Long.parseLong(value));
          }
          case "transfer-encoding" -> {
            if (!value.equalsIgnoreCase("chunked") || chunked) {
              throw new MalformedException("the Transfer-Encoding of its answer is not 'chunked'");
            }
            chunked = true;
          }
          case "connection" -> keptOpen &= !value.toLowerCase(Locale.ROOT).contains("close");
          default -> { }
        }
      }
      if (chunked && length.isPresent()) {
        throw new MalformedException("its answer has both a Content-Length and a Transfer-Encoding");
      }
      if (status >= 200 || status == 101) {
        body = status == 204 || status == 304 || status == 101 ? new Framing(false, OptionalLong.of(0)) : new Framing(chunked, length);
        keptOpen &= status != 101 && (body.chunked() || body.length().isPresent());
        return status;
      }
    }
  }

  /** Passes the body of the response on as it comes. What {@code to} throws goes to the caller. */
  void readBody(Taker to) throws IOException {
    byte[] buffer = new byte[BUFFER];
    if (body.chunked()) {
      while (true) {
        String size = line();
        int end = size.indexOf(';');
        String digits = (end < 0 ? size : size.substring(0, end)).strip();
        if (!digits.matches("[0-9a-fA-F]{1,15}")) {
          throw new MalformedException("a chunk of its answer is malformed");
        }
        long length = Long.parseLong(digits, 16);
        if (length == 0) {
          int total = 0;
          for (String trailer = line(); !trailer.isEmpty(); trailer = line()) {
            total += trailer.length();
            if (total > HEADERS) {
              throw new MalformedException("its trailers have more than " + HEADERS + " bytes");
            }
          }
          return;
        }
        exactly(length, buffer, to);
        if (!line().isEmpty()) {
          throw new MalformedException("a chunk of its answer is malformed");
        }
      }
    }
    if (body.length().isPresent()) {
      exactly(body.length().getAsLong(), buffer, to);
      return;
    }
    for (int n; (n = in.read(buffer)) >= 0;) {
      to.take(buffer, n);
    }
  }

  /** Takes a piece of the body. */
  interface Taker {
    void take(byte[] bytes, int length) throws IOException;
  }

  private void exactly(long length, byte[] buffer, Taker to) throws IOException {
    for (long left = length; left > 0;) {
      int n = in.read(buffer, 0, (int) Math.min(left, buffer.length));
      if (n < 0) {
        throw new EOFException("it ended its answer early");
      }
      to.take(buffer, n);
      left -= n;
    }
  }

  private String line() throws IOException {
    StringBuilder line = new StringBuilder();
    while (true) {
      int c = in.read();
      if (c < 0) {
        throw new EOFException("it closed the connection");
      }
      if (c == '\n') {
        int end = line.length();
        return end > 0 && line.charAt(end - 1) == '\r' ? line.substring(0, end - 1) : line.toString();
      }
      if (line.length() >= LINE) {
        throw new MalformedException("a line of its answer has more than " + LINE + " bytes");
      }
      line.append((char) c);
    }
  }

  /** Whether another exchange may follow on it: the peer wants so, and has not closed it meanwhile, nor said anything that nobody asked for. */
  boolean reusable() {
    try {
      if (!keptOpen || !channel.isOpen() || in.available() > 0) {
        return false;
      }
      channel.configureBlocking(false);
      int read = channel.read(ByteBuffer.allocate(1));
      channel.configureBlocking(true);
      return read == 0;
    } catch (IOException e) {
      return false;
    }
  }

  @Override
  public void close() {
    try {
      channel.close();
    } catch (IOException e) {
      // It is gone.
    }
  }
}
