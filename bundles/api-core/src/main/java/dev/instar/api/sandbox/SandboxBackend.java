package dev.instar.api.sandbox;

import dev.instar.api.InstarException;
import org.osgi.annotation.versioning.ConsumerType;

/**
 * A way to run functions in isolation. Third parties implement this, register it as an OSGi service, and pass the suite
 * {@code dev.instar.tck.sandbox.SandboxBackendSuite}.
 *
 * <h2>Vocabulary</h2>
 * A <i>backend</i> <i>prepares</i> a function version once (it checks, compiles, unpacks, makes its snapshot). From the
 * <i>prepared function</i> it <i>starts</i> any number of <i>sandboxes</i>. A sandbox takes <i>calls</i>, one at a time, until it
 * is closed. A backend that comes as a service is one <i>generation</i>; a new bundle version is a new one.
 *
 * <h2>Life cycle</h2>
 * <pre>
 *   probe ──Usable──▶ prepare(version) ──▶ PreparedFunction ──start──▶ Sandbox ──call──▶ … ──call──▶ close
 *                         │ refused: MODULE_REFUSED           │            ▲  └─Resettable.reset┘
 *                         ▼                                   close        kill, from any thread, at any time
 * </pre>
 * The scheduler owns this: it prepares once, keeps idle sandboxes, resets a {@link Resettable} sandbox after each call, and
 * closes everything before the service is unregistered, prepared functions last. A backend keeps no list of functions.
 * A backend whose bundle stops while something is still open ends it (a process, a mount, a mapping outlives no backend).
 *
 * <h2>Threads</h2>
 * {@link #describe}, {@link #probe} and {@link #prepare} come from any thread, concurrently. {@link Sandbox#call} blocks until the
 * call has ended; {@link BackendDescription.Shape} says on which kind of thread it comes. {@link Sandbox#kill} may come from any thread at any time,
 * more than once, before, during and after a call, and makes a running call end within a second. A sandbox never sees two calls at once.
 *
 * <h2>Cancellation and time</h2>
 * The caller of a sandbox watches the deadline and kills; a backend needs no timer. An interrupt of the calling thread means the same as kill.
 *
 * <h2>Cost</h2>
 * describe: no work, called often. probe: may take a second, is asked seldom. prepare: may take long and is bounded by the deadline in
 * its argument. start: as short as the backend can make it. call: no lock shared between sandboxes.
 *
 * <h2>Leases</h2>
 * What a sandbox needs of the host and others manage (a cgroup, a network) comes with its start, as leases of the kinds that {@link #describe} names. They
 * are closed by whoever gave them, after the sandbox's close: a backend only uses them, and what it puts into them (a process, a device) it ends in close.
 *
 * <h2>Failures</h2>
 * Only {@link InstarException}, with the codes that each method names. A failure of one function leaves no trace in another's. What a
 * sandbox's own code does is never a failure of the node: it is FUNCTION_TRAPPED, FUNCTION_FAILED, SANDBOX_CRASHED, the code of
 * the limit that it died of (OUT_OF_MEMORY, OUT_OF_TABLES, STACK_OVERFLOW, OUT_OF_FILES, FILES_FULL, TOO_MANY_FILES,
 * TOO_MANY_PROCESSES; the member {@code limit} names it) or, after our own kill, TIMED_OUT.
 */
@ConsumerType
public interface SandboxBackend {
  /** What it is. Constant while it is registered. */
  BackendDescription describe();

  /** Whether this host can run it, and if not, which one missing thing would make it work. Never throws. */
  Probe probe();

  /**
   * Makes a version ready to start.
   *
   * @throws InstarException MODULE_REFUSED (naming the section or import), COMPILE_LIMIT, OUT_OF_MEMORY, OUT_OF_TABLES, TIMED_OUT at the deadline,
   *     NO_SPACE, NODE_BUSY when the host has no resource left
   */
  PreparedFunction prepare(PrepareRequest request) throws InterruptedException;
}
