package dev.instar.api.http;

import java.util.Optional;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.util.Callback;
import org.osgi.annotation.versioning.ConsumerType;

/**
 * What a listener hands its requests to: a Jetty {@link Request.Handler}, on a virtual thread, so it may block.
 *
 * <p>The listener keeps its port when entries come and go. It picks the entry with the highest service ranking whose service
 * property {@link #LISTENER} names the listener (or is absent); while there is none, a request waits up to a limit and then gets
 * 503 not-ready with Retry-After. An entry that goes still ends the requests that it has been given.
 */
@ConsumerType
public interface HttpEntry extends Request.Handler {
  /** Service property: the name of the listener that this entry serves; absent: all. */
  String LISTENER = "instar.listener";

  /** Service property, true: the entry asks for a credential on every listener off loopback. Others get no request there. */
  String CREDENTIALS = "instar.credentials";

  /** Attribute of the listener's Jetty server, true: it listens on loopback only. Where it is absent, credentials are needed. */
  String LOOPBACK = "instar.loopback";

  /**
   * Takes a request on the thread that has read it, which reads other connections too: it must not block. Asked first; what it does not take is handed to
   * {@link #handle} on a virtual thread, unchanged.
   *
   * @return how to end the exchange before its time, with an answer; from any thread, and without effect when it is over. Empty: not taken
   */
  default Optional<Runnable> begin(Request request, Response response, Callback callback) {
    return Optional.empty();
  }
}
