package dev.instar.network;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.BitSet;

/** Netlink messages, one after another in a buffer for one datagram (netlink(7), rtnetlink(7)). */
final class Message {
  static final int REQUEST = 0x1;
  static final int ACK = 0x4;
  static final int EXCLUSIVE = 0x200;
  static final int CREATE = 0x400;
  static final int REPLACE = 0x100;
  static final int DUMP = 0x300;
  static final int HEADER = 16;
  private static final int NESTED = 0x8000;

  private final ByteBuffer bytes = ByteBuffer.allocateDirect(16 << 10).order(ByteOrder.nativeOrder());
  private int begin = -1;
  private int count;
  /** Numbers of those that are acknowledged. */
  private final BitSet acknowledged = new BitSet();

  /** Ends the message before, and begins one. */
  Message begin(int type, int flags) {
    end();
    begin = bytes.position();
    bytes.putInt(0).putShort((short) type).putShort((short) (flags | REQUEST)).putInt(0).putInt(0);
    count++;
    if ((flags & ACK) != 0) {
      acknowledged.set(count);
    }
    return this;
  }

  private void end() {
    if (begin >= 0) {
      bytes.putInt(begin, bytes.position() - begin);
      begin = -1;
    }
  }

  /** struct ifinfomsg. */
  Message link(int family, int index, int flags, int change) {
    bytes.put((byte) family).put((byte) 0).putShort((short) 0).putInt(index).putInt(flags).putInt(change);
    return this;
  }

  Message bytes(int... values) {
    for (int value : values) {
      bytes.put((byte) value);
    }
    return this;
  }

  Message number(int value) {
    bytes.putInt(value);
    return this;
  }

  /** An attribute of one number of the host's order. */
  Message attribute(int type, int value) {
    return attribute(type, ByteBuffer.allocate(4).order(ByteOrder.nativeOrder()).putInt(value).array());
  }

  Message attribute(int type, long value) {
    return attribute(type, ByteBuffer.allocate(8).order(ByteOrder.nativeOrder()).putLong(value).array());
  }

  /** An attribute of text with a NUL at its end. */
  Message attribute(int type, String text) {
    return attribute(type, (text + "\0").getBytes(StandardCharsets.UTF_8));
  }

  Message attribute(int type, byte[] value) {
    bytes.putShort((short) (4 + value.length)).putShort((short) type).put(value);
    return align();
  }

  /** Four bytes of the network's order. */
  Message address(int type, int value) {
    return attribute(type, new byte[] {(byte) (value >>> 24), (byte) (value >>> 16), (byte) (value >>> 8), (byte) value});
  }

  /** Attributes within an attribute. */
  Message nested(int type, Runnable within) {
    int start = bytes.position();
    bytes.putShort((short) 0).putShort((short) (type | NESTED));
    within.run();
    bytes.putShort(start, (short) (bytes.position() - start));
    return this;
  }

  private Message align() {
    while (bytes.position() % 4 != 0) {
      bytes.put((byte) 0);
    }
    return this;
  }

  /** Numbers of those that the kernel acknowledges, from one on; for the caller to change. */
  BitSet acknowledged() {
    return (BitSet) acknowledged.clone();
  }

  /** How many messages there are. */
  int count() {
    return count;
  }

  boolean isEmpty() {
    return bytes.position() == 0;
  }

  /** Ready to be sent, with sequence numbers from {@code before + 1} on. */
  ByteBuffer datagram(int before) {
    end();
    ByteBuffer datagram = bytes.duplicate().order(ByteOrder.nativeOrder()).flip();
    int number = before;
    for (int at = 0; at < datagram.limit(); at += datagram.getInt(at) + 3 & ~3) {
      datagram.putInt(at + 8, ++number);
    }
    return datagram;
  }

  /** Empty again. */
  Message clear() {
    bytes.clear();
    begin = -1;
    count = 0;
    acknowledged.clear();
    return this;
  }
}
