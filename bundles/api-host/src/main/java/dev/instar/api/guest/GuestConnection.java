package dev.instar.api.guest;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import dev.instar.api.Threads;
import dev.instar.api.invocation.CallInput;
import dev.instar.api.sandbox.Call;
import dev.instar.api.sandbox.GuestLog;
import java.io.BufferedInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.InterruptedIOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedByInterruptException;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;

/**
 * The host's end of the guest protocol over any pair of byte streams: pipes, a socket, a virtual serial port. It knows nothing of what holds the
 * guest, so ending that is its owner's: after any exception but a problem that the function itself reported, {@link #usable} is false and the owner
 * ends the guest.
 *
 * <h2>Threads</h2>
 * <pre>
 *   guest ──stream──▶ reader ──events──▶ the thread in call() ──▶ Call.output, Call.log
 *   guest ◀──stream── writer ◀──outgoing──┴── pump ◀── Call.input
 * </pre>
 * Reader and writer are platform threads: a read or write of a pipe cannot be interrupted, and on a virtual thread it holds its carrier, of which
 * there are 256 at most, so 256 hostile guests would stop every virtual thread of the node. The caller waits on a queue only, on a thread of any
 * kind, and an interrupt ends that wait. The pump, a virtual thread, lives as long as its call.
 *
 * <p>Nobody can block for good: the reader is only ever blocked by a caller who reads slowly, and it is the guest that then waits; the writer only
 * by a guest that does not read, and input waits for credit before it comes so far. Both queues are short, so a flood costs the flooder.
 *
 * <p>Not thread-safe but for {@link #close}.
 */
public final class GuestConnection implements AutoCloseable {
  /** What the guest may grant at most before it is used, in bytes. */
  private static final int MOST_CREDIT = 16 << 20;
  private static final int QUEUED_FRAMES = 8;
  /** What is heard of an idle guest in one look: more than the queue holds, since the reader fills it while it is emptied. */
  private static final int MOST_IDLE_EVENTS = 64;

  private sealed interface Event {
    record Received(Frame frame) implements Event {}

    /** The stream has ended or the peer broke the protocol: the last event of the reader. */
    record Ended(IOException why) implements Event {}

    /** The input of a call could not be read. */
    record InputFailed(int call, Exception why) implements Event {}
  }

  private final BlockingQueue<Event> events = new ArrayBlockingQueue<>(QUEUED_FRAMES);
  private final BlockingQueue<Frame> outgoing = new ArrayBlockingQueue<>(QUEUED_FRAMES);
  private final InputStream in;
  private final OutputStream out;
  private final Thread reader;
  private final Thread writer;
  private GuestLog idleLog = GuestLog.NONE;
  private int lastCall;
  private boolean ready;
  private boolean calling;
  private volatile Optional<IOException> broken = Optional.empty();

  /**
   * Begins to read and write; takes ownership of both streams.
   *
   * @param name for the names of the threads
   */
  public GuestConnection(String name, InputStream in, OutputStream out) {
    this.in = in;
    this.out = out;
    reader = Threads.startPlatform("guest-in-" + name, this::read);
    writer = Threads.startPlatform("guest-out-" + name, this::write);
  }

  /**
   * Exchanges HELLO and waits for READY.
   *
   * @param log takes what the guest logs until its first call, and between calls
   * @throws FrameException when the guest broke the protocol
   * @throws EOFException when the guest ended before
   * @throws InstarException TIMED_OUT at the deadline
   */
  public void handshake(Instant deadline, GuestLog log) throws IOException, InterruptedException {
    idleLog = log;
    send(new Frame.Hello(Frame.VERSION, Frame.VERSION));
    switch (await(deadline)) {
      case null -> throw new InstarException(ErrorCode.TIMED_OUT, "The program did not say HELLO in time: does it speak the guest protocol?");
      case Event.Received(Frame.Hello(int lowest, int highest)) -> {
        if (lowest > Frame.VERSION || highest < Frame.VERSION) {
          send(new Frame.Bye("This host speaks version " + Frame.VERSION + " only."));
          throw breach("the guest speaks its versions " + lowest + " to " + highest + ", this host only version " + Frame.VERSION);
        }
      }
      case Event.Received(Frame frame) -> throw breach("the first frame is not a HELLO but " + nameOf(frame));
      case Event event -> idle(event);
    }
    while (!ready) {
      switch (await(deadline)) {
        case null -> throw new InstarException(ErrorCode.TIMED_OUT, "The function did not finish its initialisation in time.");
        case Event.Received(Frame.Ready()) -> ready = true;
        case Event event -> idle(event);
      }
    }
  }

  /** Null at the deadline. */
  private Event await(Instant deadline) throws InterruptedException {
    return events.poll(Math.max(0, Duration.between(Instant.now(), deadline).toNanos()), TimeUnit.NANOSECONDS);
  }

  /**
   * Whether a call can be made: the handshake is done, no call has been left in its middle, and the guest has done nothing wrong since. Never waits:
   * of a guest that talks without end it hears only so much, the next call the rest, and one that does not read its answers cannot be used.
   */
  public boolean usable() {
    if (!ready || calling || broken.isPresent()) {
      return false;
    }
    try {
      for (int looked = 0; looked < MOST_IDLE_EVENTS; looked++) {
        Event event = events.poll();
        if (event == null) {
          return true;
        }
        idle(event);
      }
      return true;
    } catch (IOException e) {
      return false;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return false;
    }
  }

  /**
   * Makes one call, as {@link dev.instar.api.sandbox.Sandbox#call} describes it.
   *
   * @throws InstarException what the function reported: FUNCTION_FAILED, FUNCTION_TRAPPED, OUT_OF_MEMORY; what input and output threw, or CALLER_GONE
   * @throws FrameException when the guest broke the protocol
   * @throws EOFException when the guest ended
   */
  public void call(Call call) throws IOException, InterruptedException {
    if (broken.isPresent()) {
      throw broken.get();
    }
    if (!ready || calling) {
      throw new IllegalStateException("The connection is not ready for a call.");
    }
    calling = true;
    lastCall = lastCall == Integer.MAX_VALUE ? 1 : lastCall + 1;
    send(new Frame.Call(lastCall, Map.of("invocation", call.invocationId(),
        "deadline-ms", Long.toString(Math.max(0, Duration.between(Instant.now(), call.deadline()).toMillis())))));
    Pump pump = new Pump(lastCall, call.input());
    Frame.Result result;
    try {
      result = converse(call, pump);
    } finally {
      pump.end();
    }
    calling = false;
    String said = result.message().isBlank() ? "" : printable(result.message());
    switch (result.status()) {
      case ANSWERED -> {}
      case FAILED -> throw new InstarException(Problem.of(ErrorCode.FUNCTION_FAILED,
          "The function ended with exit code " + result.exitCode() + (said.isEmpty() ? "." : ": " + said), Map.of("exitCode", result.exitCode())));
      case TRAPPED -> throw new InstarException(ErrorCode.FUNCTION_TRAPPED, "The function trapped" + (said.isEmpty() ? "." : ": " + said));
      case OUT_OF_MEMORY -> throw new InstarException(ErrorCode.OUT_OF_MEMORY, "The function was refused memory"
          + (said.isEmpty() ? "." : ": " + said));
    }
  }

  private Frame.Result converse(Call call, Pump pump) throws IOException, InterruptedException {
    pump.start();
    while (true) {
      switch (events.take()) {
        case Event.Received(Frame.Output(int id, ByteBuffer data)) when id == lastCall -> forward(call, data);
        case Event.Received(Frame.Log(int id, ByteBuffer data)) when id == lastCall -> log(call.log(), data);
        case Event.Received(Frame.Credit(int id, int bytes)) when id == lastCall -> pump.grant(bytes);
        case Event.Received(Frame.Result result) when result.call() == lastCall -> {
          return result;
        }
        case Event.InputFailed(int id, Exception why) when id == lastCall -> throw callersFault(why);
        case Event event -> idle(event);
      }
    }
  }

  /** What may come at any time, and what may not. */
  private void idle(Event event) throws IOException, InterruptedException {
    switch (event) {
      case Event.Received(Frame.Log(int id, ByteBuffer data)) when id == 0 -> log(idleLog, data);
      case Event.Received(Frame.Ping(long number)) -> pong(new Frame.Pong(number));
      case Event.Received(Frame.Pong pong) -> {}
      case Event.Received(Frame.Bye(String reason)) -> {
        broken = Optional.of(new EOFException(reason.isBlank() ? "the guest said goodbye" : "the guest said goodbye: " + printable(reason)));
        throw broken.get();
      }
      case Event.Received(Frame frame) -> throw breach("the guest sent " + nameOf(frame)
          + (calling ? " during call " + lastCall : " while no call was running"));
      case Event.Ended(IOException why) -> throw why;
      case Event.InputFailed late -> {}
    }
  }

  /** In a call the caller's interrupt ends the wait for room. Before and between calls nobody would. */
  private void pong(Frame.Pong pong) throws FrameException, InterruptedException {
    if (calling) {
      send(pong);
    } else if (!outgoing.offer(pong)) {
      throw breach("the guest does not read the answers to its PINGs");
    }
  }

  private static String nameOf(Frame frame) {
    return switch (frame) {
      case Frame.Hello f -> "a HELLO";
      case Frame.Ready f -> "a READY";
      case Frame.Ping f -> "a PING";
      case Frame.Pong f -> "a PONG";
      case Frame.Bye f -> "a BYE";
      case Frame.Call f -> "a CALL";
      case Frame.Input f -> "an INPUT";
      case Frame.InputEnd f -> "an INPUT_END";
      case Frame.Cancel f -> "a CANCEL";
      case Frame.Credit f -> "a CREDIT for call " + Integer.toUnsignedString(f.call());
      case Frame.Output f -> "an OUTPUT for call " + Integer.toUnsignedString(f.call());
      case Frame.Log f -> "a LOG for call " + Integer.toUnsignedString(f.call());
      case Frame.Result f -> "a RESULT for call " + Integer.toUnsignedString(f.call());
    };
  }

  private FrameException breach(String how) {
    FrameException e = new FrameException(how);
    broken = Optional.of(e);
    return e;
  }

  private static void forward(Call call, ByteBuffer data) throws InterruptedException {
    try {
      call.output().write(data.array(), data.arrayOffset() + data.position(), data.remaining());
    } catch (IOException e) {
      throw callersFault(e);
    }
  }

  private static InstarException callersFault(Exception why) throws InterruptedException {
    // SocketTimeoutException is an InterruptedIOException too, and is none.
    if (why instanceof ClosedByInterruptException || why.getClass() == InterruptedIOException.class) {
      throw new InterruptedException();
    }
    return switch (why) {
      case InstarException e -> e;
      case IOException e -> new InstarException(Problem.of(ErrorCode.CALLER_GONE, "The caller went away while the function ran."), e);
      default -> new InstarException(Problem.of(ErrorCode.INTERNAL, "The input of the call could not be read."), why);
    };
  }

  private static void log(GuestLog log, ByteBuffer data) {
    log.write(data.array(), data.arrayOffset() + data.position(), data.remaining());
  }

  /** A guest's words on one line of a problem's detail: they must not garble a terminal. */
  private static String printable(String text) {
    return text.strip().replaceAll("[\\p{Cntrl}\\p{Cf}]+", " ");
  }

  private void send(Frame frame) throws InterruptedException {
    outgoing.put(frame);
  }

  private void read() {
    try (in) {
      FrameReader frames = new FrameReader(new BufferedInputStream(in, 16 << 10));
      IOException end = new EOFException("the guest ended");
      try {
        for (Optional<Frame> frame = frames.read(); frame.isPresent(); frame = frames.read()) {
          events.put(new Event.Received(frame.get()));
        }
      } catch (FrameException e) {
        end = e;
      } catch (IOException e) {
        // A socket that is closed with bytes unread in it resets; that is no more than its end.
        end = new EOFException("the guest ended: " + e.getMessage());
      }
      broken = Optional.of(end);
      events.put(new Event.Ended(end));
    } catch (InterruptedException | IOException closed) {
      // The owner has no more questions.
    }
  }

  private void write() {
    try (out) {
      FrameWriter frames = new FrameWriter(out);
      Frame frame;
      do {
        frame = outgoing.take();
        frames.write(frame);
      } while (!(frame instanceof Frame.Bye));
    } catch (InterruptedException closed) {
      return;
    } catch (IOException e) {
      // A guest that has answered may end without reading the rest. What its end means is told by the other stream alone.
    }
    try {
      while (true) {
        outgoing.take();
      }
    } catch (InterruptedException closed) {
      // The owner has no more to say.
    }
  }

  /** Asks the guest to end, by a BYE and the end of the stream. Does not wait. */
  public void sayGoodbye() {
    outgoing.offer(new Frame.Bye(""));
  }

  /**
   * Ends the threads. A thread that is in a read or a write ends when the guest's end of the stream is closed, which its owner sees to.
   * Returns at once.
   */
  @Override
  public void close() {
    broken = broken.or(() -> Optional.of(new EOFException("the connection was closed")));
    reader.interrupt();
    writer.interrupt();
  }

  /** Takes the call's input to the guest, as far as the guest has granted it. */
  private final class Pump implements Runnable {
    private final int id;
    private final CallInput input;
    private final Semaphore credit = new Semaphore(Frame.INITIAL_CREDIT);
    private Optional<Thread> thread = Optional.empty();

    Pump(int id, CallInput input) {
      this.id = id;
      this.input = input;
    }

    void start() throws InterruptedException {
      if (input.length().orElse(1) == 0) {
        send(new Frame.InputEnd(id));
      } else {
        thread = Optional.of(Threads.startVirtual("guest-input", this));
      }
    }

    void grant(int bytes) throws FrameException {
      if (bytes > MOST_CREDIT - Math.min(MOST_CREDIT, credit.availablePermits())) {
        throw breach("the guest granted more than " + MOST_CREDIT + " bytes of input at a time");
      }
      credit.release(bytes);
    }

    @Override
    public void run() {
      try {
        while (true) {
          credit.acquire();
          int more = Math.min(credit.availablePermits(), Frame.MAX_DATA - 1);
          credit.acquire(more);
          // Each frame has an array of its own: it is still queued while the next is read.
          byte[] bytes = new byte[1 + more];
          int got = input.stream().read(bytes);
          if (got < 0) {
            send(new Frame.InputEnd(id));
            return;
          }
          credit.release(bytes.length - got);
          if (got > 0) {
            send(new Frame.Input(id, ByteBuffer.wrap(bytes, 0, got)));
          }
        }
      } catch (InterruptedException e) {
        // The call has ended.
      } catch (Exception e) {
        try {
          events.put(new Event.InputFailed(id, e));
        } catch (InterruptedException ended) {
          // The call has ended before its input failed.
        }
      }
    }

    /**
     * The input is its owner's again when the call returns. A read that heeds no interrupt is left behind after a moment: what it still gets is
     * dropped, since its frames would bear the number of a call that is over.
     */
    void end() {
      if (thread.isPresent()) {
        thread.get().interrupt();
        try {
          thread.get().join(Duration.ofMillis(100));
        } catch (InterruptedException e) {
          Thread.currentThread().interrupt();
        }
      }
    }
  }
}
