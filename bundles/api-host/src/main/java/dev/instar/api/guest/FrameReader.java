package dev.instar.api.guest;

import dev.instar.api.guest.Frame.Status;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;

/**
 * Reads frames from a peer that may be hostile: a length or type that the protocol does not have is refused before anything is allocated for it, so
 * a frame costs at most {@link Frame#MAX_PAYLOAD} bytes. After an exception the stream is of no use. Not thread-safe.
 */
public final class FrameReader {
  private static final int HEADER = 5;
  private static final Status[] STATUSES = Status.values();
  private final InputStream in;
  private final byte[] header = new byte[HEADER];

  /** @param in buffered, where a small read is dear */
  public FrameReader(InputStream in) {
    this.in = in;
  }

  /**
   * The next frame; empty when the stream ended between two frames.
   *
   * @throws FrameException when the peer broke the protocol
   * @throws IOException when the stream failed
   */
  public Optional<Frame> read() throws IOException {
    int got = in.readNBytes(header, 0, HEADER);
    if (got == 0) {
      return Optional.empty();
    }
    if (got < HEADER) {
      throw new FrameException("the stream ended inside a frame's header");
    }
    ByteBuffer h = ByteBuffer.wrap(header);
    int length = h.getInt();
    if (length < 0 || length > Frame.MAX_PAYLOAD) {
      throw new FrameException("a frame's length is " + Integer.toUnsignedString(length) + ", over " + Frame.MAX_PAYLOAD + textHint());
    }
    FrameType type = FrameType.of(h.get() & 0xff);
    if (length < type.least || length > type.most) {
      throw new FrameException("a frame " + type + " has a payload of " + length + " bytes");
    }
    byte[] payload = new byte[length];
    if (in.readNBytes(payload, 0, length) < length) {
      throw new FrameException("the stream ended inside a frame " + type);
    }
    return Optional.of(decode(type, ByteBuffer.wrap(payload)));
  }

  /** A program that prints where its frames should go is the usual mistake, so it is named. */
  private String textHint() {
    for (byte b : header) {
      if (b < ' ' || b > '~') {
        return "";
      }
    }
    return " (it begins with the text '" + new String(header, StandardCharsets.US_ASCII) + "': does something print to the standard output?)";
  }

  private static Frame decode(FrameType type, ByteBuffer p) throws FrameException {
    return switch (type) {
      case HELLO -> hello(p);
      case READY -> new Frame.Ready();
      case PING -> new Frame.Ping(p.getLong());
      case PONG -> new Frame.Pong(p.getLong());
      case BYE -> new Frame.Bye(text(type, p));
      case CALL -> new Frame.Call(call(type, p), map(p));
      case INPUT -> new Frame.Input(call(type, p), p.slice());
      case INPUT_END -> new Frame.InputEnd(call(type, p));
      case CANCEL -> new Frame.Cancel(call(type, p));
      case CREDIT -> credit(p);
      case OUTPUT -> new Frame.Output(call(type, p), p.slice());
      case LOG -> new Frame.Log(p.getInt(), p.slice());
      case RESULT -> result(p);
    };
  }

  private static Frame hello(ByteBuffer p) throws FrameException {
    int magic = p.getInt();
    if (magic != Frame.MAGIC) {
      throw new FrameException("a frame HELLO has the magic number 0x%08x".formatted(magic));
    }
    int lowest = p.getShort() & 0xffff;
    int highest = p.getShort() & 0xffff;
    if (lowest > highest) {
      throw new FrameException("a frame HELLO has the versions " + lowest + " to " + highest);
    }
    return new Frame.Hello(lowest, highest);
  }

  private static Frame credit(ByteBuffer p) throws FrameException {
    int call = call(FrameType.CREDIT, p);
    int bytes = p.getInt();
    if (bytes <= 0) {
      throw new FrameException("a frame CREDIT is for " + Integer.toUnsignedString(bytes) + " bytes");
    }
    return new Frame.Credit(call, bytes);
  }

  private static Frame result(ByteBuffer p) throws FrameException {
    int call = call(FrameType.RESULT, p);
    int number = p.get() & 0xff;
    if (number >= STATUSES.length) {
      throw new FrameException("a frame RESULT has the status " + number);
    }
    Status status = STATUSES[number];
    int exitCode = p.getInt();
    if ((status == Status.FAILED) == (exitCode == 0)) {
      throw new FrameException("a frame RESULT has the status " + status + " and the exit code " + exitCode);
    }
    return new Frame.Result(call, status, exitCode, text(FrameType.RESULT, p));
  }

  private static int call(FrameType type, ByteBuffer p) throws FrameException {
    int call = p.getInt();
    if (call == 0) {
      throw new FrameException("a frame " + type + " is for call 0");
    }
    return call;
  }

  private static Map<String, String> map(ByteBuffer p) throws FrameException {
    int count = p.getShort() & 0xffff;
    Map<String, String> map = new HashMap<>();
    byte[] before = {};
    for (int i = 0; i < count; i++) {
      byte[] key = item(p);
      if (i > 0 && Arrays.compareUnsigned(before, key) >= 0) {
        throw new FrameException("the keys of the metadata of a frame CALL are not in ascending order");
      }
      before = key;
      map.put(text(FrameType.CALL, ByteBuffer.wrap(key)), text(FrameType.CALL, ByteBuffer.wrap(item(p))));
    }
    if (p.hasRemaining()) {
      throw new FrameException("a frame CALL has " + p.remaining() + " bytes after its metadata");
    }
    return map;
  }

  private static byte[] item(ByteBuffer p) throws FrameException {
    int length = p.remaining() < 2 ? -1 : p.getShort() & 0xffff;
    if (length < 0 || length > p.remaining()) {
      throw new FrameException("the metadata of a frame CALL is cut off");
    }
    byte[] item = new byte[length];
    p.get(item);
    return item;
  }

  private static String text(FrameType type, ByteBuffer p) throws FrameException {
    try {
      return StandardCharsets.UTF_8.newDecoder().onMalformedInput(CodingErrorAction.REPORT).decode(p).toString();
    } catch (CharacterCodingException e) {
      throw new FrameException("the text of a frame " + type + " is not UTF-8");
    }
  }
}
