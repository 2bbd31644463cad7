package dev.instar.listener;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import org.eclipse.jetty.io.AbstractConnection;
import org.eclipse.jetty.util.BufferUtil;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(30)
class GuardedEndPointTest {
  /** Reads nothing by itself. */
  private static final class Reader extends AbstractConnection {
    Reader(GuardedEndPoint endPoint) {
      super(endPoint, Runnable::run);
    }

    @Override
    public void onFillable() {}
  }

  @Test
  void readsAreSmallUntilOneIsFullAndSmallAgainAfterOneThatIsNot() throws Exception {
    try (ServerSocketChannel server = ServerSocketChannel.open().bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
        SocketChannel caller = SocketChannel.open(server.getLocalAddress());
        SocketChannel accepted = server.accept()) {
      GuardedEndPoint endPoint = new GuardedEndPoint(accepted, null, null, null, Duration.ofSeconds(10), 1024, false);
      Reader reader = new Reader(endPoint);
      endPoint.setConnection(reader);
      assertEquals(10, read(endPoint, caller, 10, reader.getInputBufferSize()));
      assertEquals(GuardedEndPoint.SMALL_READ, reader.getInputBufferSize());
      assertEquals(GuardedEndPoint.SMALL_READ, read(endPoint, caller, 10_000, reader.getInputBufferSize()));
      assertEquals(GuardedEndPoint.LARGE_READ, reader.getInputBufferSize());
      assertEquals(10_000 - GuardedEndPoint.SMALL_READ, read(endPoint, caller, 0, reader.getInputBufferSize()));
      assertEquals(GuardedEndPoint.SMALL_READ, reader.getInputBufferSize());
    }
  }

  private static int read(GuardedEndPoint endPoint, SocketChannel caller, int sent, int size) throws Exception {
    for (ByteBuffer bytes = ByteBuffer.allocate(sent); bytes.hasRemaining();) {
      caller.write(bytes);
    }
    return endPoint.fill(BufferUtil.allocate(size));
  }
}
