package dev.instar.api.guest;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Map;
import java.util.TreeMap;

/** Writes frames, each with one write to the stream and a flush. Not thread-safe. */
public final class FrameWriter {
  private static final int HEADER = 5;
  private final OutputStream out;
  private final ByteBuffer frame = ByteBuffer.allocate(HEADER + Frame.MAX_PAYLOAD);

  public FrameWriter(OutputStream out) {
    this.out = out;
  }

  /**
   * @throws IllegalArgumentException when the frame has more than fits; texts are cut instead
   * @throws IOException when the stream failed
   */
  public void write(Frame message) throws IOException {
    frame.clear().position(HEADER);
    FrameType type = encode(message);
    int length = frame.position() - HEADER;
    if (length < type.least || length > type.most) {
      throw new IllegalArgumentException("a frame " + type + " cannot have a payload of " + length + " bytes");
    }
    frame.putInt(0, length).put(4, (byte) type.number);
    out.write(frame.array(), 0, HEADER + length);
    out.flush();
  }

  private FrameType encode(Frame message) {
    switch (message) {
      case Frame.Hello(int lowest, int highest) -> {
        frame.putInt(Frame.MAGIC).putShort((short) lowest).putShort((short) highest);
        return FrameType.HELLO;
      }
      case Frame.Ready() -> {
        return FrameType.READY;
      }
      case Frame.Ping(long number) -> {
        frame.putLong(number);
        return FrameType.PING;
      }
      case Frame.Pong(long number) -> {
        frame.putLong(number);
        return FrameType.PONG;
      }
      case Frame.Bye(String reason) -> {
        frame.put(text(reason));
        return FrameType.BYE;
      }
      case Frame.Call(int call, Map<String, String> metadata) -> {
        frame.putInt(call);
        map(metadata);
        return FrameType.CALL;
      }
      case Frame.Input(int call, ByteBuffer data) -> {
        data(call, data);
        return FrameType.INPUT;
      }
      case Frame.InputEnd(int call) -> {
        frame.putInt(call);
        return FrameType.INPUT_END;
      }
      case Frame.Cancel(int call) -> {
        frame.putInt(call);
        return FrameType.CANCEL;
      }
      case Frame.Credit(int call, int bytes) -> {
        frame.putInt(call).putInt(bytes);
        return FrameType.CREDIT;
      }
      case Frame.Output(int call, ByteBuffer data) -> {
        data(call, data);
        return FrameType.OUTPUT;
      }
      case Frame.Log(int call, ByteBuffer data) -> {
        data(call, data);
        return FrameType.LOG;
      }
      case Frame.Result(int call, Frame.Status status, int exitCode, String words) -> {
        frame.putInt(call).put((byte) status.ordinal()).putInt(exitCode).put(text(words));
        return FrameType.RESULT;
      }
    }
  }

  private void data(int call, ByteBuffer data) {
    if (data.remaining() > Frame.MAX_DATA) {
      throw new IllegalArgumentException("a frame cannot carry " + data.remaining() + " bytes");
    }
    frame.putInt(call).put(data.duplicate());
  }

  private void map(Map<String, String> metadata) {
    TreeMap<byte[], byte[]> sorted = new TreeMap<>(Arrays::compareUnsigned);
    int size = 6;
    for (var entry : metadata.entrySet()) {
      byte[] key = entry.getKey().getBytes(StandardCharsets.UTF_8);
      byte[] value = entry.getValue().getBytes(StandardCharsets.UTF_8);
      size += 4 + key.length + value.length;
      if (size > Frame.MAX_PAYLOAD) {
        throw new IllegalArgumentException("the metadata of a call does not fit into a frame");
      }
      sorted.put(key, value);
    }
    frame.putShort((short) sorted.size());
    sorted.forEach((key, value) -> frame.putShort((short) key.length).put(key).putShort((short) value.length).put(value));
  }

  /** At most {@link Frame#MAX_TEXT} bytes, cut between two characters. */
  private static byte[] text(String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    if (bytes.length <= Frame.MAX_TEXT) {
      return bytes;
    }
    int end = Frame.MAX_TEXT;
    while ((bytes[end] & 0xc0) == 0x80) {
      end--;
    }
    return Arrays.copyOf(bytes, end);
  }
}
