package dev.instar.gateway;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import dev.instar.api.Threads;
import dev.instar.api.function.FunctionName;
import dev.instar.api.http.HttpEntry;
import dev.instar.api.http.HttpExchange;
import dev.instar.api.http.ProblemDocument;
import dev.instar.api.invocation.CallInput;
import dev.instar.gateway.access.Caller;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;
import org.eclipse.jetty.http.HttpFields;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.http.HttpVersion;
import org.eclipse.jetty.http.PreEncodedHttpField;
import org.eclipse.jetty.io.EofException;
import org.eclipse.jetty.server.HttpStream;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.util.Blocker;
import org.eclipse.jetty.util.Callback;
import org.eclipse.jetty.util.thread.Invocable;

/** One request and its answer over Jetty's core API, by blocking on a virtual thread. */
final class Exchange implements HttpExchange {
  private static final PreEncodedHttpField NOSNIFF = new PreEncodedHttpField("X-Content-Type-Options", "nosniff");
  /** What hop-by-hop headers are (RFC 9110, section 7.6.1), and what the node says itself. */
  private static final Set<String> OWNED = Set.of("connection", "keep-alive", "proxy-connection", "transfer-encoding", "te", "trailer", "upgrade", "content-length",
      "date", "server", "instar-request-id", "x-content-type-options");
  // So much of a body that nobody wants is read to keep the connection; more costs more than a new connection.
  private static final long KEEP_BYTES = 256 << 10;
  // So much, for so long, is read from a caller that is still sending when its connection is about to be closed, that it may see the answer.
  private static final long LINGER_BYTES = 16 << 20;
  private static final long LINGER_NANOS = TimeUnit.SECONDS.toNanos(2);

  private final Request request;
  private final Response response;
  private final Callback callback;
  private final String id;
  private final Body body;
  private final HeldBytes.Lease lease;
  private final Optional<GrpcAnswer> grpc;
  private Routes.Match match = new Routes.Match(new Routes.Node(), List.of());
  private Caller caller = Caller.ANYONE;
  private final Gateway gateway;
  private final Ended ended = new Ended();
  private Dialects.Use use;
  private final AtomicBoolean over = new AtomicBoolean();
  private boolean answered;
  private boolean cut;

  Exchange(Gateway gateway, Request request, Response response, Callback callback, String id, HeldBytes heap) {
    this.gateway = gateway;
    this.request = request;
    this.response = response;
    this.callback = callback;
    this.id = id;
    body = new Body(request);
    lease = heap.lease();
    grpc = isHttp2() && GrpcAnswer.isFor(request.getMethod(), request.getHeaders().get(HttpHeader.CONTENT_TYPE)) ? Optional.of(new GrpcAnswer(response, id, this::write)) : Optional.empty();
  }

  /** Where a gRPC call is answered. */
  Optional<GrpcAnswer> grpc() {
    return grpc;
  }

  /** Whom a gRPC call is for. */
  Optional<FunctionName> named() {
    return GrpcCalls.named(request.getHeaders(), request.getHttpURI().getHost());
  }

  HttpFields headers() {
    return request.getHeaders();
  }

  void matched(Routes.Match to) {
    match = to;
  }

  void admitted(Caller as) {
    caller = as;
  }

  /** It is in a dialect until it is over. */
  void in(Dialects.Use entered) {
    use = entered;
  }

  /** It has not been begun there after all. */
  void out() {
    use.leave();
    use = null;
  }

  /** Ends what runs, with an answer; for exchanges that are not handled on one thread. From any thread. */
  void stop() {
    ended.stop();
  }

  /** Who asks; anyone until it has been admitted. */
  Caller caller() {
    return caller;
  }

  /** The values of the header Authorization. */
  List<String> authorization() {
    return request.getHeaders().getValuesList(HttpHeader.AUTHORIZATION);
  }

  /** The address that the connection comes from. */
  InetAddress peer() {
    return request.getConnectionMetaData().getRemoteSocketAddress() instanceof InetSocketAddress address && address.getAddress() != null ? address.getAddress()
        : InetAddress.getLoopbackAddress();
  }

  /** Whether the listener says that only this machine can reach it. */
  boolean onLoopback() {
    return Boolean.TRUE.equals(request.getConnectionMetaData().getConnector().getServer().getAttribute(HttpEntry.LOOPBACK));
  }

  @Override
  public String requestId() {
    return id;
  }

  @Override
  public String method() {
    return request.getMethod();
  }

  @Override
  public String path() {
    return request.getHttpURI().getPath();
  }

  @Override
  public String variable(String name) {
    int index = match.variables(method()).indexOf(name);
    if (index < 0) {
      throw new IllegalArgumentException("the route has no variable {" + name + "}");
    }
    return match.values().get(index);
  }

  @Override
  public Optional<String> query(String name) {
    String query = request.getHttpURI().getQuery();
    return query == null ? Optional.empty() : RequestPath.parameter(query, name);
  }

  @Override
  public Optional<String> header(String name) {
    return Optional.ofNullable(request.getHeaders().get(name));
  }

  @Override
  public CallInput body(long limit) {
    body.limit(limit);
    return new CallInput(body, body.declared());
  }

  @Override
  public byte[] bodyBytes(int limit) throws IOException {
    body.limit(limit);
    boolean known = body.declared().isPresent();
    // One more than the limit, where the length is not known: reading that is what refuses a longer one.
    int most = known ? (int) body.declared().getAsLong() : limit == Integer.MAX_VALUE ? limit : limit + 1;
    byte[] bytes = new byte[Math.min(most, HeldBytes.FREE)];
    int count = 0;
    while (!known || count < most) {
      if (count == bytes.length) {
        // Grows as bytes come: what is declared and never sent takes no heap.
        bytes = grow(bytes, (int) Math.min(most, 2L * bytes.length));
      }
      int n = body.read(bytes, count, bytes.length - count);
      if (n < 0) {
        break;
      }
      count += n;
    }
    if (known && count < most) {
      throw new CallerGone("the body ended after " + count + " of " + most + " bytes", null);
    }
    return count == bytes.length ? bytes : Arrays.copyOf(bytes, count);
  }

  @Override
  public Optional<byte[]> bodyNow(int limit) {
    return body.peek(Math.min(limit, HeldBytes.FREE));
  }

  private byte[] grow(byte[] bytes, int length) {
    if (!lease.resize(bytes.length, length)) {
      throw tooMuchHeld();
    }
    return Arrays.copyOf(bytes, length);
  }

  private static InstarException tooMuchHeld() {
    return new InstarException(Problem.of(ErrorCode.NODE_BUSY, "The node holds as many bytes of bodies and answers as its memory allows. Try again in a moment.")
        .retryAfter(Duration.ofSeconds(1)));
  }

  @Override
  public void respond(int status, Map<String, String> headers, byte[] bytes) throws IOException {
    // What another method has changed is told in any case: "try again" would be a lie.
    if (!lease.resize(0, bytes.length) && (isHead() || "GET".equals(request.getMethod()))) {
      throw tooMuchHeld();
    }
    send(status, headers, bytes);
  }

  private void send(int status, Map<String, String> headers, byte[] bytes) throws IOException {
    begin(status, headers, true);
    boolean empty = status == 204 || status == 304;
    if (!empty) {
      response.getHeaders().put(HttpHeader.CONTENT_LENGTH, bytes.length);
    }
    write(true, empty || isHead() ? ByteBuffer.allocate(0) : ByteBuffer.wrap(bytes));
  }

  @Override
  public void respond(Problem problem) throws IOException {
    if (grpc.isPresent()) {
      grpc.get().fail(problem);
      return;
    }
    Map<String, String> headers = new LinkedHashMap<>();
    headers.put("Content-Type", ProblemDocument.MEDIA_TYPE);
    String retryAfter = ProblemDocument.retryAfter(problem);
    if (!retryAfter.isEmpty()) {
      headers.put("Retry-After", retryAfter);
    }
    if (problem.code() == ErrorCode.UNAUTHENTICATED) {
      headers.put("WWW-Authenticate", "Bearer realm=\"instar\"");
    }
    if (problem.code() == ErrorCode.METHOD_NOT_ALLOWED) {
      headers.put("Allow", String.join(", ", allowed()));
    }
    send(problem.code().status(), headers, ProblemDocument.of(problem, id));
  }

  @Override
  public Streamed stream(int status, Map<String, String> headers, int holdBack) {
    headers.forEach(Exchange::check);
    return new Answer(status, headers, holdBack);
  }

  @Override
  public <T> T forCaller(Work<T> work) throws InterruptedException {
    Departure departure = new Departure();
    request.addFailureListener(departure);
    try {
      return work.run();
    } catch (InterruptedException e) {
      if (departure.seen() || ended.gone()) {
        throw new InstarException(Problem.of(ErrorCode.CALLER_GONE, "The caller went away before the call had ended."), e);
      }
      throw e;
    } finally {
      departure.end();
    }
  }

  /** Has the gateway go on with it on a virtual thread. Does not block. */
  void goOn(Rest rest) {
    try {
      Threads.startVirtual("http", () -> gateway.run(this, () -> {
        ended.endsThis();
        rest.run();
      }));
    } catch (RuntimeException | OutOfMemoryError e) {
      // Nobody is left to answer; what the exchange holds is given back all the same.
      cut();
      complete();
    }
  }

  @Override
  public Later later() {
    request.addFailureListener(ended);
    return new Later() {
      @Override
      public void ends(Runnable end) {
        ended.ends(end);
      }

      @Override
      public void finish(Streamed answer) {
        body.skip();
        if (body.ended()) {
          ((Answer) answer).finishLater();
        } else {
          // Reading what is left of it, or of a connection's end, may take time.
          goOn(answer::finish);
        }
      }

      @Override
      public void resume(Rest rest) {
        body.skip();
        goOn(rest);
      }
    };
  }

  /** Whether somebody wanted the exchange to end, and how that is done now. */
  private static final class Ended implements Consumer<Throwable> {
    static final Runnable NOTHING = () -> {};
    private Runnable end = NOTHING;
    private boolean here;
    private boolean gone;
    private boolean stopped;

    /** The caller has gone. */
    @Override
    public void accept(Throwable failure) {
      Runnable now;
      synchronized (this) {
        gone = true;
        now = end;
      }
      now.run();
    }

    /** The node stops. */
    void stop() {
      Runnable now;
      synchronized (this) {
        stopped = true;
        now = end;
      }
      now.run();
    }

    void ends(Runnable by) {
      boolean at;
      synchronized (this) {
        if (here) {
          // What that would end is over, and has been followed by a thread of its own.
          return;
        }
        end = by;
        at = gone || stopped;
      }
      if (at) {
        by.run();
      }
    }

    /** This thread is what runs now, unless the exchange was ended before. */
    synchronized void endsThis() throws InterruptedException {
      if (gone) {
        throw new InstarException(Problem.of(ErrorCode.CALLER_GONE, "The caller went away before the call had ended."));
      }
      if (stopped) {
        throw new InterruptedException("the node stops");
      }
      end = Thread.currentThread()::interrupt;
      here = true;
    }

    synchronized boolean gone() {
      return gone;
    }
  }

  /** Interrupts the thread that works for a caller who goes away, and no later than that. */
  private static final class Departure implements Consumer<Throwable> {
    private Thread worker = Thread.currentThread();
    private boolean seen;

    @Override
    public synchronized void accept(Throwable failure) {
      if (worker != null) {
        seen = true;
        worker.interrupt();
      }
    }

    synchronized boolean seen() {
      return seen;
    }

    synchronized void end() {
      worker = null;
      if (seen) {
        Thread.interrupted();
      }
    }
  }

  @Override
  public List<String> allowed() {
    return match.node().allowed();
  }

  /** Whether the listener waits for its exchanges to end: one that would never end by itself should. */
  boolean stopping() {
    return request.getConnectionMetaData().getConnector().isShutdown();
  }

  /** Whether an answer has begun. */
  boolean answered() {
    return answered;
  }

  /** Ends the exchange with a problem: as a document where nothing has gone out, else by cutting it off. */
  void fail(Problem problem) {
    if (problem.code() == ErrorCode.CALLER_GONE || answered) {
      cut();
      return;
    }
    try {
      respond(problem);
    } catch (IOException e) {
      cut();
    }
  }

  private boolean isHead() {
    return "HEAD".equals(request.getMethod());
  }

  private boolean isHttp2() {
    return request.getConnectionMetaData().getHttpVersion().getVersion() >= HttpVersion.HTTP_2.getVersion();
  }

  /** @param whole whether the answer is sent at once; nobody reads the body after it */
  private void begin(int status, Map<String, String> headers, boolean whole) {
    if (answered) {
      throw new IllegalStateException("the exchange has been answered already");
    }
    headers.forEach(Exchange::check);
    answered = true;
    response.setStatus(status);
    HttpFields.Mutable fields = response.getHeaders();
    fields.put("Instar-Request-Id", id);
    fields.put(NOSNIFF);
    headers.forEach((name, value) -> {
      if (!OWNED.contains(name.toLowerCase(Locale.ROOT))) {
        fields.put(name, value);
      }
    });
    if (whole && !isHttp2() && !body.ended() && body.left().isPresent() && body.left().getAsLong() > KEEP_BYTES) {
      fields.put(HttpHeader.CONNECTION, "close");
    }
  }

  /** A header that would end its line splits the answer in two. @throws InstarException INTERNAL */
  static void check(String name, String value) {
    boolean fits = !name.isEmpty();
    for (int i = 0; i < name.length() && fits; i++) {
      char c = name.charAt(i);
      fits = c > ' ' && c <= '~' && "()<>@,;:\\\"/[]?={}".indexOf(c) < 0;
    }
    for (int i = 0; i < value.length() && fits; i++) {
      char c = value.charAt(i);
      fits = c == '\t' || c >= ' ' && c <= '~';
    }
    if (!fits) {
      throw new InstarException(ErrorCode.INTERNAL, "A header of the answer has a character that no header can have; it was not sent.");
    }
  }

  /** Whether a header is one that no function says. @param name in lower case */
  static boolean isOwned(String name) {
    return OWNED.contains(name) || name.startsWith("instar-");
  }

  private void write(boolean last, ByteBuffer bytes) throws IOException {
    try (Blocker.Callback blocker = Blocker.callback()) {
      response.write(last, bytes, blocker);
      blocker.block();
    } catch (IOException e) {
      throw new CallerGone("the answer was not taken", e);
    }
  }

  private void cut() {
    cut = true;
  }

  /** Tells Jetty that the exchange is over; the last thing that happens to it, once. */
  void complete() {
    if (!over.compareAndSet(false, true)) {
      return;
    }
    Runnable last;
    try {
      last = end();
    } finally {
      lease.close();
      if (use != null) {
        use.leave();
      }
      gateway.over();
    }
    // After that: the next request of the connection may begin in it.
    last.run();
  }

  /** What is left to tell Jetty. */
  private Runnable end() {
    if (cut) {
      return cutOff();
    }
    if (grpc.isPresent()) {
      return endOfStream();
    }
    try {
      if (!body.ended() && !body.held()) {
        body.drain(response.getHeaders().contains(HttpHeader.CONNECTION, "close") ? LINGER_BYTES : KEEP_BYTES, LINGER_NANOS);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (RuntimeException e) {
      // Somebody still reads the body, although the exchange is over; the connection cannot be kept.
      return () -> callback.failed(e);
    }
    body.close();
    return callback::succeeded;
  }

  private Runnable cutOff() {
    if (response.isCommitted() && request.getConnectionMetaData().getHttpVersion().getVersion() < HttpVersion.HTTP_1_1.getVersion()
        && request.getConnectionMetaData().getConnection().getEndPoint().getTransport() instanceof SocketChannel socket) {
      // The end of an HTTP/1.0 answer may be the end of the connection; only a reset tells a cut one from a whole one.
      try {
        socket.setOption(StandardSocketOptions.SO_LINGER, 0);
      } catch (IOException e) {
        // Closed already.
      }
    }
    body.close();
    // AbortException keeps Jetty from answering in our place.
    return () -> callback.failed(new Request.Handler.AbortException(new EofException("the exchange was cut off")));
  }

  /** What still comes of a stream whose answer is whole is not waited for: the caller is told that nobody wants it. */
  private Runnable endOfStream() {
    boolean whole;
    try {
      whole = body.ended();
    } catch (RuntimeException e) {
      // Who read it was interrupted in the midst of that.
      whole = false;
    }
    body.close();
    return whole ? callback::succeeded : () -> callback.failed(HttpStream.CONTENT_NOT_CONSUMED);
  }

  /** Holds back the first bytes, then writes through. */
  private final class Answer extends Streamed {
    private final int status;
    private final int holdBack;
    private final Map<String, String> headers;
    private byte[] held = new byte[0];
    private int count;
    private boolean committed;
    private boolean finished;

    Answer(int status, Map<String, String> headers, int holdBack) {
      this.status = status;
      this.headers = new LinkedHashMap<>(headers);
      this.holdBack = holdBack;
    }

    @Override
    public void header(String name, String value) {
      if (committed) {
        throw new IllegalStateException("the answer's headers have gone out");
      }
      check(name, value);
      headers.put(name, value);
    }

    @Override
    public boolean committed() {
      return committed;
    }

    @Override
    public void write(int b) throws IOException {
      write(new byte[] {(byte) b}, 0, 1);
    }

    @Override
    public void write(byte[] bytes, int offset, int length) throws IOException {
      if (finished) {
        throw new IOException("the answer is finished");
      }
      if (!committed && length <= holdBack - count && room(count + length)) {
        System.arraycopy(bytes, offset, held, count, length);
        count += length;
        return;
      }
      commit();
      if (!isHead()) {
        // The caller may reuse its array, and Jetty is done with it when this returns.
        Exchange.this.write(false, ByteBuffer.wrap(bytes, offset, length));
      }
    }

    /** False when so much cannot be held back at the moment: then less is, and a failure is told by cutting the answer off sooner. */
    private boolean room(int length) {
      if (length <= held.length) {
        return true;
      }
      int capacity = Math.min(holdBack, Math.max(length, Math.max(1024, held.length * 2)));
      if (!lease.resize(held.length, capacity)) {
        return false;
      }
      held = Arrays.copyOf(held, capacity);
      return true;
    }

    /** Sends what was written, where nothing is to be held back. */
    @Override
    public void flush() throws IOException {
      if (!committed && holdBack == 0) {
        commit();
      }
    }

    private void commit() throws IOException {
      if (!committed) {
        begin(status, headers, false);
        committed = true;
        Exchange.this.write(false, isHead() ? ByteBuffer.allocate(0) : ByteBuffer.wrap(held, 0, count));
        lease.resize(held.length, 0);
        held = new byte[0];
      }
    }

    @Override
    public void finish() throws IOException {
      if (finished) {
        return;
      }
      finished = true;
      if (committed) {
        Exchange.this.write(true, ByteBuffer.allocate(0));
        return;
      }
      begin(status, headers, true);
      committed = true;
      response.getHeaders().put(HttpHeader.CONTENT_LENGTH, count);
      Exchange.this.write(true, isHead() ? ByteBuffer.allocate(0) : ByteBuffer.wrap(held, 0, count));
    }

    /** {@link #finish}, and the end of the exchange, without blocking; for one of which nothing has gone out. */
    void finishLater() {
      finished = true;
      committed = true;
      try {
        begin(status, headers, true);
      } catch (InstarException e) {
        goOn(() -> {
          throw e;
        });
        return;
      }
      response.getHeaders().put(HttpHeader.CONTENT_LENGTH, count);
      ByteBuffer bytes = isHead() ? ByteBuffer.allocate(0) : ByteBuffer.wrap(held, 0, count);
      response.write(true, bytes, Callback.from(Invocable.InvocationType.NON_BLOCKING, Exchange.this::complete, failure -> {
        cut();
        complete();
      }));
    }

    /** Does not finish: a function that fails closes its output, too. */
    @Override
    public void close() {}
  }
}
