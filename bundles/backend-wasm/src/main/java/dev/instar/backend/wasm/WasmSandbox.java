package dev.instar.backend.wasm;

import com.dylibso.chicory.runtime.ChicoryInterruptedException;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.sandbox.Call;
import dev.instar.api.sandbox.GuestLog;
import dev.instar.api.sandbox.Resettable;
import dev.instar.api.sandbox.Sandbox;
import dev.instar.api.sandbox.StartContext.Room;
import dev.instar.wasi.CallStopped;
import dev.instar.wasi.ProcExit;
import dev.instar.wasi.guest.Breaches;
import dev.instar.wasi.guest.CallGuard;
import dev.instar.wasi.guest.FaasmCall;
import dev.instar.wasi.guest.GuestFailures;
import java.io.InputStream;
import java.io.InterruptedIOException;
import java.io.OutputStream;
import java.nio.channels.ClosedByInterruptException;
import java.util.function.Consumer;

/** A place for one call after the other, each in an instance of its own. */
final class WasmSandbox implements Sandbox, Resettable {
  private final Snapshot snapshot;
  private final Entry entry;
  private final Consumer<WasmSandbox> closed;
  private final Room room;
  private final CallGuard guard = new CallGuard();
  /** Guarded by this object's lock where another thread may close it; null once released. */
  private Guest guest;
  private boolean used;
  private boolean done;
  /** What runs, as an error names it. For the thread that makes the call. */
  private String running = GuestFailures.FUNCTION;

  WasmSandbox(Snapshot snapshot, Entry entry, Room room, Consumer<WasmSandbox> closed) {
    this.snapshot = snapshot;
    this.entry = entry;
    this.closed = closed;
    this.room = room;
    this.guest = snapshot.start(room);
  }

  @Override
  public void call(Call call) throws InterruptedException {
    if (Thread.interrupted()) {
      throw new InterruptedException();
    }
    guard.enter();
    running = GuestFailures.FUNCTION;
    Throwable thrown = null;
    try {
      run(call);
    } catch (Throwable e) {
      thrown = e;
    }
    boolean killed = guard.leave();
    releaseIfDone();
    if (killed) {
      throw CallGuard.timedOut();
    }
    if (thrown != null) {
      if (thrown instanceof CallStopped stopped) {
        thrown = stopped.getCause();
      }
      if (interrupted(thrown)) {
        guard.kill();
        throw new InterruptedException();
      }
      throw Breaches.of(Failures.of(thrown, running), guest.breach());
    }
  }

  private void run(Call call) {
    if (used) {
      reset();
    }
    Guest fresh = guest();
    used = true;
    fresh.enter();
    try {
      run(fresh, call);
    } finally {
      fresh.leave();
    }
  }

  private void run(Guest guest, Call call) {
    guest.wasi().waits(call.waits());
    // The answer of a Faasm reactor goes through memory; what such a function prints, and any initialiser, is for the log.
    guest.connect(InputStream.nullInputStream(), new Printed(call.log()), call.log(), OutputStream.nullOutputStream());
    initialise(guest);
    guest.answer(call.output());
    switch (entry) {
      case COMMAND -> {
        guest.wasi().reconnect(call.input().stream(), call.output());
        try {
          guest.call(entry.export());
        } catch (ProcExit e) {
          if (e.code() != 0) {
            throw e;
          }
        }
      }
      case FAASM -> FaasmCall.make(guest.callee(), call.input());
    }
  }

  /** Runs what the snapshot left to its instances; as a part of the call, so that its bounds, its time and its log count. */
  private void initialise(Guest guest) {
    long bytes = guest.memory().bytes();
    for (Initialiser one : snapshot.first()) {
      running = "Before the call, " + one.name();
      int status = one.run(guest);
      if (status != 0) {
        throw GuestFailures.failed(running, status);
      }
    }
    running = GuestFailures.FUNCTION;
    guest.initialised(bytes);
  }

  /** A log as a stream. */
  private static final class Printed extends OutputStream {
    private final GuestLog log;

    Printed(GuestLog log) {
      this.log = log;
    }

    @Override
    public void write(int b) {
      log.write(new byte[] {(byte) b}, 0, 1);
    }

    @Override
    public void write(byte[] bytes, int offset, int length) {
      log.write(bytes, offset, length);
    }
  }

  /** Whether an interrupt ended the call: the engine noticed it, or a stream did. Takes the interrupt back. */
  private static boolean interrupted(Throwable thrown) {
    boolean flag = Thread.currentThread().isInterrupted();
    boolean ended = thrown instanceof ChicoryInterruptedException || flag && !(thrown instanceof InstarException);
    for (Throwable cause = thrown; cause != null && !ended; cause = cause.getCause()) {
      ended = cause instanceof InterruptedException || cause instanceof InterruptedIOException
          || cause instanceof ClosedByInterruptException;
    }
    if (ended) {
      Thread.interrupted();
    }
    return ended;
  }

  private synchronized Guest guest() {
    if (done) {
      throw new InstarException(ErrorCode.INTERNAL, "The sandbox was closed.");
    }
    return guest;
  }

  @Override
  public synchronized void reset() {
    if (guard.killed() || done) {
      throw CallGuard.timedOut();
    }
    try {
      guest = snapshot.restart(guest, room);
      used = false;
    } catch (RuntimeException | OutOfMemoryError e) {
      guard.kill();
      throw Failures.of(e);
    }
  }

  @Override
  public boolean reusable() {
    return !guard.killed();
  }

  @Override
  public void kill() {
    guard.kill();
  }

  @Override
  public void close() {
    guard.kill();
    synchronized (this) {
      done = true;
    }
    boolean idle = false;
    try {
      idle = guard.await(2000);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    if (idle) {
      releaseIfDone();
    }
    closed.accept(this);
  }

  /** Where a call outlives the close, its own thread cleans up when it ends. */
  private synchronized void releaseIfDone() {
    if (done) {
      guest.release();
    }
  }
}
