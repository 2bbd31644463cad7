package dev.instar.backend.container;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import dev.instar.api.Threads;
import dev.instar.api.guest.CallerGate;
import dev.instar.api.guest.GuestOutput;
import dev.instar.api.sandbox.Call;
import dev.instar.api.sandbox.Freezable;
import dev.instar.api.sandbox.GuestLog;
import dev.instar.api.sandbox.Sandbox;
import dev.instar.api.sandbox.StartContext;
import java.io.IOException;
import java.io.InputStream;
import java.io.InterruptedIOException;
import java.io.UncheckedIOException;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** A container in which the function listens on a port: each call is a POST to it, one at a time. */
final class HttpSandbox implements Sandbox, Freezable {
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
  private final GuestOutput output;
  private final GuestLog startLog;
  private final Set<Sandbox> siblings;

  private final CallerGate gate = new CallerGate("container");
  /** Set by who is inside the gate; who kills or closes looks at it afterwards. */
  private volatile Optional<HttpConnection> connection = Optional.empty();

  /**
   * Takes over the container; joins {@code siblings} until it is closed.
   *
   * @param host what the function sees as the Host of its requests
   */
  HttpSandbox(Container container, InetSocketAddress address, String host, StartContext context, Set<Sandbox> siblings) {
    this.container = container;
    this.address = address;
    this.host = host;
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
    try {
      HttpConnection made = new HttpConnection(address, CONNECT_MILLIS);
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
    gate.enter();
    output.to(call.log());
    Optional<CallEnd> end = Optional.empty();
    try {
      Optional<HttpConnection> last = connection;
      if (last.isEmpty() || !last.get().reusable()) {
        last.ifPresent(HttpConnection::close);
        if (!connect()) {
          throw container.isRunning() ? new CallEnd(new InstarException(ErrorCode.SANDBOX_CRASHED, "The function does not listen on port " + address.getPort()
              + " any more.")) : new CallEnd(ended("it had answered"));
        }
      }
      exchange(call, connection.orElseThrow());
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

  private void exchange(Call call, HttpConnection http) throws CallEnd, InterruptedException {
    Feed feed = new Feed(call, http, host);
    Thread feeding = Threads.startVirtual("container-" + container.id() + "-in", feed);
    boolean ended = false;
    Refused refused = new Refused();
    try {
      int status = http.readHead();
      refused.status = status;
      http.readBody((bytes, length) -> {
        if (status / 100 != 2) {
          refused.take(bytes, length);
          return;
        }
        try {
          call.output().write(bytes, 0, length);
        } catch (IOException | RuntimeException e) {
          throw new CallerFailure(e);
        }
      });
      ended = true;
      if (status / 100 != 2) {
        throw new CallEnd(refused.failure());
      }
    } catch (TooLongException e) {
      throw new CallEnd(refused.failure());
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
      throw new CallEnd(broken(e));
    } finally {
      if (!ended || !feed.done()) {
        http.close();
      }
      feeding.interrupt();
      joinQuietly(feeding);
    }
  }

  private static void joinQuietly(Thread feeding) {
    boolean interrupted = Thread.interrupted();
    try {
      // One that heeds no interrupt is left behind with its caller's stream.
      feeding.join(Duration.ofMillis(100));
    } catch (InterruptedException e) {
      interrupted = true;
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
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
    private long read;

    InstarException failure() {
      String words = words();
      return new InstarException(Problem.of(ErrorCode.FUNCTION_FAILED, "The function answered with HTTP status " + status + "."
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
    private final HttpConnection http;
    private final String host;
    private volatile Optional<InstarException> failure = Optional.empty();
    private volatile boolean done;

    Feed(Call call, HttpConnection http, String host) {
      this.call = call;
      this.http = http;
      this.host = host;
    }

    @Override
    public void run() {
      boolean chunked = call.input().length().isEmpty();
      try (InputStream body = call.input().stream()) {
        http.sendHead(host, call.invocationId(), call.input().length());
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
            http.sendEnd(chunked);
            done = true;
            return;
          }
          http.sendChunk(buffer, length, chunked);
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

  private InstarException broken(IOException why) throws InterruptedException {
    if (!container.awaitEnd(Duration.ofMillis(200))) {
      return new InstarException(ErrorCode.SANDBOX_CRASHED, why instanceof HttpConnection.MalformedException ? "The function broke HTTP: " + why.getMessage() + "."
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
    try {
      container.thaw();
    } catch (UncheckedIOException | IllegalStateException e) {
      throw new InstarException(ErrorCode.SANDBOX_CRASHED, "The container does not go on after it was frozen.");
    }
  }

  @Override
  public void kill() {
    if (gate.kill()) {
      connection.ifPresent(HttpConnection::close);
      container.kill();
    }
  }

  @Override
  public void close() {
    if (gate.isOccupied()) {
      kill();
    }
    if (gate.close()) {
      connection.ifPresent(HttpConnection::close);
      container.close();
      siblings.remove(this);
    }
  }
}
