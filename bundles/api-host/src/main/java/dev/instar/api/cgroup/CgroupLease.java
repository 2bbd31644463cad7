package dev.instar.api.cgroup;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.lease.Lease;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import org.osgi.annotation.versioning.ConsumerType;

/**
 * The cgroup of one sandbox. There are four ways in, for four kinds of backend:
 * <ul>
 *   <li>{@link #enter} moves a process that is there already;
 *   <li>a process that is about to become the sandbox writes {@code 0} into the file {@code cgroup.procs} of each of {@link #directories}: whatever it starts is inside;
 *   <li>an OCI runtime makes a cgroup of its own at {@link #runtimePath}, and may remove it, events and limits stay with the lease;
 *   <li>{@code clone3} with CLONE_INTO_CGROUP takes {@link #descriptor}.
 * </ul>
 *
 * <p>What happened in it can be read until the close, whether anything is inside still or not. All methods but {@link #close} throw {@link IllegalStateException} after the close,
 * and {@link java.io.UncheckedIOException} where the kernel refuses.
 */
@ConsumerType
public interface CgroupLease extends Lease {
  /** Its name below the manager's parent; unique on the host. */
  String name();

  /** Who has it, with the limits that hold now. */
  CgroupRequest request();

  /** Its directories, one in each hierarchy. A process is inside when it is in all of them. */
  List<Path> directories();

  /**
   * The path for the {@code linux.cgroupsPath} of an OCI bundle: a cgroup inside the lease that is not there yet. Empty where the hierarchies of version 1 have the lease at different
   * paths. Not to be used beside another way in: version 2 keeps processes out of a cgroup that has others inside.
   */
  Optional<String> runtimePath();

  /** A descriptor of this process for the version 2 directory, open until the close; empty where there is no such directory. */
  OptionalInt descriptor();

  /** Moves a process, with all its threads, into it. What the process has started before stays where it is. */
  void enter(long pid);

  /** The processes inside. */
  List<Long> processes();

  CgroupUsage usage();

  /** Empty where the host does not tell. */
  Optional<CgroupPressure> pressure();

  /** Stops all that is inside, at the latest when this returns. What enters meanwhile stops too. */
  void freeze();

  /** Lets all that is inside go on. */
  void thaw();

  /**
   * Kills all that is inside, frozen or not, and what it starts meanwhile. Returns when everything has had its signal, within two seconds; what waits for a disk ends later. Nothing enters the lease
   * after that.
   */
  void kill();

  /**
   * Changes the limits: those that are given, and only those. What is inside already is held to them, too; memory below what is in use is taken back as far as it goes, and
   * then the kernel kills.
   *
   * @throws InstarException BAD_REQUEST for limits that this host can't hold to
   */
  void adjust(CgroupLimits limits);

  /**
   * What a sandbox has died of, for a backend whose call has failed: OUT_OF_MEMORY (with the members {@code limitBytes} and {@code peakBytes}) when the kernel has killed for memory since, TOO_MANY_PROCESSES
   * (with {@code limitCount}) when processes were refused since.
   *
   * @param before the usage when the call began
   */
  default Optional<InstarException> failureSince(CgroupUsage before) {
    CgroupUsage now = usage();
    CgroupLimits limits = request().limits();
    if (now.oomKills().orElse(0) > before.oomKills().orElse(0)) {
      Map<String, Object> members = new HashMap<>(Map.of("limit", "memory"));
      StringBuilder detail = new StringBuilder("The function ran out of memory and was killed");
      limits.memoryBytes().ifPresent(bytes -> {
        members.put("limitBytes", bytes);
        detail.append(": its limit is ").append(bytes).append(" bytes");
      });
      now.memoryPeakBytes().ifPresent(bytes -> {
        members.put("peakBytes", bytes);
        detail.append(members.containsKey("limitBytes") ? ", the most that it had " : ": the most that it had was ").append(bytes);
      });
      return Optional.of(new InstarException(ErrorCode.OUT_OF_MEMORY, detail + ". Raise its limit 'memory' (--memory), or use less.", members));
    }
    if (now.processRefusals().orElse(0) > before.processRefusals().orElse(0)) {
      Map<String, Object> members = new HashMap<>(Map.of("limit", "processes"));
      limits.host().processes().ifPresent(count -> members.put("limitCount", count));
      return Optional.of(new InstarException(ErrorCode.TOO_MANY_PROCESSES, "The function was refused another process or thread"
          + (limits.host().processes().isPresent() ? ": it may have " + limits.host().processes().getAsInt() + " at one time" : "")
          + ". Raise its limit 'processes' (--processes), or start fewer.", members));
    }
    return Optional.empty();
  }
}
