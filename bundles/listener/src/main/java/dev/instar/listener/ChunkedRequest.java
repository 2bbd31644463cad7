package dev.instar.listener;

import org.eclipse.jetty.io.Content;
import org.eclipse.jetty.server.Request;

/** An HTTP/1 request whose body comes in chunks: tells the connection how much of what came was body. */
final class ChunkedRequest extends Request.Wrapper {
  private final GuardedEndPoint endPoint;

  ChunkedRequest(Request request, GuardedEndPoint endPoint) {
    super(request);
    this.endPoint = endPoint;
    endPoint.chunksBegin();
  }

  @Override
  public Content.Chunk read() {
    Content.Chunk chunk = super.read();
    if (chunk != null) {
      endPoint.unwrapped(chunk.remaining());
    }
    return chunk;
  }
}
