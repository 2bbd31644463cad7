package dev.instar.cgroups;

import dev.instar.api.cgroup.CgroupPressure;
import dev.instar.api.cgroup.CgroupUsage;
import java.util.Optional;
import java.util.OptionalLong;

/** What one hierarchy counts. */
record Tally(CgroupUsage usage, Optional<CgroupPressure> pressure) {
  static final Tally NOTHING = new Tally(new CgroupUsage(OptionalLong.empty(), OptionalLong.empty(), OptionalLong.empty(), OptionalLong.empty(), OptionalLong.empty(),
      OptionalLong.empty(), OptionalLong.empty()), Optional.empty());

  /** What either counts. */
  Tally and(Tally other) {
    CgroupUsage a = usage;
    CgroupUsage b = other.usage;
    return new Tally(new CgroupUsage(first(a.memoryBytes(), b.memoryBytes()), first(a.memoryPeakBytes(), b.memoryPeakBytes()), first(a.oomKills(), b.oomKills()),
        first(a.cpuMicros(), b.cpuMicros()), first(a.throttledMicros(), b.throttledMicros()), first(a.processes(), b.processes()),
        first(a.processRefusals(), b.processRefusals())), pressure.or(other::pressure));
  }

  private static OptionalLong first(OptionalLong a, OptionalLong b) {
    return a.isPresent() ? a : b;
  }
}
