package dev.instar.linux;

import com.sun.jna.LastErrorException;
import com.sun.jna.Native;
import com.sun.jna.NativeLong;
import dev.instar.api.host.LinuxException;
import dev.instar.api.host.Netlink;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.osgi.service.component.annotations.Component;

/** {@link Netlink}. */
@Component
public final class LinuxNetlink implements Netlink {
  private static final long WAIT_SECONDS = 10;
  private static final long LISTEN_MICROS = 200_000;
  private static final int EINTR = 4;
  private static final int EAGAIN = 11;
  private static final int EBADF = 9;
  private static final int EMSGSIZE = 90;

  @Override
  public Socket open(int protocol) throws LinuxException {
    return new Kernel(socket(protocol, WAIT_SECONDS, 0, 0), false);
  }

  @Override
  public Socket listen(int protocol, int group) throws LinuxException {
    return new Kernel(socket(protocol, 0, LISTEN_MICROS, group), true);
  }

  private static int socket(int protocol, long seconds, long micros, int group) throws LinuxException {
    try {
      int descriptor = LibC.socket(LibC.AF_NETLINK, LibC.SOCK_RAW | LibC.SOCK_CLOEXEC, protocol);
      // struct timeval: two longs.
      byte[] wait = ByteBuffer.allocate(2 * NativeLong.SIZE).order(ByteOrder.nativeOrder()).putLong(seconds).putLong(micros).array();
      try {
        LibC.setsockopt(descriptor, LibC.SOL_SOCKET, LibC.SO_RCVTIMEO, wait, wait.length);
        if (group > 0) {
          byte[] number = ByteBuffer.allocate(4).order(ByteOrder.nativeOrder()).putInt(group).array();
          LibC.setsockopt(descriptor, LibC.SOL_NETLINK, LibC.NETLINK_ADD_MEMBERSHIP, number, number.length);
        }
      } catch (LastErrorException e) {
        LibC.close(descriptor);
        throw e;
      }
      return descriptor;
    } catch (LastErrorException e) {
      throw LibC.failure("open a netlink socket of protocol " + protocol, e);
    }
  }

  private static final class Kernel implements Socket {
    private final int descriptor;
    private final boolean listens;
    private boolean closed;

    Kernel(int descriptor, boolean listens) {
      this.descriptor = descriptor;
      this.listens = listens;
    }

    @Override
    public void send(ByteBuffer messages) throws LinuxException {
      try {
        LibC.send(open(), Native.getDirectBufferPointer(messages).share(messages.position()), new NativeLong(messages.remaining()), 0);
      } catch (LastErrorException e) {
        throw LibC.failure("send to the kernel", e);
      }
    }

    @Override
    public void receive(ByteBuffer buffer) throws LinuxException {
      try {
        // With MSG_TRUNC the kernel tells how long the datagram was.
        long length = LibC.recv(open(), Native.getDirectBufferPointer(buffer), new NativeLong(buffer.capacity()), LibC.MSG_TRUNC).longValue();
        if (length > buffer.capacity()) {
          throw new LinuxException("receive from the kernel: " + length + " bytes do not fit into " + buffer.capacity(), EMSGSIZE);
        }
        buffer.position(0).limit((int) length);
      } catch (LastErrorException e) {
        if (listens && (e.getErrorCode() == EAGAIN || e.getErrorCode() == EINTR)) {
          buffer.position(0).limit(0);
          return;
        }
        throw LibC.failure("receive from the kernel", e);
      }
    }

    private int open() throws LinuxException {
      if (closed) {
        throw new LinuxException("the netlink socket is closed", EBADF);
      }
      return descriptor;
    }

    @Override
    public void close() {
      if (!closed) {
        closed = true;
        LibC.close(descriptor);
      }
    }
  }
}
