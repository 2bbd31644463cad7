package dev.instar.api.http;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import dev.instar.api.function.Function;
import dev.instar.api.function.FunctionName;
import dev.instar.api.function.FunctionRegistry;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.invocation.CallInput;
import dev.instar.api.invocation.Invocation;
import dev.instar.api.invocation.Invoker;
import dev.instar.api.invocation.Outcome;
import dev.instar.api.invocation.Rpc;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * A call over HTTP, the same in every dialect: the request's body goes in, the function's raw output comes back as
 * {@code application/octet-stream}, or a problem document.
 *
 * <ul>
 *   <li>A body of known length up to {@link #HOLD} is read whole before the invoker is asked: a slow sender holds no sandbox. A larger one streams.
 *   <li>Of the output as much is held back, so that a function which fails early is answered with a clean problem. A failure after that
 *       cuts the connection or resets the stream.
 *   <li>The answer bears {@code Instar-Startup}, {@code Instar-Version} and {@code Instar-Backend}, unless it was longer than what is held back: they
 *       are known when the call ends.
 *   <li>A call whose caller goes away is ended, as far as the exchange sees that ({@link HttpExchange#forCaller}).
 *   <li>An invoker that is about to go (NOT_READY) is followed by its successor without the caller's noticing, where nothing has been consumed.
 * </ul>
 */
public final class InvocationExchange {
  /** Bytes held back of an answer, and read ahead of a body. */
  public static final int HOLD = 64 << 10;

  private static final Map<String, String> HEADERS = Map.of("Content-Type", "application/octet-stream");

  private final ServiceSlot<FunctionRegistry> functions;
  private final ServiceSlot<Invoker> invokers;
  private final Duration serviceWait;

  /** @param serviceWait how long a call waits while registry or invoker are being replaced */
  public InvocationExchange(ServiceSlot<FunctionRegistry> functions, ServiceSlot<Invoker> invokers, Duration serviceWait) {
    this.functions = functions;
    this.invokers = invokers;
    this.serviceWait = serviceWait;
  }

  /**
   * Makes the call and answers the exchange.
   *
   * @param number the version to call; empty: the active one
   * @param timeout shorter than the function's own, where the caller wants that
   */
  public void answer(HttpExchange exchange, FunctionName name, OptionalInt number, Optional<Duration> timeout) throws IOException, InterruptedException {
    FunctionVersion version = version(name, number);
    CallInput body = body(exchange, version.spec().limits().inputBytes());
    boolean small = body.length().isPresent() && body.length().getAsLong() <= HOLD;
    CallInput whole = small ? CallInput.of(exchange.bodyBytes(HOLD)) : body;
    HttpExchange.Streamed answer = exchange.stream(200, HEADERS, HOLD);
    end(answer, invoke(exchange, name, number, timeout, whole, answer, Optional.empty()));
  }

  /**
   * The same without blocking, where nothing has to be waited for: a short body that has come, a function that is prepared. The answer of a function that has completed is
   * sent by the thread that ran it.
   *
   * @return false where that is not so: nothing was done
   */
  public boolean begin(HttpExchange exchange, FunctionName name, OptionalInt number, Optional<Duration> timeout) {
    Optional<Invoker> invoker = invokers.current();
    if (invoker.isEmpty()) {
      return false;
    }
    Optional<byte[]> whole = exchange.bodyNow(HOLD);
    if (whole.isEmpty()) {
      return false;
    }
    HttpExchange.Streamed answer = exchange.stream(200, HEADERS, HOLD);
    Attempt attempt = new Attempt(exchange, invoker.get(), name, number, timeout, CallInput.of(whole.get()), answer, Optional.empty());
    HttpExchange.Later later = exchange.later();
    Optional<Runnable> begun = invoker.get().begin(attempt.invocation, outcome -> told(attempt, answer, later, outcome));
    begun.ifPresent(later::ends);
    return begun.isPresent();
  }

  /** Must not block. */
  private void told(Attempt attempt, HttpExchange.Streamed answer, HttpExchange.Later later, Optional<Outcome> outcome) {
    if (outcome.isPresent() && outcome.get() instanceof Outcome.Completed done && !answer.committed()) {
      describe(answer, done);
      later.finish(answer);
    } else {
      later.resume(() -> end(answer, attempt.followed(outcome.isPresent() ? outcome.get() : attempt.invoke())));
    }
  }

  private static void end(HttpExchange.Streamed answer, Outcome outcome) throws IOException {
    switch (outcome) {
      case Outcome.Completed done -> {
        describe(answer, done);
        answer.finish();
      }
      case Outcome.Failed failed -> throw new InstarException(failed.problem());
    }
  }

  private static void describe(HttpExchange.Streamed answer, Outcome.Completed done) {
    if (!answer.committed()) {
      answer.header("Instar-Startup", done.cold() ? "cold" : "warm");
      answer.header("Instar-Version", Integer.toString(done.version().number()));
      answer.header("Instar-Backend", done.backend());
    }
  }

  /**
   * Makes a gRPC call: nothing is read ahead or held back.
   *
   * @param answer takes the messages
   * @return how it ended, which is for whoever asks to tell the caller
   */
  public Outcome call(HttpExchange exchange, FunctionName name, Optional<Duration> timeout, OutputStream answer, Rpc rpc) throws InterruptedException {
    FunctionVersion version = version(name, OptionalInt.empty());
    return invoke(exchange, name, OptionalInt.empty(), timeout, body(exchange, version.spec().limits().inputBytes()), answer, Optional.of(rpc));
  }

  private FunctionVersion version(FunctionName name, OptionalInt number) throws InterruptedException {
    Function function = functions.await(serviceWait).find(name)
        .orElseThrow(() -> new InstarException(ErrorCode.FUNCTION_NOT_FOUND, "There is no function " + name + "; upload it first."));
    return number.isEmpty() ? function.activeVersion() : function.version(number.getAsInt())
        .orElseThrow(() -> new InstarException(ErrorCode.VERSION_NOT_FOUND, "The function " + name + " has no version " + number.getAsInt() + "."));
  }

  private Outcome invoke(HttpExchange exchange, FunctionName name, OptionalInt number, Optional<Duration> timeout, CallInput whole, OutputStream answer, Optional<Rpc> rpc)
      throws InterruptedException {
    Attempt attempt = new Attempt(exchange, invokers.await(serviceWait), name, number, timeout, whole, answer, rpc);
    return attempt.followed(attempt.invoke());
  }

  /** A call of one invoker, and of its successor where that one refuses. */
  private final class Attempt {
    private final HttpExchange exchange;
    private final Invoker invoker;
    private final Input input;
    private final Output output;
    private final Invocation invocation;

    Attempt(HttpExchange exchange, Invoker invoker, FunctionName name, OptionalInt number, Optional<Duration> timeout, CallInput whole, OutputStream answer, Optional<Rpc> rpc) {
      this.exchange = exchange;
      this.invoker = invoker;
      input = new Input(whole.stream());
      output = new Output(answer);
      invocation = new Invocation(exchange.requestId(), name, number, new CallInput(input, whole.length()), output, timeout, false, rpc);
    }

    Outcome invoke() throws InterruptedException {
      return exchange.forCaller(() -> invoker.invoke(invocation));
    }

    /** What comes of it after all: a refusal of one that goes is not told while another is there, and nothing has been consumed. */
    Outcome followed(Outcome outcome) throws InterruptedException {
      if (!refused(outcome) || output.used || input.used) {
        return outcome;
      }
      Optional<Invoker> successor = invokers.awaitOther(Optional.of(invoker), serviceWait);
      return successor.isPresent() ? exchange.forCaller(() -> successor.get().invoke(invocation)) : outcome;
    }
  }

  private static CallInput body(HttpExchange exchange, long limit) {
    try {
      return exchange.body(limit);
    } catch (InstarException e) {
      throw e.code() != ErrorCode.TOO_LARGE ? e : new InstarException(Problem.of(ErrorCode.TOO_LARGE, "The input is larger than the " + limit
          + " bytes that the function takes; raise its limit 'input' (--input) if it must take more.", Map.of("limit", "input", "limitBytes", limit)));
    }
  }

  private static boolean refused(Outcome outcome) {
    return outcome instanceof Outcome.Failed(Problem problem) && problem.code() == ErrorCode.NOT_READY;
  }

  /** Knows whether the function has read at all. */
  private static final class Input extends FilterInputStream {
    private boolean used;

    Input(InputStream body) {
      super(body);
    }

    @Override
    public int read() throws IOException {
      used = true;
      return super.read();
    }

    @Override
    public int read(byte[] bytes, int offset, int length) throws IOException {
      used = true;
      return super.read(bytes, offset, length);
    }

    @Override
    public long skip(long count) throws IOException {
      used = true;
      return super.skip(count);
    }
  }

  /** Knows whether the function has written at all. */
  private static final class Output extends OutputStream {
    private final OutputStream answer;
    private boolean used;

    Output(OutputStream answer) {
      this.answer = answer;
    }

    @Override
    public void write(int b) throws IOException {
      used = true;
      answer.write(b);
    }

    @Override
    public void write(byte[] bytes, int offset, int length) throws IOException {
      used = true;
      answer.write(bytes, offset, length);
    }

    @Override
    public void flush() throws IOException {
      answer.flush();
    }
  }
}
