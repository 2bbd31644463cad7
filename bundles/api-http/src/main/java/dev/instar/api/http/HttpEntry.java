package dev.instar.api.http;

import org.eclipse.jetty.server.Request;
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
}
