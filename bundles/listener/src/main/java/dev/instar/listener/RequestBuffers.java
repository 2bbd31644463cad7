package dev.instar.listener;

import org.eclipse.jetty.io.ArrayByteBufferPool;
import org.eclipse.jetty.io.ByteBufferPool;
import org.eclipse.jetty.io.RetainableByteBuffer;

/**
 * Buffers that bytes of callers are read into are used once and left to the collector; those for answers come from a pool.
 *
 * <p>When Jetty refuses a request it ends the exchange on one thread while another still reads the connection, and a request buffer may be released
 * twice (jetty.project issue 12939; a malformed request line at the right moment is enough). From a pool, one caller's bytes could then be read
 * into what has become another's buffer. Here the second release is an exception and nothing more. Cost: fresh heap for each read of a connection; how
 * much, {@link GuardedEndPoint} chooses.
 */
final class RequestBuffers extends ByteBufferPool.Wrapper {
  private static final ByteBufferPool ONCE = new ByteBufferPool.NonPooling();

  RequestBuffers() {
    super(new ArrayByteBufferPool());
  }

  /** The listener asks for heap buffers to read into and for direct ones to write from. */
  @Override
  public RetainableByteBuffer acquire(int size, boolean direct) {
    return direct ? super.acquire(size, true) : ONCE.acquire(size, false);
  }
}
