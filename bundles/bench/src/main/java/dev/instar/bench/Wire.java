package dev.instar.bench;

import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/** An HTTP/1.1 connection that stays open, by blocking; so plain that whatever is wrong with an answer is seen as it is, and nothing is tried again. */
final class Wire implements AutoCloseable {
  private static final int PATIENCE_MS = 60_000;

  private final Socket socket;
  private final InputStream in;
  private final OutputStream out;
  private final String host;
  private final String credential;

  /** @param headers by their names in lower case */
  record Answer(int status, Map<String, String> headers, byte[] body) {
    String header(String name) {
      return headers.getOrDefault(name, "");
    }

    /** For people: status and the beginning of the body. */
    String shown() {
      return status + " " + new String(body, 0, Math.min(body.length, 300), StandardCharsets.ISO_8859_1).strip();
    }
  }

  Wire(URI node) throws IOException {
    this(node, Optional.empty());
  }

  /** @param token the administrator's, which goes with each request */
  Wire(URI node, Optional<String> token) throws IOException {
    socket = new Socket(node.getHost(), node.getPort());
    socket.setTcpNoDelay(true);
    socket.setSoTimeout(PATIENCE_MS);
    in = new BufferedInputStream(socket.getInputStream(), 16 << 10);
    out = socket.getOutputStream();
    host = node.getAuthority();
    credential = token.map(t -> "Authorization: Bearer " + t + "\r\n").orElse("");
  }

  Answer exchange(String method, String path, byte[] body) throws IOException {
    begin(method, path, body.length, body);
    return answer();
  }

  /** Sends the head and some of the body. */
  void begin(String method, String path, int length, byte[] first) throws IOException {
    byte[] head = (method + " " + path + " HTTP/1.1\r\nHost: " + host + "\r\n" + credential + "Content-Type: application/octet-stream\r\nContent-Length: " + length + "\r\n\r\n")
        .getBytes(StandardCharsets.US_ASCII);
    byte[] all = new byte[head.length + first.length];
    System.arraycopy(head, 0, all, 0, head.length);
    System.arraycopy(first, 0, all, head.length, first.length);
    out.write(all);
  }

  void send(byte[] bytes, int from, int to) throws IOException {
    out.write(bytes, from, to - from);
  }

  Answer answer() throws IOException {
    String[] status = line().split(" ", 3);
    if (status.length < 2 || !status[0].startsWith("HTTP/1.")) {
      throw new IOException("an answer that is not HTTP: " + String.join(" ", status));
    }
    Map<String, String> headers = new TreeMap<>();
    for (String line; !(line = line()).isEmpty();) {
      int colon = line.indexOf(':');
      headers.put(line.substring(0, colon).toLowerCase(Locale.ROOT), line.substring(colon + 1).strip());
    }
    ByteArrayOutputStream body = new ByteArrayOutputStream();
    if ("chunked".equals(headers.get("transfer-encoding"))) {
      for (int size; (size = Integer.parseInt(line(), 16)) > 0;) {
        read(size, body);
        line();
      }
      line();
    } else {
      read(Integer.parseInt(headers.getOrDefault("content-length", "0")), body);
    }
    return new Answer(Integer.parseInt(status[1]), headers, body.toByteArray());
  }

  private void read(int count, ByteArrayOutputStream into) throws IOException {
    byte[] bytes = in.readNBytes(count);
    into.writeBytes(bytes);
    if (bytes.length < count) {
      throw new EOFException("the connection ended within an answer");
    }
  }

  private String line() throws IOException {
    StringBuilder line = new StringBuilder();
    for (int c; (c = in.read()) != '\n';) {
      if (c < 0) {
        throw new EOFException(line.isEmpty() ? "the connection ended before an answer" : "the connection ended within an answer");
      }
      if (c != '\r') {
        line.append((char) c);
      }
    }
    return line.toString();
  }

  @Override
  public void close() {
    try {
      socket.close();
    } catch (IOException e) {
      // Nothing waits for it any more.
    }
  }
}
