package dev.instar.scheduler;

import java.time.Duration;

/** {@link Config} as values, with the defaults that depend on the machine filled in. */
record Settings(int maxSandboxes, int maxSandboxesPerBackend, int maxIdle, int maxIdlePerFunction, Duration idle, Duration freeze, long readyBytes, Duration idleReplaced,
    Duration prepared, long preparedBytes, int functionQueue, int queue, int userPercent, Duration queueWait, int inProcessThreads, int inProcessWaiting,
    int inProcessStackMib, int prepareThreads, Duration prepareTime, boolean prepareAhead, Duration backendWait, Duration ramp, Duration drain, Duration maxCall) {

  static Settings of(Config config) {
    int threads = config.in$_$process$_$threads();
    return new Settings(config.max$_$sandboxes(), config.max$_$sandboxes$_$per$_$backend(), config.max$_$idle(), config.max$_$idle$_$per$_$function(),
        Duration.ofSeconds(config.idle$_$seconds()), Duration.ofSeconds(config.freeze$_$seconds()), (long) config.ready$_$mib() << 20,
        Duration.ofSeconds(config.idle$_$seconds$_$replaced()),
        Duration.ofSeconds(config.prepared$_$seconds()), (long) config.prepared$_$mib() << 20, config.queue$_$per$_$function(), config.queue(), config.queue$_$percent$_$per$_$user(),
        Duration.ofMillis(config.queue$_$wait$_$ms()), threads == 0 ? Runtime.getRuntime().availableProcessors() : threads,
        config.in$_$process$_$waiting(), config.in$_$process$_$stack$_$mib(), config.prepare$_$threads(),
        Duration.ofSeconds(config.prepare$_$seconds()), config.prepare$_$ahead(), Duration.ofMillis(config.backend$_$wait$_$ms()),
        Duration.ofMillis(config.ramp$_$ms()), Duration.ofMillis(config.drain$_$ms()),
        Duration.ofSeconds(config.max$_$call$_$seconds()));
  }

  /** How many of the node's waiting calls one user may have; at least one where anybody may wait. */
  int userQueue() {
    return Math.min(queue, Math.max(1, (int) ((long) queue * userPercent / 100)));
  }

  /** How often idle sandboxes are looked through: often enough that none stays a quarter longer than it may. */
  Duration sweep() {
    Duration quarter = (idle.compareTo(idleReplaced) < 0 ? idle : idleReplaced).dividedBy(4);
    Duration second = Duration.ofSeconds(1);
    return quarter.compareTo(second) < 0 ? quarter : second;
  }
}
