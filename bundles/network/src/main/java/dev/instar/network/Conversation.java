package dev.instar.network;

import dev.instar.api.host.LinuxException;
import dev.instar.api.host.Netlink;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.BitSet;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;

/** Talks with the kernel over one netlink socket. For one thread at a time. */
final class Conversation implements AutoCloseable {
  private static final int ERROR = 2;
  private static final int DONE = 3;
  private static final int TYPE_MASK = 0x3fff;

  private final Netlink.Socket socket;
  private final ByteBuffer answer;
  /** The sequence number of the last message. */
  private int last;

  Conversation(Netlink netlink, int protocol) throws LinuxException {
    this(netlink, protocol, buffer());
  }

  /** @param answer of {@link #buffer}; nobody else uses it meanwhile */
  Conversation(Netlink netlink, int protocol, ByteBuffer answer) throws LinuxException {
    this.answer = answer;
    socket = netlink.open(protocol);
  }

  private Conversation(Netlink.Socket socket) {
    answer = buffer();
    this.socket = socket;
  }

  /** One that only hears what the kernel tells all who listen. */
  static Conversation listening(Netlink netlink, int protocol, int group) throws LinuxException {
    return new Conversation(netlink.listen(protocol, group));
  }

  /** Waits for a fifth of a second at most, and reads what came. */
  void hear(Reader reader) throws LinuxException {
    receive((number, type, payload) -> reader.read(type, payload));
  }

  /** As large as the kernel's datagrams may be. */
  static ByteBuffer buffer() {
    return ByteBuffer.allocateDirect(32 << 10).order(ByteOrder.nativeOrder());
  }

  /** One message of the kernel: its type, what comes after the header, and the attributes that follow {@code fixed} bytes of that. */
  @FunctionalInterface
  interface Reader {
    void read(int type, ByteBuffer payload);
  }

  /**
   * Sends, and waits until each message that asks for it is acknowledged.
   *
   * @param what what they do, for the message of a failure
   * @param accepted numbers of errors that are as good as none
   */
  void exchange(Message message, String what, Set<Integer> accepted) throws LinuxException {
    exchange(message, what, accepted, (type, payload) -> {});
  }

  void exchange(Message message, String what, Set<Integer> accepted, Reader reader) throws LinuxException {
    BitSet open = message.acknowledged();
    int before = send(message);
    LinuxException[] failure = {null};
    while (!open.isEmpty()) {
      receive((number, type, payload) -> {
        int which = number - before;
        if (which <= 0 || which > message.count()) {
          return;
        }
        if (type == ERROR) {
          int errno = -payload.getInt(0);
          // A batch of nftables is refused as a whole at its begin, which asks for no acknowledgement.
          if (errno != 0 && !message.acknowledged().get(which)) {
            open.clear();
          }
          open.clear(which);
          if (errno != 0 && !accepted.contains(errno) && failure[0] == null) {
            failure[0] = new LinuxException(what + ": the kernel refuses message " + which + " of " + message.count() + " with error " + errno + " (" + reason(errno) + ")",
                errno);
          }
        } else if (type == DONE) {
          open.clear(which);
        } else {
          reader.read(type, payload);
        }
      });
    }
    if (failure[0] != null) {
      throw failure[0];
    }
  }

  /** Asks for all objects of a kind. */
  void dump(Message message, String what, Reader reader) throws LinuxException {
    int before = send(message);
    LinuxException[] failure = {null};
    boolean[] done = {false};
    while (!done[0]) {
      receive((number, type, payload) -> {
        if (number != before + 1) {
          return;
        }
        if (type == DONE || type == ERROR) {
          done[0] = true;
          int errno = payload.remaining() < 4 ? 0 : -payload.getInt(0);
          if (errno != 0) {
            failure[0] = new LinuxException(what + ": the kernel refuses with error " + errno + " (" + reason(errno) + ")", errno);
          }
        } else {
          reader.read(type, payload);
        }
      });
    }
    if (failure[0] != null) {
      throw failure[0];
    }
  }

  /** Messages of one datagram, each with its sequence number: what answers an exchange that was given up may still come, and is nobody's answer any more. */
  private interface Numbered {
    void read(int number, int type, ByteBuffer payload);
  }

  /** @return the sequence number before the first one's */
  private int send(Message message) throws LinuxException {
    int before = last;
    last += message.count();
    socket.send(message.datagram(before));
    return before;
  }

  private void receive(Numbered reader) throws LinuxException {
    socket.receive(answer);
    while (answer.remaining() >= Message.HEADER) {
      int start = answer.position();
      int length = answer.getInt(start);
      if (length < Message.HEADER || length > answer.remaining()) {
        throw new LinuxException("receive from the kernel: a message of " + length + " bytes in " + answer.remaining(), LinuxException.EINVAL);
      }
      reader.read(answer.getInt(start + 8), answer.getShort(start + 4), answer.slice(start + Message.HEADER, length - Message.HEADER).order(ByteOrder.nativeOrder()));
      answer.position(Math.min(answer.limit(), start + (length + 3 & ~3)));
    }
  }

  /** Attributes by their type, from {@code position} of a payload on. */
  static Map<Integer, ByteBuffer> attributes(ByteBuffer payload, int position) {
    Map<Integer, ByteBuffer> attributes = new HashMap<>();
    int at = position;
    while (at + 4 <= payload.limit()) {
      int length = payload.getShort(at) & 0xffff;
      if (length < 4 || at + length > payload.limit()) {
        break;
      }
      attributes.put(payload.getShort(at + 2) & TYPE_MASK, payload.slice(at + 4, length - 4).order(ByteOrder.nativeOrder()));
      at += length + 3 & ~3;
    }
    return attributes;
  }

  /** Text with a NUL at its end. */
  static String text(ByteBuffer value) {
    byte[] bytes = new byte[Math.max(0, value.remaining() - 1)];
    value.get(0, bytes);
    return new String(bytes, StandardCharsets.UTF_8);
  }

  private static String reason(int errno) {
    return switch (errno) {
      case LinuxException.EPERM -> "not permitted";
      case LinuxException.ENOENT -> "no such object";
      case LinuxException.EEXIST -> "exists already";
      case LinuxException.ENODEV -> "no such device";
      case LinuxException.EINVAL -> "invalid";
      case LinuxException.EOPNOTSUPP -> "not supported by this kernel";
      default -> "see errno(3)";
    };
  }

  @Override
  public void close() {
    socket.close();
  }
}
