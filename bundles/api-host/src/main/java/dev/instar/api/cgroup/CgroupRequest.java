package dev.instar.api.cgroup;

import java.util.Objects;

/**
 * Who wants a cgroup.
 *
 * @param sandboxId unique on this node for as long as it runs
 * @param holder what runs in it, for people: the function's name with its version
 * @param limits what it is to be held to
 */
public record CgroupRequest(String sandboxId, String holder, CgroupLimits limits) {
  public CgroupRequest {
    Objects.requireNonNull(sandboxId);
    Objects.requireNonNull(holder);
    Objects.requireNonNull(limits);
  }
}
