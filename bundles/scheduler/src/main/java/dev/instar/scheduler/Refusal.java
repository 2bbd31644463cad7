package dev.instar.scheduler;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import dev.instar.api.function.FunctionVersion;
import java.time.Duration;
import java.util.Map;

/** The problems that the scheduler itself tells users. */
final class Refusal {
  private static final Duration SOON = Duration.ofSeconds(1);

  private Refusal() {}

  static Problem stopping() {
    return Problem.of(ErrorCode.NOT_READY, "The scheduler is stopping. Try again in a moment.").retryAfter(SOON);
  }

  static Problem missing(String part) {
    return Problem.of(ErrorCode.NOT_READY, "The " + part + " is not there yet. Try again in a moment.").retryAfter(SOON);
  }

  static Problem noLender(String kind) {
    return Problem.of(ErrorCode.NOT_READY, "Nothing on this node lends what a sandbox of this function needs: " + kind
        + ". Start the bundle that does ('instar bundles'), or try again in a moment where it is being replaced.").retryAfter(SOON);
  }

  static Problem functionQueueFull(FunctionVersion version, int queue) {
    return Problem.of(ErrorCode.FUNCTION_BUSY, version.label() + " has " + version.spec().limits().concurrency() + " sandboxes at most, and " + queue
        + " of its calls, as many as may, wait already. Try again later, or raise its limit 'concurrency' (--concurrency).", concurrency(version))
        .retryAfter(SOON);
  }

  static Problem nodeQueueFull(int queue) {
    return Problem.of(ErrorCode.NODE_BUSY, queue + " calls, as many as may, wait on this node already. Try again later.").retryAfter(SOON);
  }

  static Problem userQueueFull(String user, int queue) {
    return Problem.of(ErrorCode.NODE_BUSY, queue + " calls of functions of " + user
        + ", as many as one user may have, wait on this node already. Try again later.")
        .retryAfter(SOON);
  }

  static Problem userPreparationsFull(String user, int queue) {
    return Problem.of(ErrorCode.NODE_BUSY, queue + " versions of functions of " + user
        + ", as many as one user may have, wait to be prepared on this node already. Try again later.").retryAfter(SOON);
  }

  static Problem functionBusy(FunctionVersion version, Duration waited) {
    return Problem.of(ErrorCode.FUNCTION_BUSY, "No sandbox of " + version.label() + " (of " + version.spec().limits().concurrency()
        + " at most) came free within " + shown(waited) + ". Try again later, or raise its limit 'concurrency' (--concurrency).", concurrency(version))
        .retryAfter(SOON);
  }

  private static Map<String, Object> concurrency(FunctionVersion version) {
    return Map.of("limit", "concurrency", "limitCount", version.spec().limits().concurrency());
  }

  static Problem nodeBusy(FunctionVersion version, Duration waited) {
    return Problem.of(ErrorCode.NODE_BUSY, "This node had no room for " + version.label() + " within " + shown(waited) + ". Try again later.")
        .retryAfter(SOON);
  }

  static Problem noThread(FunctionVersion version) {
    return Problem.of(ErrorCode.NODE_BUSY, "This node could start no thread for " + version.label() + ". Try again later.").retryAfter(SOON);
  }

  static Problem timedOut(FunctionVersion version, Duration limit) {
    return Problem.of(ErrorCode.TIMED_OUT, "The call of " + version.label() + " took longer than its time-out of " + shown(limit) + " and was ended.",
        Map.of("limit", "timeout", "limitMillis", limit.toMillis()));
  }

  static Problem ranTooLong(FunctionVersion version) {
    Duration limit = version.spec().limits().runTime();
    return Problem.of(ErrorCode.RAN_TOO_LONG, "The call of " + version.label() + " was in its sandbox for longer than its run time of " + shown(limit)
        + " and was ended. Raise its limit 'runTime' (--run-time) if it needs longer.", Map.of("limit", "runTime", "limitMillis", limit.toMillis()));
  }

  /**
   * @param told what the backend said, which does not know the thread
   * @param bytes what the thread had
   * @param asked the function's limit
   */
  static Problem stackOverflow(Problem told, long bytes, long asked) {
    String raise = bytes < asked ? "this node's bound; its limit 'stack' asks for " + asked + ". Raise in-process-stack-mib of dev.instar.scheduler"
        : "raise its limit 'stack' (--stack)";
    return Problem.of(ErrorCode.STACK_OVERFLOW, told.detail() + " Its stack has " + bytes + " bytes" + (bytes < asked ? ", " : "; ") + raise
        + " if it must call so deep.", Map.of("limit", "stack", "limitBytes", bytes));
  }

  static Problem preparingTooLong(FunctionVersion version, long limitNanos) {
    Duration limit = Duration.ofNanos(limitNanos);
    return Problem.of(ErrorCode.TIMED_OUT, "Preparing " + version.label() + " took longer than the " + shown(limit) + " that this node allows.",
        Map.of("limitMillis", limit.toMillis()));
  }

  static Problem inputTooLarge(long limit) {
    return Problem.of(ErrorCode.TOO_LARGE, "The input is larger than the " + limit + " bytes that the function takes.", Map.of("limit", "input", "limitBytes", limit));
  }

  static Problem outputTooLarge(long limit) {
    return Problem.of(ErrorCode.OUTPUT_TOO_LARGE, "The function wrote more than the " + limit + " bytes that its answer may have; raise its limit 'output' (--answer) if it must.",
        Map.of("limit", "output", "limitBytes", limit));
  }

  static Problem drained(FunctionVersion version) {
    return Problem.of(ErrorCode.BACKEND_UNAVAILABLE, "The backend that ran " + version.label()
        + " is being replaced and the call did not end within the drain time. Try again; it may have had effects.").retryAfter(SOON);
  }

  static Problem noBackend(String why, boolean comesBack) {
    Problem problem = Problem.of(ErrorCode.BACKEND_UNAVAILABLE, why);
    return comesBack ? problem.retryAfter(Duration.ofSeconds(5)) : problem;
  }

  static Problem internal(String what, String invocation) {
    return Problem.of(ErrorCode.INTERNAL, what + " failed in a way that is a fault of the node. Its log has more under " + invocation + ".");
  }

  static InstarException thrown(Problem problem) {
    return new InstarException(problem);
  }

  private static String shown(Duration time) {
    return time.toMillis() % 1000 == 0 ? time.toSeconds() + " s" : time.toMillis() + " ms";
  }
}
