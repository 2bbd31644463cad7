package dev.instar.api.guest;

import java.nio.ByteBuffer;
import java.util.Map;

/**
 * One message of the guest protocol. On the wire: the length of the payload (4 bytes, big-endian, at most {@link #MAX_PAYLOAD}), the type (1 byte),
 * the payload. All numbers are big-endian, all text is UTF-8.
 *
 * <p>Data is carried in a {@link ByteBuffer} from its position to its limit; whoever reads it leaves the buffer's own position alone.
 */
public sealed interface Frame {
  /** The largest payload, in bytes. It bounds what a reader allocates for a hostile peer. */
  int MAX_PAYLOAD = 64 << 10;
  /** The most data in one INPUT, OUTPUT or LOG: the payload without its call id. */
  int MAX_DATA = MAX_PAYLOAD - 4;
  /** The most bytes of the text in a BYE or RESULT; a longer text is cut by its sender. */
  int MAX_TEXT = 4 << 10;
  /** The first bytes of a HELLO, never to change: "INST". */
  int MAGIC = 0x494E5354;
  /** The one version that there is. */
  int VERSION = 1;
  /** Bytes of input that may be on their way in each call before the guest has granted more. */
  int INITIAL_CREDIT = 64 << 10;

  /** The first frame of either side: the versions that it speaks. Its form is the same in every version. */
  record Hello(int lowest, int highest) implements Frame {}

  /** Guest: initialised, ready for a call. */
  record Ready() implements Frame {}

  /** Either side: asks for a PONG with the same number. */
  record Ping(long number) implements Frame {}

  /** The answer to a PING. */
  record Pong(long number) implements Frame {}

  /** Either side: this is my last frame. */
  record Bye(String reason) implements Frame {}

  /** Host: a call begins. */
  record Call(int call, Map<String, String> metadata) implements Frame {
    public Call {
      metadata = Map.copyOf(metadata);
    }
  }

  /** Host: bytes of the call's input; at least one. */
  record Input(int call, ByteBuffer data) implements Frame {}

  /** Host: the call's input has ended. */
  record InputEnd(int call) implements Frame {}

  /** Host: nobody waits for the answer any more. */
  record Cancel(int call) implements Frame {}

  /** Guest: so many more bytes of input may come. */
  record Credit(int call, int bytes) implements Frame {}

  /** Guest: bytes of the call's answer; at least one. */
  record Output(int call, ByteBuffer data) implements Frame {}

  /** Guest: bytes for the function's log; call 0 when they belong to none. */
  record Log(int call, ByteBuffer data) implements Frame {}

  /** Guest: the call has ended. {@code exitCode} is zero but for FAILED, where it is not. */
  record Result(int call, Status status, int exitCode, String message) implements Frame {}

  /** How a call ended. The ordinal is the number on the wire. */
  enum Status {
    /** The function answered. */
    ANSWERED,
    /** The function ended with an exit code other than zero. */
    FAILED,
    /** The function did what it cannot go on from. */
    TRAPPED,
    /** The function was refused memory. */
    OUT_OF_MEMORY
  }
}
