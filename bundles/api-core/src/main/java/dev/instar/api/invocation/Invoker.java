package dev.instar.api.invocation;

import org.osgi.annotation.versioning.ProviderType;

/** Makes calls. Provided by the scheduler; used by dialects, queues and chained calls alike. */
@ProviderType
public interface Invoker {
  /**
   * Makes the call and waits for its end on the calling thread, which should be a virtual one. Every failure is a
   * {@link Outcome.Failed}; nothing is thrown but InterruptedException, after which the call has been killed and its sandbox closed.
   */
  Outcome invoke(Invocation invocation) throws InterruptedException;
}
