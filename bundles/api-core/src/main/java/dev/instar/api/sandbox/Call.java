package dev.instar.api.sandbox;

import dev.instar.api.invocation.CallInput;
import java.io.OutputStream;
import java.time.Instant;

/**
 * One call into a sandbox. When {@code input} or {@code output} throws an {@link dev.instar.api.InstarException} or an
 * {@link java.io.IOException}, the sandbox ends the call at once and passes it on: an InstarException unchanged, an IOException as
 * CALLER_GONE; the function gets no chance to catch it.
 *
 * @param invocationId of the invocation that it serves
 * @param input the body
 * @param output takes the answer as the function writes it
 * @param log takes what the function writes to standard error
 * @param deadline for the function to know; the caller enforces it by {@link Sandbox#kill}
 * @param waits for what else the function waits for; a backend whose sandboxes are remote need not tell
 */
public record Call(String invocationId, CallInput input, OutputStream output, GuestLog log, Instant deadline, Waits waits) {
  /** One whose waits are of interest to nobody. */
  public Call(String invocationId, CallInput input, OutputStream output, GuestLog log, Instant deadline) {
    this(invocationId, input, output, log, deadline, Waits.NONE);
  }
}
