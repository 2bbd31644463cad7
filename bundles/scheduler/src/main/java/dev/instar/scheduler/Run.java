package dev.instar.scheduler;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import dev.instar.api.Threads;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.function.Limits;
import dev.instar.api.invocation.CallInput;
import dev.instar.api.invocation.Invocation;
import dev.instar.api.invocation.Outcome;
import dev.instar.api.invocation.Rpc;
import dev.instar.api.log.FunctionLogs;
import dev.instar.api.sandbox.Call;
import dev.instar.api.sandbox.GuestLog;
import dev.instar.api.sandbox.Resettable;
import dev.instar.api.sandbox.RpcCallable;
import dev.instar.api.sandbox.StartContext;
import dev.instar.api.sandbox.Waits;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One call in one slot: start if it is empty, call, tell the caller, reset, give the slot back.
 *
 * <p>It owns the slot from {@link #in} on: {@link #settle} is the only place where the slot leaves it, called once. The watch is armed
 * and disarmed in {@link #perform}. What was killed, or may have been (a watch that had fired), is closed and never used again, so a
 * kill can't hit the next call.
 *
 * <p>A remote sandbox runs {@link #here}, on the caller's thread, and its reset on a virtual thread of its own. For an in-process one see
 * {@link InProcessCall}.
 */
final class Run {
  private static final Logger LOG = LoggerFactory.getLogger(Run.class);
  private static final long NOTE_BYTES = 8 << 10;
  private static final long RESET_NANOS = TimeUnit.SECONDS.toNanos(5);

  private final Visit visit;
  private final FunctionVersion version;
  private final Invocation invocation;
  private final Watchdog watchdog;
  private final FunctionLogs logs;
  private final Waits waits;
  private final Runnable overdue;
  private final LimitedInput input;
  private final LimitedOutput output;
  private Slot slot;
  /** Of the in-process thread; 0 where the sandbox is remote. */
  private final long stackBytes;
  /** When the run time is over; {@link Clock#NEVER} before it begins. */
  private volatile long runEnd = Clock.NEVER;
  /** Whether the sandbox came out of the call in a state from which it may be reset and used again. */
  private boolean fit;
  private boolean answered;
  private boolean interrupted;

  /**
   * @param logs null when there is no log service
   * @param stackBytes of the in-process thread; 0 where the sandbox is remote
   * @param parking told when the call waits for its caller
   * @param waits told when it waits for something else
   * @param overdue what to do at the deadline
   */
  Run(Visit visit, Invocation invocation, Watchdog watchdog, FunctionLogs logs, long stackBytes, Parking parking, Waits waits, Runnable overdue) {
    this.visit = visit;
    this.version = visit.version();
    this.invocation = invocation;
    this.watchdog = watchdog;
    this.logs = logs;
    this.stackBytes = stackBytes;
    this.waits = waits;
    this.overdue = overdue;
    Limits limits = version.spec().limits();
    input = new LimitedInput(invocation.input(), limits.inputBytes(), parking);
    output = new LimitedOutput(invocation.output(), limits.outputBytes(), parking);
  }

  /** A call of a remote sandbox. */
  static Run remote(Visit visit, Invocation invocation, Slot slot, Watchdog watchdog, FunctionLogs logs) {
    Run run = new Run(visit, invocation, watchdog, logs, 0, Parking.NONE, Waits.NONE, () -> slot.kill(Slot.Cause.DEADLINE));
    run.in(slot);
    return run;
  }

  /** Takes the slot over. */
  void in(Slot given) {
    slot = given;
  }

  /** Runs it on this thread. */
  Outcome here() throws InterruptedException {
    Outcome result = null;
    try {
      result = perform();
    } finally {
      if (result == null) {
        settle();
      }
    }
    if (interrupted) {
      slot.kill(Slot.Cause.INTERRUPTED);
      settle();
      throw new InterruptedException();
    }
    if (fit && !(slot.sandbox() instanceof Resettable)) {
      settle();
    } else {
      // Resets and closes may take long; the caller has nothing to do with them.
      try {
        Threads.startVirtual("instar-settle-" + slot.id(), this::settle);
      } catch (Throwable e) {
        settle();
      }
    }
    return result;
  }

  /** From any thread: what still runs of it reads and writes nothing more. */
  void abandon() {
    input.detach();
    output.detach();
  }

  /** Start and call. What fails is an outcome; {@code interrupted} tells that the caller's thread was. */
  Outcome perform() {
    Outcome outcome = startAndCall();
    if (outcome instanceof Outcome.Failed(Problem problem) && problem.code() != ErrorCode.CALLER_GONE && output.written() > 0) {
      note(problem);
    }
    return outcome;
  }

  /**
   * To the function's log, because a caller whose answer has begun may see no more of it than that it breaks off. In a sink of its own, so that
   * the function's limit of the log can't suppress it.
   */
  private void note(Problem problem) {
    FunctionLogs.Sink sink = open(NOTE_BYTES);
    if (sink != null) {
      byte[] line = ("[failed after " + output.written() + " bytes of its answer: " + problem.code().code() + ": " + problem.detail() + "]")
          .getBytes(StandardCharsets.UTF_8);
      sink.write(line, 0, line.length);
      close(sink);
    }
  }

  private Outcome startAndCall() {
    long ready = Clock.now();
    boolean cold = slot.empty();
    runEnd = Clock.in(version.spec().limits().runTime());
    long end = Math.min(visit.deadline(), runEnd);
    Watchdog.Watch watch = watchdog.arm(end, overdue);
    FunctionLogs.Sink sink = null;
    try {
      sink = open(version.spec().limits().logBytes());
      GuestLog log = sink == null ? GuestLog.NONE : sink;
      Instant deadline = Clock.instant(end);
      if (cold) {
        start(deadline, end, log);
      }
      long started = Clock.now();
      call(new Call(invocation.id(), new CallInput(input, invocation.input().length()), output, log, deadline, waits), cold, ready - visit.arrival());
      long ended = Clock.now();
      fit = true;
      answered = true;
      Problem breach = breach();
      if (breach != null) {
        return new Outcome.Failed(breach);
      }
      // A warm call may have waited for a preparation too (that others began); it has no set-up of its own.
      long preparing = cold ? visit.preparing() : 0;
      return new Outcome.Completed(version, slot.pool().generation().name(), cold, ready - visit.arrival() - preparing,
          cold ? preparing + started - ready : 0, ended - started);
    } catch (InstarException e) {
      fit = !slot.empty();
      return failed(e);
    } catch (InterruptedException e) {
      interrupted = slot.killed() == null || slot.killed() == Slot.Cause.INTERRUPTED;
      return failed(e);
    } catch (Throwable e) {
      return failed(e);
    } finally {
      fit &= watch.disarm();
      abandon();
      slot.pool().served();
      close(sink);
    }
  }

  private void start(Instant deadline, long end, GuestLog log) throws InterruptedException {
    StageEvent.Start stage = new StageEvent.Start();
    stage.begin();
    try {
      long until = Math.min(end, Clock.in(slot.pool().lenderWait()));
      slot.start(slot.pool().prepared(), deadline, until, leases -> new StartContext(slot.id(), deadline, log, slot.pool()::makeRoom, leases));
    } finally {
      stage.record(version, slot.pool().generation());
    }
  }

  private void call(Call call, boolean cold, long waited) throws InterruptedException {
    StageEvent.Call stage = new StageEvent.Call();
    stage.begin();
    try {
      Optional<Rpc> rpc = invocation.rpc();
      if (rpc.isEmpty()) {
        slot.sandbox().call(call);
      } else if (slot.sandbox() instanceof RpcCallable callable) {
        callable.call(call, rpc.get());
      } else {
        throw new InstarException(ErrorCode.GRPC_UNSUPPORTED, "The function " + version.name()
            + " takes no gRPC calls: only one that listens on a port of a container can. Call it with plain HTTP.");
      }
    } finally {
      stage.end();
      if (stage.shouldCommit()) {
        stage.invocation = call.invocationId();
        stage.cold = cold;
        stage.waited = waited;
        stage.record(version, slot.pool().generation());
      }
    }
  }

  private Outcome failed(Throwable e) {
    Slot.Cause killed = slot.killed();
    if (killed == Slot.Cause.DEADLINE) {
      return new Outcome.Failed(timeUp());
    }
    if (killed == Slot.Cause.DRAINED) {
      return new Outcome.Failed(Refusal.drained(version));
    }
    Problem breach = breach();
    if (breach != null) {
      return new Outcome.Failed(breach);
    }
    if (e instanceof InstarException told) {
      return new Outcome.Failed(switch (told.code()) {
        case TIMED_OUT -> timeUp();
        case STACK_OVERFLOW -> stackBytes == 0 ? told.problem() : Refusal.stackOverflow(told.problem(), stackBytes, version.spec().limits().stackBytes());
        default -> told.problem();
      });
    }
    if (killed == null && !interrupted) {
      LOG.error("Invocation {}: the backend {} failed in a call of {}", invocation.id(), slot.pool().generation(), version.label(), e);
    }
    return new Outcome.Failed(Refusal.internal("The backend of " + version.label(), invocation.id()));
  }

  /** Which of the two times was the shorter. */
  Problem timeUp() {
    return runEnd < visit.deadline() ? Refusal.ranTooLong(version) : visit.timedOut().problem();
  }

  private Problem breach() {
    Problem out = output.failure();
    return out != null ? out : input.failure();
  }

  /** The slot's way out of this call: back to its pool when its sandbox is as it was when it started, or else closed. */
  void settle() {
    boolean clean = false;
    try {
      clean = fit && slot.killed() == null && slot.sandbox().reusable() && reset();
      if (!clean && answered && slot.killed() == null) {
        slot.pool().usedUp();
      }
    } catch (InstarException e) {
      // A function can bring this about as often as it is called: not for everybody's log.
      LOG.debug("Sandbox {} of {} could not be reset and is closed: {}", slot.id(), version.label(), e.getMessage());
    } catch (Throwable e) {
      LOG.warn("Sandbox {} of {} could not be reset and is closed", slot.id(), version.label(), e);
    } finally {
      if (clean) {
        slot.pool().release(slot);
      } else {
        slot.close();
        if (slot.pool().hasReserve()) {
          slot.pool().refill();
        }
      }
    }
  }

  /** Resets it if it can be. A sandbox that can't serves the same version again, as its describe says. */
  private boolean reset() {
    if (!(slot.sandbox() instanceof Resettable resettable)) {
      return true;
    }
    Watchdog.Watch watch = watchdog.arm(Clock.now() + RESET_NANOS, () -> slot.kill(Slot.Cause.RESET_OVERDUE));
    boolean done = false;
    StageEvent.Reset stage = new StageEvent.Reset();
    stage.begin();
    try {
      resettable.reset();
      done = true;
    } finally {
      stage.record(version, slot.pool().generation());
      done &= watch.disarm();
    }
    return done && slot.sandbox().reusable();
  }

  private FunctionLogs.Sink open(long limit) {
    try {
      return logs == null ? null : logs.open(version, invocation.id(), limit);
    } catch (RuntimeException e) {
      LOG.error("The log of {} could not be opened; the call goes on without", version.label(), e);
      return null;
    }
  }

  private void close(FunctionLogs.Sink sink) {
    try {
      if (sink != null) {
        sink.close();
      }
    } catch (RuntimeException e) {
      LOG.error("The log of {} could not be closed", version.label(), e);
    }
  }
}
