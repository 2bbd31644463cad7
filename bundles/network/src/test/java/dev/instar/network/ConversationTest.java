package dev.instar.network;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.instar.api.host.LinuxException;
import dev.instar.api.host.Netlink;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** Against a kernel that answers late. */
class ConversationTest {
  private static final int ERROR = 2;
  private static final int DONE = 3;
  private static final int LINK = 16;

  private final List<Integer> sent = new ArrayList<>();
  private final Deque<ByteBuffer> answers = new ArrayDeque<>();

  private Conversation conversation() throws LinuxException {
    Netlink.Socket socket = new Netlink.Socket() {
      @Override
      public void send(ByteBuffer messages) {
        ByteBuffer all = messages.duplicate().order(ByteOrder.nativeOrder());
        for (int at = 0; at < all.limit(); at += all.getInt(at)) {
          sent.add(all.getInt(at + 8));
        }
      }

      @Override
      public void receive(ByteBuffer buffer) throws LinuxException {
        ByteBuffer next = answers.poll();
        if (next == null) {
          throw new LinuxException("nothing within ten seconds", 11);
        }
        buffer.clear().put(next.duplicate()).flip();
      }

      @Override
      public void close() {}
    };
    return new Conversation(new Netlink() {
      @Override
      public Socket open(int protocol) {
        return socket;
      }

      @Override
      public Socket listen(int protocol, int group) {
        return socket;
      }
    }, Netlink.ROUTE);
  }

  private void answer(int number, int type, int value) {
    answers.add(ByteBuffer.allocate(36).order(ByteOrder.nativeOrder()).putInt(36).putShort((short) type).putShort((short) 0).putInt(number).putInt(0).putInt(-value).clear());
  }

  private static Message two() {
    Message m = new Message();
    m.begin(LINK, Message.ACK).link(0, 0, 0, 0);
    return m.begin(LINK, Message.ACK).link(0, 0, 0, 0);
  }

  @Test
  void theAnswerToWhatWasGivenUpIsNobodysAnswer() throws LinuxException {
    try (Conversation conversation = conversation()) {
      assertThrows(LinuxException.class, () -> conversation.exchange(two(), "first", Set.of()));
      assertEquals(List.of(1, 2), sent);
      answer(1, ERROR, LinuxException.EPERM);
      answer(2, ERROR, 0);
      answer(4, ERROR, 0);
      answer(3, ERROR, LinuxException.EEXIST);
      LinuxException refused = assertThrows(LinuxException.class, () -> conversation.exchange(two(), "second", Set.of()));
      assertEquals(LinuxException.EEXIST, refused.errno());
      assertEquals("second: the kernel refuses message 1 of 2 with error 17 (exists already)", refused.getMessage());
      assertEquals(List.of(1, 2, 3, 4), sent);
      assertEquals(0, answers.size());
    }
  }

  @Test
  void aDumpEndsWithItsOwnEndOnly() throws LinuxException {
    try (Conversation conversation = conversation()) {
      assertThrows(LinuxException.class, () -> conversation.dump(new Message().begin(LINK, Message.DUMP).link(0, 0, 0, 0), "first", (type, payload) -> {}));
      answer(1, LINK, 1);
      answer(1, DONE, 0);
      answer(2, LINK, -7);
      answer(2, DONE, 0);
      List<Integer> read = new ArrayList<>();
      conversation.dump(new Message().begin(LINK, Message.DUMP).link(0, 0, 0, 0), "second", (type, payload) -> read.add(payload.getInt(0)));
      assertEquals(List.of(7), read);
    }
  }

  @Test
  void aBatchThatIsRefusedAtItsBeginIsNotWaitedFor() throws LinuxException {
    try (Conversation conversation = conversation()) {
      Message m = new Message();
      m.begin(LINK, 0).link(0, 0, 0, 0);
      m.begin(LINK, Message.ACK).link(0, 0, 0, 0);
      m.begin(LINK, Message.ACK).link(0, 0, 0, 0);
      answer(1, ERROR, LinuxException.EOPNOTSUPP);
      assertEquals(LinuxException.EOPNOTSUPP, assertThrows(LinuxException.class, () -> conversation.exchange(m, "batch", Set.of())).errno());
    }
  }
}
