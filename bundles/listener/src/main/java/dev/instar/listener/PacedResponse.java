package dev.instar.listener;

import java.nio.ByteBuffer;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicReference;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.util.Callback;
import org.eclipse.jetty.util.thread.Scheduler;

/**
 * An answer that must be taken at a least rate. A timer is set only for a write that the connection could not take at once, which is rare: most fit
 * in the socket's buffer.
 */
final class PacedResponse extends Response.Wrapper {
  private final DataRate rate;

  PacedResponse(Request request, Response response, DataRate rate) {
    super(request, response);
    this.rate = rate;
  }

  @Override
  public void write(boolean last, ByteBuffer content, Callback callback) {
    int bytes = content == null ? 0 : content.remaining();
    // Before the write: the exchange may be over after it, and the request somebody else's.
    Watch watch = new Watch(callback, getRequest().getComponents().getScheduler());
    super.write(last, content, watch);
    watch.arm(bytes);
  }

  private final class Watch extends Callback.Nested {
    private static final Scheduler.Task DONE = () -> false;
    private final AtomicReference<Scheduler.Task> timer = new AtomicReference<>();
    private final Scheduler scheduler;

    Watch(Callback callback, Scheduler scheduler) {
      super(callback);
      this.scheduler = scheduler;
    }

    void arm(int bytes) {
      if (timer.get() == null) {
        Request request = getRequest();
        Scheduler.Task task = scheduler.schedule(() -> tooSlow(request, bytes), rate.time(bytes).toMillis(), TimeUnit.MILLISECONDS);
        if (!timer.compareAndSet(null, task)) {
          task.cancel();
        }
      }
    }

    @Override
    public void completed() {
      Scheduler.Task task = timer.getAndSet(DONE);
      if (task != null) {
        task.cancel();
      }
    }

    private void tooSlow(Request request, int bytes) {
      if (timer.get() != DONE) {
        request.fail(new TimeoutException("the answer was taken too slowly: " + bytes + " bytes not within " + rate.time(bytes).toMillis() + " ms"));
      }
    }
  }
}
