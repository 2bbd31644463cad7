package dev.instar.listener;

import java.util.concurrent.TimeoutException;
import org.eclipse.jetty.io.Content;
import org.eclipse.jetty.server.Request;

/**
 * A request whose body must come at a least rate. Only the time that the reader waits counts: a function that reads slowly is not blamed on the caller.
 * The rate is looked at when bytes come; when none come the idle time ends the wait.
 */
final class PacedRequest extends Request.Wrapper {
  private final DataRate rate;
  // Reads and demands follow one another (Content.Source), so plain fields do.
  private long waitingSince;
  private boolean waiting;
  private long waited;
  private long received;
  private Content.Chunk failure;

  PacedRequest(Request request, DataRate rate) {
    super(request);
    this.rate = rate;
  }

  @Override
  public void demand(Runnable demandCallback) {
    waitingSince = System.nanoTime();
    waiting = true;
    super.demand(demandCallback);
  }

  @Override
  public Content.Chunk read() {
    if (failure != null) {
      return failure;
    }
    Content.Chunk chunk = super.read();
    if (waiting && chunk != null) {
      waiting = false;
      waited += System.nanoTime() - waitingSince;
      received += chunk.remaining();
      if (!chunk.isLast() && rate.tooSlow(received, waited)) {
        chunk.release();
        TimeoutException slow = new TimeoutException(
            "the body came with " + received + " bytes in " + waited / 1_000_000 + " ms; " + rate.bytesPerSecond() + " bytes per second are asked for");
        failure = Content.Chunk.from(slow, true);
        return failure;
      }
    } else if (chunk != null) {
      received += chunk.remaining();
    }
    return chunk;
  }
}
