/**
 * What the node lends to a sandbox of the host's things: a cgroup, a network.
 *
 * <h2>Vocabulary</h2>
 * A <i>kind</i> is a name such as {@code cgroup} or {@code network}. A backend says in its description which kinds its sandboxes need; it knows the
 * type of the lease (from the package of that kind), and nothing of who lends it. A <i>provider</i> lends one kind, as a service. A <i>lease</i> is
 * one thing lent to one sandbox. The scheduler stands between: it takes leases, hands them over with the start of a sandbox, and gives them back; it knows
 * neither cgroups nor networks.
 *
 * <h2>Life cycle</h2>
 * <pre>
 *   a sandbox is about to start ──take, each kind──▶ StartContext.leases ──▶ sandbox runs ──▶ Sandbox.close returns ──▶ Lease.close, last taken first
 *                                       │ fails: those taken before are closed, the start fails with it
 * </pre>
 * So a lease outlives its sandbox, and a backend that dies or lets go in the wrong order: what the sandbox did to its limits can be read until its close has
 * returned, and nothing that it used is lent to another before. A lease also outlives its provider: a provider's bundle can be replaced while leases are
 * held, see {@link dev.instar.api.lease.Lease}.
 *
 * <h2>A provider that is not there, and one that can't</h2>
 * While there is no provider of a kind that a backend needs, starts wait for one as calls wait for a backend, and then fail with NOT_READY: a sandbox must not
 * start without its limits because a bundle is being replaced at that moment. A provider on a host that has no such thing to lend (no privilege, no kernel
 * support) stays registered and lends nothing; the backend then decides whether it does without.
 */
@org.osgi.annotation.bundle.Export
@org.osgi.annotation.versioning.Version("0.1.0")
package dev.instar.api.lease;
