package dev.instar.api.sandbox;

import java.util.Set;

/**
 * What a backend is, as data: nothing outside a backend asks for its name to decide anything.
 *
 * @param name unique among the backends of a node, e.g. {@code wasm}; what a variant's {@code backend} and an operator name
 * @param summary one sentence for people
 * @param kinds the kinds of image that it runs, see {@link dev.instar.api.function.Variant}
 * @param shape where a sandbox lives
 * @param isolation what stands between a function and the node
 * @param resets whether its sandboxes implement {@link Resettable}
 * @param version the version of the engine; part of the key of everything cached
 * @param leases the kinds of lease that each of its sandboxes needs, e.g. {@code cgroup}; see {@link dev.instar.api.lease}
 */
public record BackendDescription(String name, String summary, Set<String> kinds, Shape shape, Isolation isolation, boolean resets, String version,
    Set<String> leases) {
  public BackendDescription {
    kinds = Set.copyOf(kinds);
    leases = Set.copyOf(leases);
  }

  /** Of a backend whose sandboxes need no leases. */
  public BackendDescription(String name, String summary, Set<String> kinds, Shape shape, Isolation isolation, boolean resets, String version) {
    this(name, summary, kinds, shape, isolation, resets, version, Set.of());
  }

  /** Where a sandbox's code runs, which decides the thread that calls it. */
  public enum Shape {
    /** In this process, on the calling thread, which it does not yield: called on a bounded pool of platform threads. */
    IN_PROCESS,
    /** Elsewhere; the call waits for bytes: called on virtual threads. */
    REMOTE
  }

  /** What keeps a hostile function in. */
  public enum Isolation {
    /** Nothing: the function can do what the node's user can. For development only. */
    NONE,
    /** A language or bytecode sandbox inside the process. */
    SOFTWARE,
    /** The kernel's namespaces, cgroups and system-call filters. */
    CONTAINER,
    /** A virtual machine. */
    VIRTUAL_MACHINE
  }
}
