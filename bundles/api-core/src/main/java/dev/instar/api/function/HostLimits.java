package dev.instar.api.function;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.regex.Pattern;

/**
 * What the kernel holds a sandbox to, where the sandbox is one of processes and the backend takes a cgroup for it. What is empty is as the node is configured.
 *
 * @param cpuMillis processor time in thousandths of a processor: 500 is half of one, 2000 is two
 * @param cpuWeight its share where processors are wanted by more than there are; 100 is the usual one
 * @param cpuset the processors that it may run on, as the kernel writes lists: {@code 0-2,5}
 * @param processes processes and threads at one time
 * @param ioWeight its share where a disk is wanted by many, where the kernel has that; 100 is the usual one
 */
public record HostLimits(OptionalInt cpuMillis, OptionalInt cpuWeight, Optional<String> cpuset, OptionalInt processes, OptionalInt ioWeight) {
  /** All as the node is configured. */
  public static final HostLimits NONE = new HostLimits(OptionalInt.empty(), OptionalInt.empty(), Optional.empty(), OptionalInt.empty(), OptionalInt.empty());
  private static final Pattern CPUS = Pattern.compile("[0-9]{1,4}(-[0-9]{1,4})?(,[0-9]{1,4}(-[0-9]{1,4})?){0,63}");

  /** @throws InstarException {@link ErrorCode#BAD_REQUEST} when a value is out of its range; it names the limit as the HTTP API does */
  public HostLimits {
    // Less than a hundredth of a processor is less than the kernel's shortest quota in a period of 100 ms.
    cpuMillis.ifPresent(value -> Limits.range("cpu in thousandths", value, 10, 1_000_000));
    cpuWeight.ifPresent(value -> Limits.range("cpuWeight", value, 1, 10_000));
    processes.ifPresent(value -> Limits.range("processes", value, 1, 1_000_000));
    ioWeight.ifPresent(value -> Limits.range("ioWeight", value, 1, 10_000));
    cpuset.filter(list -> !CPUS.matcher(list).matches()).ifPresent(list -> {
      throw new InstarException(ErrorCode.BAD_REQUEST, "The limit cpuset is not a list of processors; give one such as 0-2,5.");
    });
  }

  /** Each of its own, or else of the others. */
  public HostLimits or(HostLimits others) {
    return new HostLimits(cpuMillis.isPresent() ? cpuMillis : others.cpuMillis, cpuWeight.isPresent() ? cpuWeight : others.cpuWeight, cpuset.or(others::cpuset),
        processes.isPresent() ? processes : others.processes, ioWeight.isPresent() ? ioWeight : others.ioWeight);
  }
}
