package dev.instar.listener;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import dev.instar.api.Threads;
import dev.instar.api.http.HttpEntry;
import dev.instar.api.http.ServiceSlot;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Predicate;
import org.eclipse.jetty.http.HttpField;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.http.HttpVersion;
import org.eclipse.jetty.server.Handler;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.util.Callback;
import org.eclipse.jetty.util.component.Graceful;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Hands each request to the entry that is there, and waits for one when there is none. Counts the exchanges that run, so that a stop can let them end.
 *
 * <p>It runs on the thread that has read the request. An entry may take it there ({@link HttpEntry#begin}), which spares two switches of threads; else it is handled on a
 * virtual thread of its own.
 */
final class EntryHandler extends Handler.Abstract implements Graceful {
  private static final Logger LOG = LoggerFactory.getLogger(EntryHandler.class);
  // While a function computes nothing moves on the connection, which is no fault of the caller's. Reads and writes that wait still time out.
  private static final Predicate<TimeoutException> STAY = timeout -> false;

  private final ServiceSlot<HttpEntry> entries;
  private final ProblemErrorHandler errors;
  private final AtomicLong inFlight = new AtomicLong();
  private final Graceful.Shutdown shutdown = new Graceful.Shutdown(this) {
    @Override
    public boolean isShutdownDone() {
      return inFlight.get() == 0;
    }
  };
  /** The exchanges that may change or run something, for the end of a drain. */
  private final Set<Ending> calls = ConcurrentHashMap.newKeySet();
  private volatile boolean draining;
  private volatile Duration entryWait;
  private volatile DataRate rate;
  private volatile Site site;

  EntryHandler(ServiceSlot<HttpEntry> entries, ProblemErrorHandler errors, Settings settings, Site site) {
    super(InvocationType.NON_BLOCKING);
    this.site = site;
    this.entries = entries;
    this.errors = errors;
    apply(settings);
  }

  void apply(Settings settings) {
    entryWait = settings.entryWait();
    rate = new DataRate(settings.minBytesPerSecond(), settings.dataRateGrace());
  }

  void site(Site changed) {
    site = changed;
  }

  long inFlight() {
    return inFlight.get();
  }

  /**
   * Refuses new calls from now on, while the port stays open for those who ask how the node is, and waits until those that run have ended. What runs at
   * the end of that time is interrupted: its caller still gets an answer.
   */
  void drain(Duration limit, Duration grace) throws InterruptedException {
    draining = true;
    if (!awaitCalls(limit)) {
      LOG.warn("{} calls had not ended {} ms after the stop began; they are ended now.", calls.size(), limit.toMillis());
      calls.forEach(Ending::endEarly);
      awaitCalls(grace);
    }
  }

  private boolean awaitCalls(Duration limit) throws InterruptedException {
    long end = System.nanoTime() + limit.toNanos();
    while (!calls.isEmpty()) {
      if (System.nanoTime() - end >= 0) {
        return false;
      }
      // Once a stop; not worth a lock on each exchange.
      Thread.sleep(5);
    }
    return true;
  }

  /** One that only looks is answered to the end. */
  private static boolean looks(Request request) {
    return "GET".equals(request.getMethod()) || "HEAD".equals(request.getMethod());
  }

  @Override
  public boolean handle(Request request, Response response, Callback callback) {
    inFlight.incrementAndGet(); // before the look at shutdown, so that a stop that comes between counts this one
    Optional<GuardedEndPoint> endPoint = GuardedEndPoint.of(request.getConnectionMetaData().getConnection().getEndPoint());
    boolean looks = looks(request);
    Ending ending = new Ending(callback, request, endPoint, !looks);
    try {
      if (shutdown.isShutdown() || draining && !looks) {
        if (request.getConnectionMetaData().getHttpVersion() != HttpVersion.HTTP_2) {
          response.getHeaders().put(HttpHeader.CONNECTION, "close");
        }
        refuse(response, ending, Problem.of(ErrorCode.NOT_READY, "The node is stopping. Try again in a moment.").retryAfter(Duration.ofSeconds(1)));
        return true;
      }
      if (hasTwoReadings(request.getHttpURI().getPath()) || request.getHttpURI().getFragment() != null) {
        refuse(response, ending, Problem.of(ErrorCode.BAD_REQUEST, "The path has a segment '.' or '..', a ';', or a '#'; give the path that is meant."));
        return true;
      }
      Optional<Problem> objection = site.objection(request);
      if (objection.isPresent()) {
        refuse(response, ending, objection.get());
        return true;
      }
      boolean http2 = request.getConnectionMetaData().getHttpVersion() == HttpVersion.HTTP_2;
      if (http2 && isMalformed(request)) {
        refuse(response, ending, Problem.of(ErrorCode.BAD_REQUEST,
            "The request has a field that HTTP/2 forbids, a Host that is not its authority, or no single Content-Length that is a number."));
        return true;
      }
      boolean chunked = request.getHeaders().contains(HttpHeader.TRANSFER_ENCODING);
      if (chunked && hasCoding(request)) {
        response.getHeaders().put(HttpHeader.CONNECTION, "close");
        refuse(response, ending, Problem.of(ErrorCode.BAD_REQUEST, "The body has a transfer coding other than chunked, which is all that is undone here; send it without."));
        return true;
      }
      request.addIdleTimeoutListener(STAY);
      DataRate limit = rate;
      Request counted = chunked && !http2 && endPoint.isPresent() ? new ChunkedRequest(request, endPoint.get()) : request;
      Request paced = limit.unlimited() ? counted : new PacedRequest(counted, limit);
      Response pacedAnswer = limit.unlimited() ? response : new PacedResponse(paced, response, limit);
      Optional<Runnable> begun = entries.current().flatMap(entry -> entry.begin(paced, pacedAnswer, ending));
      if (begun.isPresent()) {
        ending.endedBy(begun.get());
      } else {
        Threads.startVirtual("http", () -> handleBlocking(paced, pacedAnswer, ending));
      }
    } catch (Throwable e) {
      Threads.startVirtual("http", () -> errors.answer(response, ending, 500, e));
    }
    return true;
  }

  /** Aside: an exchange that ends here would be followed by the next of its connection, and that by the next, while all other connections wait. */
  private static void refuse(Response response, Ending ending, Problem problem) {
    Threads.startVirtual("http", () -> ProblemErrorHandler.send(response, ending, problem));
  }

  private void handleBlocking(Request request, Response response, Ending ending) {
    try {
      ending.endedBy(Thread.currentThread()::interrupt);
      if (!handled(request, response, ending)) {
        ProblemErrorHandler.send(response, ending, Problem.of(ErrorCode.ROUTE_NOT_FOUND, "There is nothing at this path."));
      }
    } catch (InstarException e) {
      ProblemErrorHandler.send(response, ending, e.problem());
    } catch (InterruptedException e) {
      // Only a stop that has waited long enough interrupts; the connection is closed by it.
      ending.failed(e);
    } catch (Throwable e) {
      errors.answer(response, ending, 500, e);
    }
  }

  /** An entry that has gone before it was asked takes nothing any more; the one that comes in its place does. */
  private boolean handled(Request request, Response response, Callback callback) throws Exception {
    HttpEntry asked = entries.await(entryWait);
    while (!asked.handle(request, response, callback)) {
      if (entries.current().filter(asked::equals).isPresent()) {
        return false;
      }
      asked = entries.await(entryWait);
    }
    return true;
  }

  /** Jetty undoes chunked and hands on whatever was under it as the body (RFC 9112, section 6.1). */
  private static boolean hasCoding(Request request) {
    List<String> codings = request.getHeaders().getCSV(HttpHeader.TRANSFER_ENCODING, false);
    return codings.size() != 1 || !"chunked".equalsIgnoreCase(codings.getFirst());
  }

  /** Jetty refuses {@code Connection} only, of the fields that would mean something to an HTTP/1 node behind another (RFC 9113, section 8.2.2). */
  private static boolean isMalformed(Request request) {
    if (request.getHeaders().contains(HttpHeader.CONNECTION)) {
      return false; // the request that asked for HTTP/2: it came as HTTP/1, by whose rules it has been checked
    }
    boolean length = false;
    for (HttpField field : request.getHeaders()) {
      switch (field.getHeader()) {
        case TRANSFER_ENCODING, UPGRADE, KEEP_ALIVE, PROXY_CONNECTION -> {
          return true;
        }
        case HOST -> {
          if (!field.getValue().equals(request.getHttpURI().getAuthority())) {
            return true;
          }
        }
        case CONTENT_LENGTH -> {
          if (length || !isNumber(field.getValue())) {
            return true;
          }
          length = true;
        }
        case null, default -> {
          // Whatever it means is no affair of the listener's.
        }
      }
    }
    return false;
  }

  private static boolean isNumber(String text) {
    for (int i = 0; i < text.length(); i++) {
      if (text.charAt(i) < '0' || text.charAt(i) > '9') {
        return false;
      }
    }
    return !text.isEmpty();
  }

  /** Jetty refuses dot segments that are encoded and resolves plain ones; parameters of segments ({@code ;x=y}) mean something to nobody here. */
  static boolean hasTwoReadings(String path) {
    if (path == null) {
      return false;
    }
    for (int at = path.indexOf("/."); at >= 0; at = path.indexOf("/.", at + 1)) {
      int end = at + 2;
      if (end < path.length() && path.charAt(end) == '.') {
        end++;
      }
      if (end == path.length() || path.charAt(end) == '/') {
        return true;
      }
    }
    return path.indexOf(';') >= 0;
  }

  @Override
  public CompletableFuture<Void> shutdown() {
    return shutdown.shutdown();
  }

  @Override
  public boolean isShutdown() {
    return shutdown.isShutdown();
  }

  private final class Ending extends Callback.Nested {
    private final Optional<GuardedEndPoint> endPoint;
    private final Request request;
    private final AtomicBoolean ended = new AtomicBoolean();
    private Optional<Runnable> by = Optional.empty();
    private boolean endedEarly;

    /** @param call whether a drain waits for it, and ends it */
    Ending(Callback callback, Request request, Optional<GuardedEndPoint> endPoint, boolean call) {
      super(callback);
      if (call) {
        calls.add(this); // before the look at the drain, so that one that comes between is waited for
      }
      this.request = request;
      this.endPoint = endPoint;
      endPoint.ifPresent(guarded -> guarded.requestBegins(request));
    }

    /** How what runs can be ended; is, where that was wanted before. */
    void endedBy(Runnable end) {
      boolean now;
      synchronized (this) {
        by = Optional.of(end);
        now = endedEarly;
      }
      if (now) {
        end.run();
      }
    }

    /** Ends what runs; its caller still gets an answer. */
    void endEarly() {
      Optional<Runnable> end;
      synchronized (this) {
        endedEarly = true;
        end = by;
      }
      end.ifPresent(Runnable::run);
    }

    @Override
    public void succeeded() {
      InPlace.end(super::succeeded);
    }

    @Override
    public void completed() {
      if (ended.compareAndSet(false, true)) {
        endPoint.ifPresent(guarded -> guarded.requestEnds(request));
        calls.remove(this);
        inFlight.decrementAndGet();
        if (shutdown.isShutdown()) {
          shutdown.check();
        }
      }
    }
  }
}
