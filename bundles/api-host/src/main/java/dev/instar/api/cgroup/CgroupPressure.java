package dev.instar.api.cgroup;

/**
 * How much of the last ten seconds something inside has waited for what it had to share or was denied, in percent.
 *
 * @param cpu some waited for a processor
 * @param memory some waited for memory
 * @param io some waited for a disk
 */
public record CgroupPressure(double cpu, double memory, double io) {}
