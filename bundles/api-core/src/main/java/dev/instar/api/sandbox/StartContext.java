package dev.instar.api.sandbox;

import dev.instar.api.lease.Leases;
import java.time.Instant;
import java.util.Objects;

/**
 * @param sandboxId unique on this node; names directories, processes and log lines of the sandbox
 * @param deadline when the start must have ended
 * @param log where the function's own words go while it initialises
 * @param room whom to ask when the sandbox needs what is used up, now and in its calls and resets
 * @param leases what the host lends to this sandbox, of the kinds that the backend's description names; of use until the sandbox's close has returned
 */
public record StartContext(String sandboxId, Instant deadline, GuestLog log, Room room, Leases leases) {
  public StartContext {
    Objects.requireNonNull(room);
    Objects.requireNonNull(leases);
  }

  /** With {@link Leases#NONE}. */
  public StartContext(String sandboxId, Instant deadline, GuestLog log, Room room) {
    this(sandboxId, deadline, log, room, Leases.NONE);
  }

  /** With {@link Room#NONE} and {@link Leases#NONE}. */
  public StartContext(String sandboxId, Instant deadline, GuestLog log) {
    this(sandboxId, deadline, log, Room.NONE);
  }

  /** A way to get back what idle sandboxes of the same backend hold. */
  @FunctionalInterface
  public interface Room {
    /** Nothing is idle. */
    Room NONE = () -> false;

    /**
     * Closes an idle sandbox of this backend, of whatever function, on the calling thread. For a thread that prepares a function, or starts, calls
     * or resets a sandbox, and holds no lock that a close of another takes. To be asked again until what is needed is there, or it says no: then the
     * backend fails with NODE_BUSY.
     *
     * @return false when none may be closed
     */
    boolean make();
  }
}
