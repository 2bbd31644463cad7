package dev.instar.scheduler;

import dev.instar.api.InstarException;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.invocation.Invocation;
import java.time.Duration;
import java.util.Optional;

/**
 * One call on its way to a sandbox: whose it is, since when, until when, and its chair in the {@link WaitingRoom} if it had to take one.
 * Used by the calling thread alone. Closed on every way out of the scheduler, which gives the chair back.
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
  private long preparing;

  Visit(WaitingRoom room, Invocation invocation, Duration longest) {
    this.room = room;
    this.cold = invocation.forceCold();
    this.wanted = invocation.timeout();
    this.longest = longest;
  }

  /** For whom it is; a call that is routed anew may be for another version than before. */
  void to(FunctionVersion version) {
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

  /** Takes a chair, once. @throws InstarException FUNCTION_BUSY, NODE_BUSY */
  void sit() {
    if (!seated) {
      room.enter(version);
      seated = true;
    }
  }

  /** Gives the chair back: the call waits no longer. */
  void stand() {
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
  public void close() {
    stand();
  }
}
