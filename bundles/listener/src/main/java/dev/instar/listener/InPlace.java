package dev.instar.listener;

import java.util.concurrent.Executor;
import org.eclipse.jetty.io.Connection;
import org.eclipse.jetty.util.thread.QueuedThreadPool;
import org.eclipse.jetty.util.thread.TryExecutor;

/**
 * The connections' executor. When an exchange is over that did not end on the thread which had read it, Jetty has the executor look for the connection's next request. The thread
 * that has ended the exchange does that itself here: it costs one read, which mostly finds nothing, and another thread would have to be woken for it. A connection on which
 * there is always a next one gets another thread after some: the thread may be one that ran a call and has more to do.
 */
final class InPlace implements TryExecutor {
  private static final ThreadLocal<Boolean> ENDS = new ThreadLocal<>();
  private final QueuedThreadPool threads;

  InPlace(QueuedThreadPool threads) {
    this.threads = threads;
  }

  /** Runs the end of an exchange. */
  static void end(Runnable work) {
    if (ENDS.get() != null) {
      work.run();
      return;
    }
    ENDS.set(true);
    try {
      work.run();
    } finally {
      ENDS.remove();
    }
  }

  @Override
  public void execute(Runnable task) {
    // Handling is non-blocking, so whoever ends an exchange can begin the next one; it does not end there, so this goes no deeper.
    if (task instanceof Connection connection && ENDS.get() != null && GuardedEndPoint.of(connection.getEndPoint()).filter(GuardedEndPoint::mayGoOn).isPresent()) {
      task.run();
    } else {
      threads.execute(task);
    }
  }

  @Override
  public boolean tryExecute(Runnable task) {
    return threads.tryExecute(task);
  }
}
