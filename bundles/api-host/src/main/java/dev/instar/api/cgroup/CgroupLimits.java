package dev.instar.api.cgroup;

import dev.instar.api.function.HostLimits;
import java.util.Objects;
import java.util.OptionalLong;

/**
 * What a cgroup is held to. What is empty is not limited.
 *
 * @param memoryBytes memory of all that is inside, the kernel's share and cached files included; swap is not given on top of it
 * @param host the other limits
 */
public record CgroupLimits(OptionalLong memoryBytes, HostLimits host) {
  /** Nothing is limited. */
  public static final CgroupLimits NONE = new CgroupLimits(OptionalLong.empty(), HostLimits.NONE);

  public CgroupLimits {
    Objects.requireNonNull(memoryBytes);
    Objects.requireNonNull(host);
  }
}
