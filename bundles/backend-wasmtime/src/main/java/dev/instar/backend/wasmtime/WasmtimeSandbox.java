package dev.instar.backend.wasmtime;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.sandbox.Call;
import dev.instar.api.sandbox.Resettable;
import dev.instar.api.sandbox.Sandbox;
import dev.instar.api.sandbox.StartContext.Room;
import dev.instar.api.wasmtime.WasmtimeInstance;
import dev.instar.api.wasmtime.WasmtimeTrap;
import dev.instar.wasi.CallStopped;
import dev.instar.wasi.ProcExit;
import dev.instar.wasi.Wasi;
import dev.instar.wasi.guest.Breaches;
import dev.instar.wasi.guest.CallGuard;
import dev.instar.wasi.guest.FaasmCall;
import dev.instar.wasi.guest.GuestFailures;
import java.io.InterruptedIOException;
import java.nio.channels.ClosedByInterruptException;
import java.util.Optional;
import java.util.function.Consumer;

/** A place for one call after the other, each in an instance as it began. Between a reset and the next call it holds no instance. */
final class WasmtimeSandbox implements Sandbox, Resettable {
  private final Program program;
  private final Room room;
  private final Consumer<WasmtimeSandbox> closed;
  private final CallGuard guard = new CallGuard();
  private final Wasi wasi;
  /** Guarded by this object's lock. */
  private boolean done;
  private boolean used;
  /** That of the last call, which its program has to bring back. */
  private Optional<WasmtimeInstance> left = Optional.empty();
  /** What runs, as an error names it. For the thread that makes the call. */
  private String running = GuestFailures.FUNCTION;

  WasmtimeSandbox(Program program, Room room, Consumer<WasmtimeSandbox> closed) {
    this.program = program;
    this.room = room;
    this.closed = closed;
    this.wasi = program.wasi();
  }

  @Override
  public void call(Call call) throws InterruptedException {
    if (Thread.interrupted()) {
      throw new InterruptedException();
    }
    guard.enter();
    Guest guest = program.guest(wasi, room);
    Throwable thrown = null;
    try {
      demandOpen();
      run(guest, call);
    } catch (Throwable e) {
      thrown = e;
    }
    boolean killed = guard.leave();
    var breach = guest.breach();
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
      throw Breaches.of(Trapped.failure(thrown, running), breach);
    }
  }

  private synchronized void demandOpen() {
    if (done) {
      throw new InstarException(ErrorCode.INTERNAL, "The sandbox was closed.");
    }
  }

  private void run(Guest guest, Call call) {
    if (used) {
      reset();
    }
    used = true;
    program.enter();
    try {
      wasi.waits(call.waits());
      WasmtimeInstance instance = program.begin(guest, call.log(), what -> running = "Before the call, " + what);
      boolean ended = false;
      try {
        running = GuestFailures.FUNCTION;
        guest.answer(call.output());
        ended = serve(instance, guest, call);
      } finally {
        if (!ended) {
          instance.close();
        }
      }
      if (program.served(instance, guest)) {
        left = Optional.of(instance);
      }
    } finally {
      guest.discharge();
      program.leave();
    }
  }

  /** Whether it has ended by itself, and not in the middle of its code. */
  private boolean serve(WasmtimeInstance instance, Guest guest, Call call) {
    switch (program.form().convention()) {
      case COMMAND -> {
        guest.reconnect(call);
        try {
          instance.call(Convention.COMMAND.export());
        } catch (WasmtimeTrap e) {
          guest.look();
          RuntimeException thrown = Trapped.of(e);
          if (!(thrown instanceof ProcExit exit && exit.code() == 0)) {
            throw thrown;
          }
          return false;
        }
      }
      case FAASM -> FaasmCall.make(guest, call.input());
    }
    return true;
  }

  /** Whether an interrupt ended the call: the engine noticed it, or a stream did. Takes the interrupt back. */
  private static boolean interrupted(Throwable thrown) {
    boolean flag = Thread.currentThread().isInterrupted();
    boolean ended = Trapped.interrupted(thrown) || flag && !(thrown instanceof InstarException);
    for (Throwable cause = thrown; cause != null && !ended; cause = cause.getCause()) {
      ended = cause instanceof InterruptedException || cause instanceof InterruptedIOException || cause instanceof ClosedByInterruptException;
    }
    if (ended) {
      Thread.interrupted();
    }
    return ended;
  }

  @Override
  public synchronized void reset() {
    if (guard.killed() || done) {
      throw CallGuard.timedOut();
    }
    try {
      rewind();
      wasi.reset();
      used = false;
    } catch (RuntimeException | OutOfMemoryError e) {
      guard.kill();
      throw Trapped.failure(e, GuestFailures.FUNCTION);
    }
  }

  /** Where the program is closed, it has closed its instances, or will. */
  private void rewind() {
    if (left.isPresent() && program.acquire()) {
      try {
        program.rewind(left.get());
      } finally {
        program.leave();
      }
    }
    left = Optional.empty();
  }

  @Override
  public boolean reusable() {
    return !guard.killed();
  }

  @Override
  public void kill() {
    guard.kill();
    program.tick();
  }

  @Override
  public void close() {
    guard.kill();
    program.tick();
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
      left.ifPresent(program::drop);
      left = Optional.empty();
      wasi.close();
    }
  }
}
