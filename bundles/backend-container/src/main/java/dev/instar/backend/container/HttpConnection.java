package dev.instar.backend.container;

import dev.instar.api.invocation.Rpc;
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
import java.util.List;
import java.util.Locale;
import java.util.OptionalLong;

/**
 * The node's end of HTTP/1.1 to a function (RFC 9112), one exchange after another. Small on purpose: of what the function says only the status and the body
 * count, all else is held to be well-formed and short, and passed to nobody. A function's headers can't become the node's.
 */
final class HttpConnection implements Connection {
  private static final int LINE = 8 << 10;
  private static final int HEADERS = 64 << 10;
  /** Heads before the final one. */
  private static final int INTERIM = 16;
  private static final int BUFFER = 16 << 10;
  private static final byte[] CRLF = {'\r', '\n'};

  private final SocketChannel channel;
  private final InputStream in;
  private final OutputStream out;
  /** Of what is sent. */
  private boolean chunked;
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

  @Override
  public void sendHead(Request request) throws IOException {
    chunked = request.length().isEmpty();
    String head = "POST / HTTP/1.1\r\nHost: " + request.host() + "\r\nContent-Type: application/octet-stream\r\nInstar-Request-Id: " + request.invocation() + "\r\n"
        + (chunked ? "Transfer-Encoding: chunked" : "Content-Length: " + request.length().getAsLong()) + "\r\n\r\n";
    out.write(head.getBytes(StandardCharsets.ISO_8859_1));
  }

  @Override
  public void send(byte[] bytes, int length) throws IOException {
    if (length == 0) {
      // As a chunk it would be the end.
      return;
    }
    if (chunked) {
      out.write((Integer.toHexString(length) + "\r\n").getBytes(StandardCharsets.ISO_8859_1));
    }
    out.write(bytes, 0, length);
    if (chunked) {
      out.write(CRLF);
    }
    out.flush();
  }

  @Override
  public void sendEnd() throws IOException {
    if (chunked) {
      out.write("0\r\n\r\n".getBytes(StandardCharsets.ISO_8859_1));
    }
    out.flush();
  }

  @Override
  public Head readHead() throws IOException {
    for (int heads = 0; ; heads++) {
      if (heads > INTERIM) {
        throw new MalformedException("it sent more than " + INTERIM + " answers that were not final");
      }
      if (isOtherProtocol()) {
        throw new OtherProtocolException();
      }
      String[] words = line().split(" ", 3);
      if (words.length < 2 || !words[0].matches("HTTP/1\\.[01]") || !words[1].matches("[1-5][0-9][0-9]")) {
        throw new MalformedException("it answered with no HTTP/1.1 status line");
      }
      int status = Integer.parseInt(words[1]);
      OptionalLong length = OptionalLong.empty();
      boolean chunks = false;
      keptOpen = words[0].equals("HTTP/1.1");
      int total = 0;
      for (String line = line(); !line.isEmpty(); line = line()) {
        total += line.length();
        int colon = line.indexOf(':');
        if (total > HEADERS || !isToken(line, colon)) {
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
            if (!value.equalsIgnoreCase("chunked") || chunks) {
              throw new MalformedException("the Transfer-Encoding of its answer is not 'chunked'");
            }
            chunks = true;
          }
          case "connection" -> keptOpen &= !value.toLowerCase(Locale.ROOT).contains("close");
          default -> { }
        }
      }
      if (chunks && words[0].equals("HTTP/1.0")) {
        throw new MalformedException("its answer is of HTTP/1.0 and has a Transfer-Encoding");
      }
      if (chunks && length.isPresent()) {
        throw new MalformedException("its answer has both a Content-Length and a Transfer-Encoding");
      }
      if (status == 101) {
        throw new MalformedException("it wants to change to another protocol");
      }
      if (status >= 200) {
        body = status == 204 || status == 304 ? new Framing(false, OptionalLong.of(0)) : new Framing(chunks, length);
        keptOpen &= body.chunked() || body.length().isPresent();
        return new Head(status, List.of(), false);
      }
    }
  }

  /** The frame with which a server of HTTP/2 begins: a status line has no NUL. */
  private boolean isOtherProtocol() throws IOException {
    in.mark(1);
    boolean other = in.read() == 0;
    in.reset();
    return other;
  }

  /** Whether a field has a name; a blank in it, or a line that goes on from the one before, is read in two ways (RFC 9112, section 5). */
  private static boolean isToken(String line, int end) {
    for (int i = 0; i < end; i++) {
      char c = line.charAt(i);
      if (c <= ' ' || c > '~' || "()<>@,;:\\\"/[]?={}".indexOf(c) >= 0) {
        return false;
      }
    }
    return end > 0;
  }

  @Override
  public void readBody(Taker to) throws IOException {
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

  /** Nobody asks for them over HTTP/1.1. */
  @Override
  public List<Rpc.Field> trailers() {
    return List.of();
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

  @Override
  public boolean reusable() {
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
