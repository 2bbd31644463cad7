package dev.instar.backend.container;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import dev.instar.api.Threads;
import dev.instar.api.guest.CallerGate;
import dev.instar.api.guest.GuestOutput;
import dev.instar.api.invocation.Rpc;
import dev.instar.api.sandbox.Call;
import dev.instar.api.sandbox.Freezable;
import dev.instar.api.sandbox.GuestLog;
import dev.instar.api.sandbox.RpcCallable;
import dev.instar.api.sandbox.Sandbox;
import dev.instar.api.sandbox.StartContext;
import java.io.IOException;
import java.io.InputStream;
import java.io.InterruptedIOException;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * A container in which the function listens on a port: each call is a POST to it, one at a time. A gRPC call goes over HTTP/2, any other over HTTP/1.1
 * unless the function takes HTTP/2 only.
 */
final class HttpSandbox implements Sandbox, RpcCallable, Freezable {
  private static final int BUFFER = 16 << 10;
  /** To be told that nobody listens takes a fraction of this, whoever listens answers sooner. */
  private static final int CONNECT_MILLIS = 1000;
  /** Between two looks whether somebody listens: a part of the time that has passed, so that little of it is waited in vain. */
  private static final int PAUSES = 10;
  private static final long SHORTEST_PAUSE_NANOS = 500_000;
  private static final long LONGEST_PAUSE_NANOS = 20_000_000;

  private final Container container;
  private final InetSocketAddress address;
  private final String host;
  private final boolean http2;
  private final GuestOutput output;
  private final GuestLog startLog;
  private final Set<Sandbox> siblings;

  private final CallerGate gate = new CallerGate("container");
  /** Set by who is inside the gate; who kills or closes looks at it afterwards. */
  private volatile Optional<Connection> connection = Optional.empty();

  /**
   * Takes over the container; joins {@code siblings} until it is closed.
   *
   * @param host what the function sees as the Host of its requests
   * @param http2 whether it takes HTTP/2 only
   */
  HttpSandbox(Container container, InetSocketAddress address, String host, boolean http2, StartContext context, Set<Sandbox> siblings) {
    this.container = container;
    this.address = address;
    this.host = host;
    this.http2 = http2;
    this.siblings = siblings;
    startLog = context.log();
    output = new GuestOutput("container-" + container.id() + "-log", List.of(container.output(), container.errors()), startLog);
    siblings.add(this);
  }

  /** Returns when something listens on the port. Closes itself when it fails. */
  void awaitReady(Instant deadline) throws InterruptedException {
    boolean ready = false;
    try {
      gate.enter();
      long began = System.nanoTime();
      while (!connect()) {
        if (!container.isRunning()) {
          throw ended("anything listened on port " + address.getPort());
        }
        if (Instant.now().isAfter(deadline)) {
          throw new InstarException(Problem.of(ErrorCode.PORT_NOT_OPENED, "Nothing in the container came to listen on port " + address.getPort()
              + " in time. Let the function listen there on all addresses, or say where with the label '" + PreparedContainer.PORT + "'."
              + said(), Map.of("port", address.getPort())));
        }
        Thread.sleep(Duration.ofNanos(Math.clamp((System.nanoTime() - began) / PAUSES, SHORTEST_PAUSE_NANOS, LONGEST_PAUSE_NANOS)));
      }
      ready = true;
    } finally {
      gate.leave();
      if (!ready) {
        close();
      }
    }
  }

  private boolean connect() {
    return connect(http2);
  }

  private boolean connect(boolean http2) {
    try {
      Connection made = http2 ? new Http2Connection(address, CONNECT_MILLIS) : new HttpConnection(address, CONNECT_MILLIS);
      connection = Optional.of(made);
      if (gate.isKilled()) {
        made.close();
      }
      return true;
    } catch (IOException e) {
      return false;
    }
  }

  @Override
  public void call(Call call) throws InterruptedException {
    call(call, Optional.empty());
  }

  @Override
  public void call(Call call, Rpc rpc) throws InterruptedException {
    call(call, Optional.of(rpc));
  }

  private void call(Call call, Optional<Rpc> rpc) throws InterruptedException {
    gate.enter();
    output.to(call.log());
    Optional<CallEnd> end = Optional.empty();
    try {
      Optional<Connection> last = connection;
      boolean wanted = http2 || rpc.isPresent();
      if (last.isEmpty() || last.get() instanceof Http2Connection != wanted || !last.get().reusable()) {
        last.ifPresent(Connection::close);
        if (!connect(wanted)) {
          throw container.isRunning() ? new CallEnd(new InstarException(ErrorCode.SANDBOX_CRASHED, "The function does not listen on port " + address.getPort()
              + " any more.")) : new CallEnd(ended("it had answered"));
        }
      }
      exchange(call, rpc, connection.orElseThrow());
    } catch (CallEnd e) {
      end = Optional.of(e);
    } catch (InterruptedException e) {
      if (!gate.isKilled()) {
        // In what state the function was is not known, so its container is of no further use.
        container.kill();
        throw e;
      }
    } finally {
      output.to(startLog);
      gate.leave();
    }
    // After a kill every failure is the kill, and an answer may have lain in the connection while its caller was held up.
    if (gate.isKilled()) {
      throw gate.timedOut();
    }
    if (end.isPresent()) {
      throw end.get().failure;
    }
  }

  /** How a call ends that has no answer. */
  private static final class CallEnd extends Exception {
    private static final long serialVersionUID = 1;
    private final transient InstarException failure;

    CallEnd(InstarException failure) {
      super(failure);
      this.failure = failure;
    }
  }

  private void exchange(Call call, Optional<Rpc> rpc, Connection http) throws CallEnd, InterruptedException {
    Feed feed = new Feed(call, http);
    Thread feeding = Threads.virtual("container-" + container.id() + "-in", feed);
    boolean ended = false;
    Refused refused = new Refused();
    try {
      http.sendHead(new Connection.Request(host, call.invocationId(), call.input().length(), call.deadline(), rpc));
      feeding.start();
      Connection.Head head = http.readHead();
      refused.head(head, rpc.isPresent());
      if (!refused.applies() && rpc.isPresent() && !head.last()) {
        toCaller(() -> rpc.get().answer().begin(head.fields()));
      }
      http.readBody((bytes, length) -> {
        if (refused.applies()) {
          refused.take(bytes, length);
        } else {
          toCaller(() -> call.output().write(bytes, 0, length));
        }
      });
      ended = true;
      if (refused.applies()) {
        throw new CallEnd(container.failure().orElseGet(refused::failure));
      }
      if (rpc.isPresent()) {
        List<Rpc.Field> trailers = head.last() ? head.fields() : http.trailers();
        if (trailers.stream().filter(field -> field.name().equals(Connection.GRPC_STATUS)).count() != 1) {
          throw new Connection.MalformedException("it ended its answer without a " + Connection.GRPC_STATUS);
        }
        toCaller(() -> rpc.get().answer().end(trailers));
      }
    } catch (TooLongException e) {
      throw new CallEnd(container.failure().orElseGet(refused::failure));
    } catch (CallerFailure e) {
      if (Thread.interrupted() || e.getCause() instanceof InterruptedIOException) {
        throw new InterruptedException();
      }
      // The function gets no chance to notice, and in what state it is nobody knows.
      container.kill();
      throw new CallEnd(callersFailure(e.getCause()));
    } catch (IOException e) {
      if (Thread.interrupted()) {
        throw new InterruptedException();
      }
      Optional<InstarException> input = feed.failure();
      if (input.isPresent()) {
        container.kill();
        throw new CallEnd(input.get());
      }
      throw new CallEnd(broken(e, rpc.isPresent()));
    } finally {
      boolean whole = ended && feed.done();
      if (!whole) {
        http.close();
      }
      if (feeding.getState() != Thread.State.NEW && !joinQuietly(feeding, !whole)) {
        http.close();
      }
    }
  }

  /** Something that the caller's side does. */
  private interface Telling {
    void tell() throws IOException;
  }

  private static void toCaller(Telling telling) throws CallerFailure {
    try {
      telling.tell();
    } catch (IOException | RuntimeException e) {
      throw new CallerFailure(e);
    }
  }

  /** @return false for one that heeds no interrupt, which is left behind with its caller's stream */
  private static boolean joinQuietly(Thread feeding, boolean interrupting) {
    boolean interrupted = Thread.interrupted();
    boolean ended = false;
    if (interrupting) {
      feeding.interrupt();
    }
    try {
      ended = feeding.join(Duration.ofMillis(100));
    } catch (InterruptedException e) {
      interrupted = true;
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
    return ended;
  }

  /** What the caller's side threw, on its way through code that knows IOExceptions of the function's side. */
  private static final class CallerFailure extends IOException {
    private static final long serialVersionUID = 1;

    CallerFailure(Exception cause) {
      super(cause);
    }
  }

  private static InstarException callersFailure(Throwable why) {
    return switch (why) {
      case InstarException e -> e;
      case IOException e -> new InstarException(Problem.of(ErrorCode.CALLER_GONE, "The caller went away while the function ran."), e);
      default -> new InstarException(Problem.of(ErrorCode.INTERNAL, "The body or the answer of the call failed."), why);
    };
  }

  /** Of an answer that is no success enough was read. */
  private static final class TooLongException extends IOException {
    private static final long serialVersionUID = 1;
  }

  /** Keeps the begin of an answer that is no success; no limit of the function bounds such an answer. */
  private static final class Refused {
    private static final int MOST = 400;
    private static final long MOST_READ = 1 << 20;
    private final StringBuilder text = new StringBuilder();
    private int status;
    private String type = "";
    private boolean applies;
    private long read;

    void head(Connection.Head head, boolean rpc) {
      status = head.status();
      boolean other = rpc && status == 200 && head.fields().stream().noneMatch(field -> field.name().equals("content-type") && field.value().startsWith("application/grpc"));
      type = other ? " and no gRPC" : "";
      applies = other || (rpc ? status != 200 : status / 100 != 2);
    }

    /** Whether the answer is no success. */
    boolean applies() {
      return applies;
    }

    InstarException failure() {
      String words = words();
      return new InstarException(Problem.of(ErrorCode.FUNCTION_FAILED, "The function answered with HTTP status " + status + type + "."
          + (words.isEmpty() ? "" : " It said: " + words), Map.of("exitCode", status, "status", status)));
    }

    void take(byte[] bytes, int length) throws TooLongException {
      read += length;
      if (read > MOST_READ) {
        throw new TooLongException();
      }
      for (int i = 0; i < length && text.length() < MOST; i++) {
        text.append((char) (bytes[i] & 0xff));
      }
    }

    String words() {
      return text.toString().replaceAll("[^ -~]+", " ").strip();
    }
  }

  /** Sends the caller's body while the answer may already come. */
  private static final class Feed implements Runnable {
    private final Call call;
    private final Connection http;
    private volatile Optional<InstarException> failure = Optional.empty();
    private volatile boolean done;

    Feed(Call call, Connection http) {
      this.call = call;
      this.http = http;
    }

    @Override
    public void run() {
      try (InputStream body = call.input().stream()) {
        byte[] buffer = new byte[BUFFER];
        while (true) {
          int length;
          try {
            length = body.read(buffer);
          } catch (IOException | RuntimeException e) {
            failure = Optional.of(callersFailure(e));
            http.close();
            return;
          }
          if (length < 0) {
            // Before it, so that whoever has the answer to the last byte finds this said.
            done = true;
            http.sendEnd();
            return;
          }
          http.send(buffer, length);
        }
      } catch (IOException e) {
        // The function does not read all of its input, and need not.
      }
    }

    Optional<InstarException> failure() {
      return failure;
    }

    boolean done() {
      return done;
    }
  }

  private InstarException broken(IOException why, boolean rpc) throws InterruptedException {
    if (!container.awaitEnd(Duration.ofMillis(200))) {
      if (why instanceof Connection.OtherProtocolException) {
        return rpc ? new InstarException(ErrorCode.GRPC_UNSUPPORTED, "The function does not speak HTTP/2 in clear text on port " + address.getPort() + ", which gRPC takes.")
            : new InstarException(ErrorCode.SANDBOX_CRASHED, "The function does not speak HTTP/" + (http2 ? "2 in clear text" : "1.1") + " on port " + address.getPort()
                + ". The label '" + PreparedContainer.PROTOCOL + "' says which it is; gRPC calls need none.");
      }
      return new InstarException(ErrorCode.SANDBOX_CRASHED, why instanceof Connection.MalformedException ? "The function broke HTTP: " + why.getMessage() + "."
          : "The function closed the connection before it had answered.");
    }
    return ended("it had answered");
  }

  private InstarException ended(String before) throws InterruptedException {
    container.awaitEnd(Duration.ofSeconds(1));
    return container.failure().orElseGet(() -> {
      int status = container.exitStatus();
      String signal = status > 128 && status < 160 ? " (signal " + (status - 128) + ")" : "";
      return new InstarException(Problem.of(ErrorCode.SANDBOX_CRASHED, "The container ended with exit status " + status + signal + " before " + before + "." + said(),
          Map.of("exitStatus", status)));
    });
  }

  private String said() {
    try {
      String words = output.lastWords();
      return words.isEmpty() ? "" : " It said: " + words;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return "";
    }
  }

  @Override
  public boolean reusable() {
    return !gate.isKilled() && !gate.isClosed() && container.isRunning();
  }

  @Override
  public boolean freeze() {
    return container.freeze();
  }

  @Override
  public void thaw() {
    container.thaw();
  }

  @Override
  public void kill() {
    if (gate.kill()) {
      connection.ifPresent(Connection::close);
      container.kill();
    }
  }

  @Override
  public void close() {
    if (gate.isOccupied()) {
      kill();
    }
    if (gate.close()) {
      connection.ifPresent(Connection::close);
      container.close();
      siblings.remove(this);
    }
  }
}
