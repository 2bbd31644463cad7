package dev.instar.api.invocation;

import java.util.Optional;
import java.util.function.Consumer;
import org.osgi.annotation.versioning.ProviderType;

/** Makes calls. Provided by the scheduler; used by dialects, queues and chained calls alike. */
@ProviderType
public interface Invoker {
  /**
   * Makes the call and waits for its end on the calling thread, which should be a virtual one. Every failure is a
   * {@link Outcome.Failed}; nothing is thrown but InterruptedException, after which the call has been killed and its sandbox closed.
   */
  Outcome invoke(Invocation invocation) throws InterruptedException;

  /**
   * Begins a call without waiting for anything, where there is nothing to be waited for but a turn: the function is prepared, and in-process. For a
   * caller that has no thread of its own to block, and so saves two switches of threads.
   *
   * @param told is given the outcome, once, perhaps before this method returns; empty when what was chosen went before anything was run, and {@link #invoke} is to be
   *     asked. On a thread of the invoker's that others wait for: it must not block, nor throw
   * @return how to end the call before its time, from any thread, without waiting for that: it is told then as any other end. Empty: nothing was done, and
   *     {@code told} is not used; {@link #invoke} does it or says why it can't be done
   */
  default Optional<Runnable> begin(Invocation invocation, Consumer<Optional<Outcome>> told) {
    return Optional.empty();
  }
}
