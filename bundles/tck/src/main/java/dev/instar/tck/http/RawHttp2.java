package dev.instar.tck.http;

import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * One HTTP/2 connection in clear text to the loopback address that sends exactly the frames it is given (RFC 9113, section 4.1), right or wrong. It
 * answers nothing by itself: no acknowledgement, no window update.
 */
public final class RawHttp2 implements AutoCloseable {
  /** Type of a frame (RFC 9113, section 6.1). */
  public static final int DATA = 0;
  /** Type of a frame (RFC 9113, section 6.2). */
  public static final int HEADERS = 1;
  /** Type of a frame (RFC 9113, section 6.3). */
  public static final int PRIORITY = 2;
  /** Type of a frame (RFC 9113, section 6.4). */
  public static final int RST_STREAM = 3;
  /** Type of a frame (RFC 9113, section 6.5). */
  public static final int SETTINGS = 4;
  /** Type of a frame (RFC 9113, section 6.6). */
  public static final int PUSH_PROMISE = 5;
  /** Type of a frame (RFC 9113, section 6.7). */
  public static final int PING = 6;
  /** Type of a frame (RFC 9113, section 6.8). */
  public static final int GOAWAY = 7;
  /** Type of a frame (RFC 9113, section 6.9). */
  public static final int WINDOW_UPDATE = 8;
  /** Type of a frame (RFC 9113, section 6.10). */
  public static final int CONTINUATION = 9;
  /** Flag of DATA and HEADERS. */
  public static final int END_STREAM = 1;
  /** Flag of HEADERS and CONTINUATION. */
  public static final int END_HEADERS = 4;
  private static final int PATIENCE_MS = 20_000;

  private final Socket socket = new Socket();
  private final DataInputStream in;

  /** Connects and sends the preface with SETTINGS of {@code (identifier, value)} pairs. */
  public RawHttp2(int port, int... settings) throws IOException {
    socket.connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), port));
    socket.setSoTimeout(PATIENCE_MS);
    socket.setTcpNoDelay(true);
    in = new DataInputStream(socket.getInputStream());
    ByteBuffer pairs = ByteBuffer.allocate(settings.length * 3);
    for (int i = 0; i < settings.length; i += 2) {
      pairs.putShort((short) settings[i]).putInt(settings[i + 1]);
    }
    ByteArrayOutputStream preface = new ByteArrayOutputStream();
    preface.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
    preface.write(bytes(SETTINGS, 0, 0, pairs.array()));
    send(preface.toByteArray());
  }

  /** The bytes of one frame; the payload may be longer than any peer takes. */
  public static byte[] bytes(int type, int flags, int stream, byte... payload) {
    return ByteBuffer.allocate(9 + payload.length).put((byte) (payload.length >>> 16)).putShort((short) payload.length).put((byte) type).put((byte) flags).putInt(stream)
        .put(payload).array();
  }

  /** Header fields as literals that are not indexed and not compressed (RFC 7541, section 6.2.2): name, value, name, value, … */
  public static byte[] fields(String... namesAndValues) {
    ByteArrayOutputStream block = new ByteArrayOutputStream();
    for (int i = 0; i < namesAndValues.length; i += 2) {
      block.write(0);
      string(block, namesAndValues[i]);
      string(block, namesAndValues[i + 1]);
    }
    return block.toByteArray();
  }

  /** The fields of a request, and more. */
  public static byte[] request(String method, String path, String... more) {
    byte[] first = fields(":method", method, ":scheme", "http", ":path", path, ":authority", "localhost");
    byte[] rest = fields(more);
    return ByteBuffer.allocate(first.length + rest.length).put(first).put(rest).array();
  }

  private static void string(ByteArrayOutputStream block, String text) {
    byte[] bytes = text.getBytes(StandardCharsets.ISO_8859_1);
    if (bytes.length < 127) {
      block.write(bytes.length);
    } else {
      block.write(127);
      int left = bytes.length - 127;
      while (left >= 128) {
        block.write(left & 127 | 128);
        left >>>= 7;
      }
      block.write(left);
    }
    block.writeBytes(bytes);
  }

  /** Sends bytes as they are. */
  public RawHttp2 send(byte[] bytes) throws IOException {
    socket.getOutputStream().write(bytes);
    socket.getOutputStream().flush();
    return this;
  }

  /** Sends one frame. */
  public RawHttp2 frame(int type, int flags, int stream, byte... payload) throws IOException {
    return send(bytes(type, flags, stream, payload));
  }

  /** A request without a body. */
  public RawHttp2 get(int stream, String path, String... more) throws IOException {
    return frame(HEADERS, END_HEADERS | END_STREAM, stream, request("GET", path, more));
  }

  /** The next frame; empty at the end of the connection, however it ends. */
  public Optional<Frame> next() throws IOException {
    try {
      int length = in.readUnsignedByte() << 16 | in.readUnsignedShort();
      int type = in.readUnsignedByte();
      int flags = in.readUnsignedByte();
      int stream = in.readInt() & Integer.MAX_VALUE;
      byte[] payload = new byte[length];
      in.readFully(payload);
      return Optional.of(new Frame(type, flags, stream, payload));
    } catch (EOFException | SocketException e) {
      return Optional.empty();
    }
  }

  /** Reads up to the end of a stream or of the connection. */
  public Ending ending(int stream) throws IOException {
    ByteArrayOutputStream body = new ByteArrayOutputStream();
    boolean headers = false;
    OptionalInt goAway = OptionalInt.empty();
    while (true) {
      Optional<Frame> next = next();
      if (next.isEmpty()) {
        return new Ending(headers, body.toByteArray(), false, OptionalInt.empty(), goAway, true);
      }
      Frame frame = next.get();
      if (frame.type() == GOAWAY) {
        goAway = OptionalInt.of(ByteBuffer.wrap(frame.payload()).getInt(4));
      } else if (frame.stream() == stream) {
        headers |= frame.type() == HEADERS;
        if (frame.type() == DATA) {
          body.write(frame.payload());
        }
        if (frame.type() == RST_STREAM) {
          return new Ending(headers, body.toByteArray(), false, OptionalInt.of(ByteBuffer.wrap(frame.payload()).getInt()), goAway, false);
        }
        if ((frame.type() == DATA || frame.type() == HEADERS) && (frame.flags() & END_STREAM) != 0) {
          return new Ending(headers, body.toByteArray(), true, OptionalInt.empty(), goAway, false);
        }
      }
    }
  }

  /** Whether the peer closes the connection, whatever it sends before. */
  public boolean closed() throws IOException {
    while (next().isPresent()) {
      // Its last words.
    }
    return true;
  }

  @Override
  public void close() throws IOException {
    socket.close();
  }

  /** A frame as it came. */
  public record Frame(int type, int flags, int stream, byte[] payload) {}

  /**
   * How a stream ended.
   *
   * @param headers whether an answer had begun
   * @param whole whether the answer ended as it should
   * @param reset the error code of RST_STREAM
   * @param goAway the error code of GOAWAY, when that came before
   * @param closed whether the connection ended before the stream did
   */
  public record Ending(boolean headers, byte[] body, boolean whole, OptionalInt reset, OptionalInt goAway, boolean closed) {
    /** The body as text. */
    public String text() {
      return new String(body, StandardCharsets.UTF_8);
    }

    @Override
    public String toString() {
      return "headers " + headers + ", whole " + whole + ", reset " + reset + ", goAway " + goAway + ", closed " + closed + "\n" + text();
    }
  }
}
