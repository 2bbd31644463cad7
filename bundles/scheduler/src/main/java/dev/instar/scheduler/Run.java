package dev.instar.scheduler;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.function.Limits;
import dev.instar.api.invocation.CallInput;
import dev.instar.api.invocation.Invocation;
import dev.instar.api.invocation.Outcome;
import dev.instar.api.log.FunctionLogs;
import dev.instar.api.sandbox.Call;
import dev.instar.api.sandbox.GuestLog;
import dev.instar.api.sandbox.Resettable;
import dev.instar.api.sandbox.StartContext;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.time.Instant;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One call in one slot: start if it is empty, call, tell the caller, reset, give the slot back.
 *
 * <p>It owns the slot from its construction on: {@link #settle} is the only place where the slot leaves it, called once on each way
 * through {@link #here} and {@link #inside}; before either, {@link #on} gives an unused slot back. The permit of an in-process thread is
 * owned by {@link #on} until the thread has the work and by {@link #inside} from then on, whose finally gives it back. The watch is armed
 * and disarmed in {@link #perform}. What was killed, or may have been (a watch that had fired), is closed and never used again, so a
 * kill can't hit the next call.
 *
 * <p>A remote sandbox runs on the caller's thread, and its reset on a virtual thread of its own. An in-process one runs on a platform thread
 * while the caller waits; the reset follows there, after the caller has its outcome.
 */
final class Run implements Parking {
  private static final Logger LOG = LoggerFactory.getLogger(Run.class);
  private static final long RESET_NANOS = TimeUnit.SECONDS.toNanos(5);
  /** By contract a killed call ends within a second. Who runs in-process and does not is left behind after this, so that its caller isn't. */
  private static final long GRACE_NANOS = TimeUnit.SECONDS.toNanos(3);
  private static final long PERMIT_SLICE_NANOS = TimeUnit.MILLISECONDS.toNanos(50);

  private final Visit visit;
  private final FunctionVersion version;
  private final Invocation invocation;
  private final Slot slot;
  private final boolean cold;
  private final Watchdog watchdog;
  private final FunctionLogs logs;
  private final InProcessThreads threads;
  private final LimitedInput input;
  private final LimitedOutput output;

  private final AtomicReference<Outcome> outcome = new AtomicReference<>();
  private volatile Thread caller;
  private volatile boolean settled;
  private volatile Watchdog.Watch grace;
  /** Whether the sandbox came out of the call in a state from which it may be reset and used again. */
  private boolean fit;
  private boolean interrupted;
  /** Of the in-process thread. */
  private volatile long stackBytes;
  private long ready;
  /** When the run time is over; {@link Clock#NEVER} before it begins. */
  private volatile long runEnd = Clock.NEVER;

  // Of the in-process thread alone.
  private boolean permit;
  private boolean waiting;

  /** @param logs null when there is no log service */
  Run(Visit visit, Invocation invocation, Slot slot, Watchdog watchdog, FunctionLogs logs, InProcessThreads threads) {
    this.visit = visit;
    this.version = visit.version();
    this.invocation = invocation;
    this.slot = slot;
    this.cold = slot.empty();
    this.watchdog = watchdog;
    this.logs = logs;
    this.threads = threads;
    Limits limits = version.spec().limits();
    Parking parking = slot.pool().generation().inProcess() ? this : Parking.NONE;
    input = new LimitedInput(invocation.input().stream(), limits.inputBytes(), parking);
    output = new LimitedOutput(invocation.output(), limits.outputBytes(), parking);
  }

  /** Runs it on this thread. */
  Outcome here() throws InterruptedException {
    ready = Clock.now();
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
        Thread.ofVirtual().name("instar-settle-" + slot.id()).start(this::settle);
      } catch (Throwable e) {
        settle();
      }
    }
    return result;
  }

  /** Runs it on an in-process thread and waits for the outcome. */
  Outcome on(Settings settings) throws InterruptedException {
    boolean handed = false;
    stackBytes = InProcessThreads.stackBytes(settings, version.spec().limits().stackBytes());
    try {
      enter(settings);
      visit.stand();
      ready = Clock.now();
      caller = Thread.currentThread();
      permit = true;
      try {
        threads.execute(this::inside, version.spec().limits().stackBytes());
        handed = true;
      } finally {
        if (!handed) {
          threads.leave(user());
        }
      }
    } finally {
      if (!handed) {
        slot.pool().giveBack(slot);
      }
    }
    return await();
  }

  private String user() {
    return version.name().user();
  }

  /** Takes a permit. @throws InstarException FUNCTION_BUSY, NODE_BUSY, TIMED_OUT */
  private void enter(Settings settings) throws InterruptedException {
    if (threads.tryEnter(user())) {
      return;
    }
    visit.sit();
    long until = Math.min(visit.deadline(), Clock.in(settings.queueWait()));
    if (!threads.enter(user(), until)) {
      throw until >= visit.deadline() ? visit.timedOut() : Refusal.thrown(Refusal.nodeBusy(version, settings.queueWait()));
    }
  }

  private void inside() {
    try {
      try {
        tell(perform());
      } finally {
        settle();
      }
    } finally {
      // Told in any case: a caller must not wait for a thread that has died.
      tell(new Outcome.Failed(Refusal.internal("The call of " + version.label(), invocation.id())));
      settled = true;
      LockSupport.unpark(caller);
      if (grace != null) {
        grace.disarm();
      }
      if (permit) {
        threads.leave(user());
      } else {
        threads.unparked();
      }
    }
  }

  private void tell(Outcome result) {
    if (outcome.compareAndSet(null, result)) {
      LockSupport.unpark(caller);
    }
  }

  private Outcome await() throws InterruptedException {
    while (outcome.get() == null) {
      LockSupport.park(this);
      if (Thread.interrupted()) {
        slot.kill(Slot.Cause.INTERRUPTED);
        awaitSettled();
        throw new InterruptedException();
      }
    }
    return outcome.get();
  }

  private void awaitSettled() {
    long end = Clock.now() + GRACE_NANOS;
    for (long left = GRACE_NANOS; !settled && left > 0; left = end - Clock.now()) {
      LockSupport.parkNanos(this, left);
      // A second interrupt says nothing new, but would keep the thread from parking.
      Thread.interrupted();
    }
    if (!settled) {
      leaveBehind();
    }
  }

  private void overdue() {
    slot.kill(Slot.Cause.DEADLINE);
    if (caller != null) {
      grace = watchdog.arm(Clock.now() + GRACE_NANOS, () -> {
        if (outcome.get() == null) {
          leaveBehind();
          tell(new Outcome.Failed(timeUp()));
        }
      });
    }
  }

  private void leaveBehind() {
    input.detach();
    output.detach();
    LOG.error("A call of {} in sandbox {} does not end after its kill; it keeps its thread until it does", version.label(), slot.id());
  }

  /** Start and call. What fails is an outcome; {@code interrupted} tells that the caller's thread was. */
  private Outcome perform() {
    runEnd = Clock.in(version.spec().limits().runTime());
    long end = Math.min(visit.deadline(), runEnd);
    Watchdog.Watch watch = watchdog.arm(end, this::overdue);
    FunctionLogs.Sink sink = null;
    try {
      sink = open();
      GuestLog log = sink == null ? GuestLog.NONE : sink;
      Instant deadline = Clock.instant(end);
      if (cold) {
        slot.start(slot.pool().prepared(), new StartContext(slot.id(), deadline, log, slot.pool()::makeRoom));
      }
      long started = Clock.now();
      slot.sandbox().call(new Call(invocation.id(), new CallInput(input, invocation.input().length()), output, log, deadline));
      long ended = Clock.now();
      fit = true;
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
      input.detach();
      output.detach();
      slot.pool().generation().served();
      close(sink);
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
        case STACK_OVERFLOW -> slot.pool().generation().inProcess() ? Refusal.stackOverflow(told.problem(), stackBytes) : told.problem();
        default -> told.problem();
      });
    }
    if (killed == null && !interrupted) {
      LOG.error("Invocation {}: the backend {} failed in a call of {}", invocation.id(), slot.pool().generation(), version.label(), e);
    }
    return new Outcome.Failed(Refusal.internal("The backend of " + version.label(), invocation.id()));
  }

  /** Which of the two times was the shorter. */
  private Problem timeUp() {
    return runEnd < visit.deadline() ? Refusal.ranTooLong(version) : visit.timedOut().problem();
  }

  private Problem breach() {
    Problem out = output.failure();
    return out != null ? out : input.failure();
  }

  /** The slot's way out of this call: back to its pool when its sandbox is as it was when it started, or else closed. */
  private void settle() {
    boolean clean = false;
    try {
      clean = fit && slot.killed() == null && slot.sandbox().reusable() && reset();
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
    try {
      resettable.reset();
      done = true;
    } finally {
      done &= watch.disarm();
    }
    return done && slot.sandbox().reusable();
  }

  private FunctionLogs.Sink open() {
    try {
      return logs == null ? null : logs.open(version, invocation.id(), version.spec().limits().logBytes());
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

  @Override
  public void park() {
    if (permit && threads.park(user())) {
      permit = false;
      waiting = true;
      slot.pool().park();
    }
  }

  @Override
  public void unpark() throws IOException {
    if (waiting) {
      waiting = false;
      slot.pool().unpark();
      while (!permit && slot.killed() == null) {
        try {
          // In slices, because a kill does not wake who waits here.
          permit = threads.enter(user(), Clock.now() + PERMIT_SLICE_NANOS);
        } catch (InterruptedException e) {
          Thread.currentThread().interrupt();
          throw new InterruptedIOException();
        }
      }
      if (permit) {
        threads.unparked();
      }
    }
    if (!permit) {
      throw new IOException("The call was killed.");
    }
  }
}
