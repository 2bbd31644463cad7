package dev.instar.api.invocation;

import dev.instar.api.Problem;
import dev.instar.api.function.FunctionVersion;

/** How a call ended. */
public sealed interface Outcome {
  /**
   * The function answered; its output has been written.
   *
   * @param version who answered
   * @param backend the name of the backend
   * @param cold whether a sandbox was started for this call
   * @param queuedNanos from the call's arrival at the scheduler until it had a sandbox or the right to start one
   * @param setupNanos spent on preparing and starting a sandbox; 0 when warm
   * @param runNanos in the sandbox
   */
  record Completed(FunctionVersion version, String backend, boolean cold, long queuedNanos, long setupNanos, long runNanos)
      implements Outcome {}

  /** The call failed; the problem says how. */
  record Failed(Problem problem) implements Outcome {}
}
