package dev.instar.api.cgroup;

import java.util.OptionalLong;

/**
 * What a cgroup has used and was refused since it was lent; what the host does not count is empty.
 *
 * @param memoryBytes now
 * @param memoryPeakBytes the most at any time
 * @param oomKills processes that the kernel has killed because the memory limit was reached
 * @param cpuMicros processor time
 * @param throttledMicros time for which its CPU limit has made it wait
 * @param processes processes and threads now
 * @param processRefusals processes and threads that it was refused because their limit was reached
 */
public record CgroupUsage(OptionalLong memoryBytes, OptionalLong memoryPeakBytes, OptionalLong oomKills, OptionalLong cpuMicros, OptionalLong throttledMicros,
    OptionalLong processes, OptionalLong processRefusals) {}
