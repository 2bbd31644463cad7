package dev.instar.api.http;

import java.util.List;
import org.osgi.annotation.versioning.ConsumerType;

/**
 * One HTTP API: a thin translation onto the services of the node. A dialect declares routes as data; the gateway matches,
 * checks names, authenticates, limits, and renders problems, so that a dialect never sees a path that has two readings.
 *
 * <h2>Life cycle</h2>
 * Registered as an OSGi service. The gateway reads {@link #routes} once when it comes; two dialects of one gateway that declare the same method
 * and template are a mistake of configuration: the one with the lower service ranking (then the later) is left out whole and an error is logged.
 * A dialect that goes still ends the exchanges that it has been given.
 */
@ConsumerType
public interface HttpDialect {
  /** For people and logs, e.g. {@code faasm}. */
  String name();

  /** Its routes; constant while it is registered. */
  List<Route> routes();
}
