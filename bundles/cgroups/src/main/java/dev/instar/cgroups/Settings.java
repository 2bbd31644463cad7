package dev.instar.cgroups;

import dev.instar.api.InstarException;
import dev.instar.api.function.HostLimits;
import java.util.Optional;
import java.util.OptionalInt;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * {@link Config} as values.
 *
 * @param parent a path from the root of each hierarchy; empty for the node's own cgroup
 * @param defaults what a sandbox is held to whose function says nothing of it
 */
record Settings(Optional<String> parent, int pool, int periodMicros, HostLimits defaults) {
  private static final Logger LOG = LoggerFactory.getLogger(Settings.class);
  /** Of a processor: less is less than the kernel's shortest quota. */
  private static final int LEAST_MILLIS = 10;

  static Settings of(Config config) {
    String parent = config.parent().strip();
    return new Settings(parent.isEmpty() ? Optional.empty() : Optional.of(parent), config.pool(), config.cpu$_$period$_$us(),
        new HostLimits(some(config.cpu() == 0 ? 0 : Math.max(LEAST_MILLIS, config.cpu())), some(config.cpu$_$weight()), cpuset(config.cpuset().strip()), some(config.processes()),
            some(config.io$_$weight())));
  }

  private static Optional<String> cpuset(String list) {
    if (list.isEmpty()) {
      return Optional.empty();
    }
    try {
      return new HostLimits(OptionalInt.empty(), OptionalInt.empty(), Optional.of(list), OptionalInt.empty(), OptionalInt.empty()).cpuset();
    } catch (InstarException e) {
      LOG.error("The value '{}' of 'cpuset' in {} is no list of processors, such as 0-2,5; sandboxes run on all", list, Config.PID);
      return Optional.empty();
    }
  }

  private static OptionalInt some(int value) {
    return value == 0 ? OptionalInt.empty() : OptionalInt.of(value);
  }
}
