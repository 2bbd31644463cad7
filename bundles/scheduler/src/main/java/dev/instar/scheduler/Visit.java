package dev.instar.scheduler;

import dev.instar.api.InstarException;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.invocation.Invocation;
import java.time.Duration;
import java.util.Optional;

/**
 * One call on its way to a sandbox: whose it is, since when, until when, and its chair in the {@link WaitingRoom} if it had to take one.
 * Used by the calling thread alone, but for {@link #begin}. Closed on every way out of the scheduler, which gives the chair back.
 */
final class Visit implements AutoCloseable {
  private final WaitingRoom room;
  private final long arrival = Clock.now();
  private final boolean cold;
  private final Optional<Duration> wanted;
  private final Duration longest;
  private FunctionVersion version;
  private Duration limit;
  private long deadline;
  private boolean seated;
  private boolean begun;
  private boolean closed;
  private long preparing;

  Visit(WaitingRoom room, Invocation invocation, Duration longest) {
    this.room = room;
    this.cold = invocation.forceCold();
    this.wanted = invocation.timeout();
    this.longest = longest;
  }

  /** For whom it is; a call that is routed anew may be for another version than before. */
  synchronized void to(FunctionVersion version) {
    begun = false;
    if (seated && !version.uid().equals(this.version.uid())) {
      stand();
    }
    this.version = version;
    Duration own = shorter(version.spec().limits().timeout(), longest);
    limit = wanted.filter(w -> w.compareTo(own) < 0).orElse(own);
    deadline = arrival + limit.toNanos();
  }

  static Duration shorter(Duration a, Duration b) {
    return a.compareTo(b) < 0 ? a : b;
  }

  FunctionVersion version() {
    return version;
  }

  long arrival() {
    return arrival;
  }

  long deadline() {
    return deadline;
  }

  /** Whether only a sandbox that has served nobody will do. */
  boolean cold() {
    return cold;
  }

  /** Takes a chair, once, unless it runs already. @throws InstarException FUNCTION_BUSY, NODE_BUSY */
  synchronized void sit() {
    // It may be over before the thread that brought it here has come so far.
    if (!seated && !begun && !closed) {
      room.enter(version);
      seated = true;
    }
  }

  /** It runs from now on, and waits no longer. From the thread that runs it. */
  synchronized void begin() {
    begun = true;
    stand();
  }

  private synchronized void stand() {
    if (seated) {
      seated = false;
      room.leave(version);
    }
  }

  void prepared(long nanos) {
    preparing += nanos;
  }

  /** What it has spent on waiting for preparations. */
  long preparing() {
    return preparing;
  }

  InstarException timedOut() {
    return Refusal.thrown(Refusal.timedOut(version, limit));
  }

  Duration limit() {
    return limit;
  }

  @Override
  public synchronized void close() {
    closed = true;
    stand();
  }
}
