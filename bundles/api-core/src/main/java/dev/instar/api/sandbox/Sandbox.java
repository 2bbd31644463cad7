package dev.instar.api.sandbox;

import org.osgi.annotation.versioning.ConsumerType;

/**
 * One isolated place where one function version runs. Not thread-safe but for {@link #kill}.
 */
@ConsumerType
public interface Sandbox extends AutoCloseable {
  /**
   * Makes one call and returns when the function has answered with success.
   *
   * @throws dev.instar.api.InstarException FUNCTION_TRAPPED, FUNCTION_FAILED (with the member {@code exitCode}), OUT_OF_MEMORY,
   *     and the codes of the other limits, SANDBOX_CRASHED, NODE_BUSY when the host has no resource left, CHAINING_UNAVAILABLE; CALLER_GONE and what input and output threw; after {@link #kill}: TIMED_OUT.
   * @throws InterruptedException when the calling thread was interrupted and no kill had come
   */
  void call(Call call) throws InterruptedException;

  /** Whether it can take another call (after its reset, where there is one). False after a kill, a crash, or what it cannot undo. */
  boolean reusable();

  /** Ends a running call from any thread; the sandbox is of no use afterwards. Returns at once; idempotent. */
  void kill();

  /** Ends the sandbox and gives back all that it holds. Idempotent; waits no longer than two seconds; never throws. */
  @Override
  void close();
}
