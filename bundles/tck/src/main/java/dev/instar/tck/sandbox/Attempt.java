package dev.instar.tck.sandbox;

import dev.instar.api.InstarException;
import dev.instar.api.invocation.CallInput;
import dev.instar.api.sandbox.BackendDescription.Shape;
import dev.instar.api.sandbox.Call;
import dev.instar.api.sandbox.GuestLog;
import dev.instar.api.sandbox.Sandbox;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.OptionalLong;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Assertions;

/** One call on a thread of the kind that the backend's shape asks for, and how it ended. */
final class Attempt {
  private final CountDownLatch entered = new CountDownLatch(1);
  private final CountDownLatch ended = new CountDownLatch(1);
  private final Collected output = new Collected();
  private final Collected log = new Collected();
  private final Thread thread;
  private volatile Throwable failure;
  private volatile boolean interruptFlagLeft;

  private Attempt(Shape shape, Sandbox sandbox, InputStream input, OptionalLong length, OutputStream sink) {
    OutputStream out = sink == null ? output : sink;
    GuestLog guestLog = log::write;
    Runnable body = () -> {
      entered.countDown();
      try {
        sandbox.call(new Call("tck", new CallInput(input, length), out, guestLog, Instant.now().plusSeconds(60)));
      } catch (Throwable t) {
        failure = t;
      } finally {
        interruptFlagLeft = Thread.currentThread().isInterrupted();
        ended.countDown();
      }
    };
    thread = (shape == Shape.IN_PROCESS ? Thread.ofPlatform().daemon().name("tck-call") : Thread.ofVirtual().name("tck-call")).start(body);
  }

  static Attempt of(Shape shape, Sandbox sandbox, byte[] input) {
    return new Attempt(shape, sandbox, new ByteArrayInputStream(input), OptionalLong.of(input.length), null);
  }

  static Attempt of(Shape shape, Sandbox sandbox, InputStream input) {
    return new Attempt(shape, sandbox, input, OptionalLong.empty(), null);
  }

  static Attempt of(Shape shape, Sandbox sandbox, InputStream input, OutputStream sink) {
    return new Attempt(shape, sandbox, input, OptionalLong.empty(), sink);
  }

  /** Returns when the call has begun and had {@code millis} to get going. */
  Attempt underWay(long millis) throws InterruptedException {
    entered.await();
    ended.await(millis, TimeUnit.MILLISECONDS);
    return this;
  }

  void interrupt() {
    thread.interrupt();
  }

  boolean running() {
    return ended.getCount() > 0;
  }

  /** What the function has answered so far. */
  Collected output() {
    return output;
  }

  Collected log() {
    return log;
  }

  /** Waits until the call has ended; null when it ended well. */
  Throwable end(Duration bound) throws InterruptedException {
    if (!ended.await(bound.toMillis(), TimeUnit.MILLISECONDS)) {
      StackTraceElement[] where = thread.getStackTrace();
      AssertionError late = new AssertionError("The call had not ended after " + bound + "; its thread is at the trace below.");
      late.setStackTrace(where.length == 0 ? late.getStackTrace() : where);
      throw late;
    }
    Assertions.assertFalse(interruptFlagLeft, "The call left the interrupt flag of its thread set.");
    return failure;
  }

  byte[] answer(Duration bound) throws InterruptedException {
    Throwable t = end(bound);
    if (t != null) {
      throw new AssertionError("The call failed: " + t, t);
    }
    return output.bytes();
  }

  InstarException refused(Duration bound) throws InterruptedException {
    Throwable t = end(bound);
    if (t instanceof InstarException e) {
      return e;
    }
    throw new AssertionError(t == null
        ? "The call ended with success and the answer '" + output.text() + "'." : "The call failed, but not with an InstarException: " + t, t);
  }

  /** Bytes that one thread writes and another looks at. */
  static final class Collected extends OutputStream {
    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();

    @Override
    public synchronized void write(int b) {
      bytes.write(b);
      notifyAll();
    }

    @Override
    public synchronized void write(byte[] b, int offset, int length) {
      bytes.write(b, offset, length);
      notifyAll();
    }

    synchronized byte[] bytes() {
      return bytes.toByteArray();
    }

    String text() {
      return new String(bytes(), StandardCharsets.UTF_8);
    }

    /** Waits until {@code size} bytes are there; says whether they came in time. */
    synchronized boolean awaitSize(int size, Duration bound) throws InterruptedException {
      long until = System.nanoTime() + bound.toNanos();
      while (bytes.size() < size) {
        long left = until - System.nanoTime();
        if (left <= 0) {
          return false;
        }
        TimeUnit.NANOSECONDS.timedWait(this, left);
      }
      return true;
    }
  }
}
