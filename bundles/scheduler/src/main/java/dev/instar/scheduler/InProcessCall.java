package dev.instar.scheduler;

import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import dev.instar.api.invocation.Invocation;
import dev.instar.api.invocation.Outcome;
import dev.instar.api.log.FunctionLogs;
import dev.instar.api.sandbox.Waits;
import java.io.IOException;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One attempt to make a call in-process: it waits for a slot and a permit as an entry of their lines, and runs on a thread of {@link InProcessThreads}.
 * The caller sleeps once, from the beginning to the outcome; nobody wakes it on the way. One that has no thread to sleep is told the outcome instead, by the thread that
 * has ended the call.
 *
 * <pre>
 *   WAITING ──thread begins──▶ RUNNING ──▶ ENDED: outcome, then reset
 *      └──too long, caller interrupted, pool retired──▶ WITHDRAWN ──▶ outcome
 * </pre>
 * Who takes it out of WAITING owns the slot that it may have been given: the thread that runs it uses it, whoever withdraws it gives it back.
 */
final class InProcessCall implements Parking, Waits {
  private static final Logger LOG = LoggerFactory.getLogger(InProcessCall.class);
  /** By contract a killed call ends within a second. Who does not is left behind after this, so that its caller isn't. */
  private static final long GRACE_NANOS = TimeUnit.SECONDS.toNanos(3);

  private enum Phase { WAITING, RUNNING, ENDED, WITHDRAWN }

  /** What has come of it; {@code outcome} null: what it had chosen is gone, choose again. */
  private record Result(Outcome outcome) {}

  private static final Result AGAIN = new Result(null);

  /** Its place in the line for a slot. */
  private final class Place extends Waiter {
    Place(boolean cold) {
      super(cold);
    }

    @Override
    void granted() {
      slot = slot();
      threads.start(work);
    }

    @Override
    void turnedAway() {
      if (phase.compareAndSet(Phase.WAITING, Phase.WITHDRAWN)) {
        tell(AGAIN);
      }
    }
  }

  private final Desk desk;
  private final Pool pool;
  private final Visit visit;
  private final Invocation invocation;
  private final Watchdog watchdog;
  private final InProcessThreads threads;
  private final InProcessThreads.Work work;
  private final Run run;
  /** One of the two: who sleeps, or who is told. */
  private final Optional<Thread> caller;
  private final Optional<Consumer<Optional<Outcome>>> told;
  /** Its monitor is held over a kill by the caller, who else might hit the call that has the slot next. */
  private final AtomicReference<Phase> phase = new AtomicReference<>(Phase.WAITING);
  private final AtomicReference<Result> result = new AtomicReference<>();
  /** Until when it waits, and what ends the wait then; set where it could not begin at once. */
  private long until;
  private volatile Watchdog.Watch waitingTime;
  private volatile Place place;
  private volatile Slot slot;
  private volatile boolean settled;
  private volatile Watchdog.Watch grace;

  // Of the thread that runs it, and then of the one that ends it.
  private boolean parked;
  private Result ended = AGAIN;
  private boolean ran;

  /**
   * @param logs null when there is no log service
   * @param told see {@link #begin}; empty for {@link #make}
   */
  InProcessCall(Desk desk, Pool pool, Visit visit, Invocation invocation, Watchdog watchdog, FunctionLogs logs, InProcessThreads threads,
      Optional<Consumer<Optional<Outcome>>> told) {
    this.told = told;
    caller = told.isEmpty() ? Optional.of(Thread.currentThread()) : Optional.empty();
    this.desk = desk;
    this.pool = pool;
    this.visit = visit;
    this.invocation = invocation;
    this.watchdog = watchdog;
    this.threads = threads;
    int stackMib = InProcessThreads.stackMib(desk.settings(), visit.version().spec().limits().stackBytes());
    run = new Run(visit, invocation, watchdog, logs, (long) stackMib << 20, this, this, this::overdue);
    work = threads.new Work(visit.version().name().user(), stackMib) {
      @Override
      void run() {
        inside();
      }

      @Override
      void after() {
        settle();
      }

      @Override
      void cannotRun() {
        if (withdraw()) {
          tell(new Result(new Outcome.Failed(Refusal.noThread(visit.version()))));
        }
      }
    };
  }

  /**
   * Makes it; on the thread that made this object.
   *
   * @return null when the pool was retired meanwhile; the visit is then routed anew
   * @throws InstarException FUNCTION_BUSY, NODE_BUSY
   */
  Outcome make() throws InterruptedException {
    if (!begin()) {
      return null;
    }
    try {
      return await();
    } finally {
      disarm();
    }
  }

  /**
   * Begins it, and does not wait.
   *
   * @return false when the pool was retired meanwhile: nothing was begun
   * @throws InstarException FUNCTION_BUSY, NODE_BUSY: nothing was begun, either
   */
  boolean begin() {
    Slot warm = visit.cold() ? null : pool.takeIdle();
    if (warm == null) {
      Place mine = new Place(visit.cold());
      place = mine;
      if (!desk.join(pool, mine, visit)) {
        return false;
      }
      limitTheWait();
    } else {
      slot = warm;
      if (!threads.tryStart(work)) {
        boolean queued = false;
        try {
          visit.sit();
          limitTheWait();
          threads.start(work);
          queued = true;
        } finally {
          if (!queued && phase.compareAndSet(Phase.WAITING, Phase.WITHDRAWN)) {
            pool.giveBack(warm);
          }
        }
      }
    }
    return true;
  }

  /** Only where it could not begin at once. */
  private void limitTheWait() {
    if (phase.get() == Phase.WAITING) {
      until = Math.min(visit.deadline(), Clock.in(desk.settings().queueWait()));
      try {
        waitingTime = watchdog.arm(until, this::waitedTooLong);
      } catch (OutOfMemoryError e) {
        // It is in line by now; its run has a limit of its own.
        LOG.error("The wait of invocation {} of {} has no limit", invocation.id(), visit.version().label(), e);
      }
      if (phase.get() != Phase.WAITING) {
        // Who took it out of there may not have seen what there is to disarm.
        disarm();
      }
    }
  }

  private void disarm() {
    Watchdog.Watch watch = waitingTime;
    if (watch != null) {
      watch.disarm();
    }
  }

  private void waitedTooLong() {
    boolean hasSlot = slot != null;
    if (withdraw()) {
      Problem problem = !hasSlot || until >= visit.deadline() ? desk.tooLong(pool, visit, until) : Refusal.nodeBusy(visit.version(), desk.settings().queueWait());
      tell(new Result(new Outcome.Failed(problem)));
    }
  }

  /** Takes it out of every line, and gives back what it has got there; false when it runs, or has been withdrawn before. Does not block. */
  private boolean withdraw() {
    if (!phase.compareAndSet(Phase.WAITING, Phase.WITHDRAWN)) {
      return false;
    }
    if (place != null) {
      // A grant is whole when the line's lock is free: afterwards the slot is there, or never comes.
      desk.cancel(pool, place);
    }
    threads.withdraw(work);
    Slot given = slot;
    if (given != null) {
      if (given.empty()) {
        given.closeAside();
      } else {
        pool.release(given);
      }
    }
    return true;
  }

  private Outcome await() throws InterruptedException {
    while (result.get() == null) {
      LockSupport.park(this);
      if (Thread.interrupted()) {
        if (!withdraw() && killRunning()) {
          awaitSettled();
        }
        throw new InterruptedException();
      }
    }
    return result.get().outcome();
  }

  /** Kills its slot while that is its own; false when it has none, or another call may have it by now. */
  private boolean killRunning() {
    synchronized (phase) {
      boolean mine = phase.get() == Phase.RUNNING;
      if (mine) {
        slot.kill(Slot.Cause.INTERRUPTED);
      }
      return mine;
    }
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

  private void tell(Result known) {
    if (result.compareAndSet(null, known)) {
      caller.ifPresent(LockSupport::unpark);
      told.ifPresent(who -> {
        disarm();
        visit.close();
        try {
          who.accept(Optional.ofNullable(known.outcome()));
        } catch (Throwable e) {
          LOG.error("Who was to be told the end of invocation {} of {} failed", invocation.id(), visit.version().label(), e);
        }
      });
    }
  }

  /** For one that nobody sleeps for: it is told as soon as it has ended, and after a while in any case. From any thread; does not block. */
  void end() {
    if (withdraw()) {
      tell(new Result(new Outcome.Failed(Refusal.stopping())));
    } else if (killRunning()) {
      leaveBehindLater(() -> Refusal.stopping());
    }
  }

  // ---- on the thread that runs it

  private void inside() {
    if (!phase.compareAndSet(Phase.WAITING, Phase.RUNNING)) {
      return;
    }
    try {
      visit.begin();
      if (slot.empty() || slot.alive()) {
        run.in(slot);
        ran = true;
        ended = null;
        ended = new Result(run.perform());
      }
    } catch (Throwable e) {
      LOG.error("Invocation {} of {} ended in disorder", invocation.id(), visit.version().label(), e);
    }
  }

  private void settle() {
    synchronized (phase) {
      // Before another call may have the slot: a caller who is interrupted from here on has nothing to kill.
      if (!phase.compareAndSet(Phase.RUNNING, Phase.ENDED)) {
        return;
      }
    }
    try {
      if (ended != null) {
        tell(ended);
      }
      if (ran) {
        run.settle();
      } else {
        slot.close();
      }
    } catch (Throwable e) {
      LOG.error("Invocation {} of {} ended in disorder", invocation.id(), visit.version().label(), e);
    } finally {
      // Told in any case: a caller must not wait for a thread that has gone on to other work.
      if (result.get() == null) {
        tell(new Result(new Outcome.Failed(Refusal.internal("The call of " + visit.version().label(), invocation.id()))));
      }
      settled = true;
      // The caller may wait for this, where it was interrupted.
      caller.ifPresent(LockSupport::unpark);
      if (grace != null) {
        grace.disarm();
      }
    }
  }

  private void overdue() {
    slot.kill(Slot.Cause.DEADLINE);
    leaveBehindLater(run::timeUp);
  }

  /** Its caller is told that, if it does not end after its kill. */
  private void leaveBehindLater(Supplier<Problem> problem) {
    grace = watchdog.arm(Clock.now() + GRACE_NANOS, () -> {
      if (result.get() == null) {
        leaveBehind();
        tell(new Result(new Outcome.Failed(problem.get())));
      }
    });
  }

  private void leaveBehind() {
    run.abandon();
    LOG.error("A call of {} in sandbox {} does not end after its kill; it keeps its thread until it does", visit.version().label(), slot.id());
  }

  @Override
  public void during(Wait wait) throws InterruptedException {
    park();
    boolean killed = false;
    try {
      wait.await();
    } finally {
      try {
        unpark();
      } catch (IOException e) {
        killed = true;
      }
    }
    if (killed) {
      throw new InterruptedException("killed while it waited");
    }
  }

  @Override
  public void park() {
    GuestThread.ordinarily(() -> {
      if (work.held() && threads.park(work)) {
        parked = true;
        pool.park();
      }
    });
  }

  @Override
  public void unpark() throws IOException {
    if (parked) {
      parked = false;
      GuestThread.ordinarily(this::enterAgain);
    }
    if (!work.held()) {
      throw new IOException("The call was killed.");
    }
  }

  private void enterAgain() {
    pool.unpark();
    boolean interrupted = false;
    while (!work.held() && slot.killed() == null && !interrupted) {
      try {
        threads.enterAgain(work, () -> slot.killed() != null);
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (work.held()) {
      threads.unparked(work);
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
