package dev.instar.gateway;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import dev.instar.api.http.HttpEntry;
import dev.instar.api.http.HttpExchange;
import dev.instar.api.http.RequestId;
import dev.instar.api.http.Route;
import dev.instar.gateway.access.Access;
import dev.instar.gateway.access.Caller;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.util.Callback;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The way of an exchange: admit, ask for credentials, match, hand to the dialect's route, render what went wrong, end. Takes no lock and looks no service up: the table
 * of routes is one volatile read, and so is each service that a route needs.
 */
public final class Gateway implements HttpEntry, AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(Gateway.class);
  /** To one who has shown no credential: that the process works. */
  private static final byte[] WORKS = "{\"status\":\"ok\"}".getBytes(StandardCharsets.US_ASCII);
  private static final Map<String, String> WORKS_HEADERS = Map.of("Content-Type", "application/json", "Cache-Control", "no-store");
  private static final long LAST_NANOS = 1_000_000_000;

  private final Dialects dialects;
  private final NodeApi api;
  private final GrpcCalls grpc;
  private final Access access;
  private final HeldBytes heap;
  private final AtomicInteger inFlight = new AtomicInteger();
  private volatile Settings settings;
  private volatile boolean closed;

  /** @param version of the node, for those who ask */
  public Gateway(Services services, Dialects dialects, Settings settings, Access access, String version) {
    this(services, dialects, settings, access, version, HeldBytes.ofHeap());
  }

  Gateway(Services services, Dialects dialects, Settings settings, Access access, String version, HeldBytes heap) {
    this.access = access;
    this.heap = heap;
    this.dialects = dialects;
    this.settings = settings;
    api = new NodeApi(services, settings, access, version);
    grpc = new GrpcCalls(access, api::invocations);
    // Before any other dialect, so that none takes a path of the node's own.
    dialects.add(api, Map.of("service.ranking", Integer.MAX_VALUE, "service.id", 0L));
  }

  void apply(Settings changed) {
    settings = changed;
    api.apply(changed);
  }

  /** False once it closes: what comes then is its successor's. */
  @Override
  public boolean handle(Request request, Response response, Callback callback) {
    int running = inFlight.incrementAndGet(); // before the look at closed, so that a close that comes between counts this one
    if (closed) {
      inFlight.decrementAndGet();
      return false;
    }
    Exchange exchange = new Exchange(this, request, response, callback, RequestId.next(), heap);
    run(exchange, () -> {
      if (!admitted(running, request.getMethod())) {
        throw new InstarException(Problem.of(ErrorCode.NODE_BUSY, "The node answers " + settings.maxExchanges() + " requests at one time, and does now. Try again in a moment.")
            .retryAfter(Duration.ofSeconds(1)));
      }
      answer(exchange);
    });
    return true;
  }

  /** A call of a function goes from here to the thread that runs it, and its answer out from there; what else there may be to do is done on a virtual thread. */
  @Override
  public Optional<Runnable> begin(Request request, Response response, Callback callback) {
    Optional<Call> found = call(request);
    if (found.isEmpty()) {
      return Optional.empty();
    }
    int running = inFlight.incrementAndGet();
    if (closed || !admitted(running, request.getMethod())) {
      inFlight.decrementAndGet();
      return Optional.empty();
    }
    Exchange exchange = new Exchange(this, request, response, callback, RequestId.next(), heap);
    try {
      if (!begun(exchange, found.get())) {
        exchange.goOn(() -> answer(exchange));
      }
    } catch (RuntimeException | Error e) {
      exchange.goOn(() -> {
        throw e;
      });
    }
    return Optional.of(exchange::stop);
  }

  /** A request that calls a function. */
  private record Call(List<String> segments, Routes.Match match, Route route) {}

  private Optional<Call> call(Request request) {
    String path = request.getHttpURI().getPath();
    // A credential may have to be looked up in a file.
    if (path == null || request.getHeaders().contains(HttpHeader.AUTHORIZATION)) {
      return Optional.empty();
    }
    try {
      List<String> segments = RequestPath.segments(path);
      return dialects.match(segments).flatMap(match -> match.route(request.getMethod()).filter(Route::calls).map(route -> new Call(segments, match, route)));
    } catch (InstarException e) {
      // It is told in the ordinary way.
      return Optional.empty();
    }
  }

  private boolean begun(Exchange exchange, Call call) {
    if (exchange.grpc().isPresent()) {
      return false;
    }
    exchange.admitted(access.admit(exchange.method(), call.segments(), exchange::authorization, exchange::peer, exchange.onLoopback()));
    exchange.matched(call.match());
    access.permit(exchange.caller(), call.segments(), call.match().value(exchange.method(), "user"), true);
    Optional<Dialects.Use> use = dialects.use(call.route().handler());
    if (use.isEmpty() || !use.get().enter()) {
      return false;
    }
    // Before it is begun: it may be over when that returns.
    exchange.in(use.get());
    boolean begun = false;
    try {
      begun = call.route().handler().begin(exchange);
      return begun;
    } finally {
      if (!begun) {
        exchange.out();
      }
    }
  }

  /** The exchange is over. */
  void over() {
    inFlight.decrementAndGet();
  }

  /** Does what is left of an exchange, says what has gone wrong with it, and ends it. */
  void run(Exchange exchange, HttpExchange.Rest rest) {
    try {
      rest.run();
      if (!exchange.answered()) {
        throw new IllegalStateException("the route did not answer");
      }
    } catch (InstarException e) {
      exchange.fail(e.problem());
    } catch (CallerGone e) {
      // One that only ceased to send may still read.
      exchange.fail(Problem.of(ErrorCode.BAD_BODY, "The body ended before it was whole."));
    } catch (InterruptedException e) {
      exchange.fail(Problem.of(ErrorCode.NOT_READY, "The node is stopping. Try again in a moment.").retryAfter(Duration.ofSeconds(1)));
      Thread.currentThread().interrupt();
    } catch (IOException | RuntimeException | LinkageError | StackOverflowError | OutOfMemoryError e) {
      LOG.error("Request {} ({} {}) failed.", exchange.requestId(), exchange.method(), exchange.path(), e);
      exchange.fail(Problem.of(ErrorCode.INTERNAL, "The node failed; its log has more under the request's id."));
    } finally {
      exchange.complete();
    }
  }

  private boolean admitted(int running, String method) {
    Settings now = settings;
    return running <= now.maxExchanges() || (running <= now.maxExchanges() + now.reservedExchanges() && ("GET".equals(method) || "HEAD".equals(method)));
  }

  private void answer(Exchange exchange) throws IOException, InterruptedException {
    if ("OPTIONS".equals(exchange.method()) && "*".equals(exchange.path())) {
      exchange.respond(204, Map.of(), new byte[0]);
      return;
    }
    if (exchange.path() == null) {
      throw new InstarException(ErrorCode.BAD_REQUEST, "The request names no path; this node is no proxy.");
    }
    if (exchange.grpc().isPresent()) {
      grpc.answer(exchange, exchange.grpc().get());
      return;
    }
    List<String> segments = RequestPath.segments(exchange.path());
    exchange.admitted(access.admit(exchange.method(), segments, exchange::authorization, exchange::peer, exchange.onLoopback()));
    Optional<Routes.Match> match = dialects.match(segments);
    if (match.isEmpty()) {
      match = dialects.await(segments, settings.serviceWait().toNanos());
    }
    Routes.Match found = match.orElseThrow(() -> new InstarException(ErrorCode.ROUTE_NOT_FOUND, "There is nothing at this path; GET /v1 lists what this node offers."));
    exchange.matched(found);
    Optional<Route> route = found.route(exchange.method());
    if (route.isPresent()) {
      if (exchange.caller() == Caller.STRANGER) {
        // Checks name directories, files and what is wrong in these.
        exchange.respond(200, WORKS_HEADERS, WORKS);
        return;
      }
      access.permit(exchange.caller(), segments, found.value(exchange.method(), "user"), route.get().calls());
      Optional<Dialects.Use> use = dialects.use(route.get().handler());
      if (use.isEmpty() || !use.get().enter()) {
        // Its dialect went just now. Another may have come, or will.
        answer(exchange);
        return;
      }
      try {
        route.get().handler().handle(exchange);
      } finally {
        use.get().leave();
      }
    } else if ("OPTIONS".equals(exchange.method())) {
      exchange.respond(204, Map.of("Allow", String.join(", ", exchange.allowed())), new byte[0]);
    } else {
      throw new InstarException(Problem.of(ErrorCode.METHOD_NOT_ALLOWED, "This path takes " + String.join(", ", exchange.allowed()) + "."));
    }
  }

  /** How long exchanges may go on when what they are in goes. */
  Duration drain() {
    return settings.drain();
  }

  /** Exchanges that run now. */
  int inFlight() {
    return inFlight.get();
  }

  /** Waits until the exchanges that run have ended, up to the drain time. */
  @Override
  public void close() {
    close(false);
  }

  /** @param node whether the whole node stops; then the listener has waited for the exchanges, and what still runs has been ended */
  void close(boolean node) {
    closed = true;
    api.close();
    long deadline = System.nanoTime() + (node ? Math.min(LAST_NANOS, settings.drain().toNanos()) : settings.drain().toNanos());
    while (inFlight.get() > 0 && System.nanoTime() - deadline < 0) {
      // Once a stop; not worth a lock on each exchange.
      LockSupport.parkNanos(5_000_000);
      if (Thread.currentThread().isInterrupted()) {
        break;
      }
    }
    if (inFlight.get() > 0) {
      LOG.warn("The gateway stops while {} exchanges still run.", inFlight.get());
    }
    dialects.remove(api, Duration.ZERO);
  }
}
