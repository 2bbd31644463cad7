package dev.instar.scheduler;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.instar.api.Threads;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.Optional;

/**
 * What Linux lets a process say of its own threads: that one is to run only where a processor would else be idle. SCHED_IDLE and no niceness,
 * because a thread that wakes up takes the processor from one of SCHED_IDLE at once, whereas a nice one keeps it for its slice, some milliseconds.
 * Niceness is for what may hold locks that others want: the nicest thread has some 1.4 % of a processor that an ordinary one wants too, five times as
 * much as one of SCHED_IDLE, so it gets to its unlock. It is also the last in the line for the disk, where the disk has one.
 * No privilege is needed for the way down; the way up is closed to most (sched(7)), so a thread that was lowered is never of ordinary use again.
 *
 * <p>Three calls of the C library that the JVM itself is linked to: no library is loaded here, so nothing ties this bundle to its class loader.
 */
final class LinuxThreads {
  private static final int SCHED_IDLE = 5;
  private static final int PRIO_PROCESS = 0;
  private static final int NICEST = 19;

  private final MethodHandle gettid;
  private final MethodHandle setScheduler;
  private final MethodHandle setPriority;

  private LinuxThreads(MethodHandle gettid, MethodHandle setScheduler, MethodHandle setPriority) {
    this.gettid = gettid;
    this.setScheduler = setScheduler;
    this.setPriority = setPriority;
  }

  /** Empty where the host has no such thing, or forbids it. */
  static Optional<LinuxThreads> ofHost() {
    if (!System.getProperty("os.name").equals("Linux")) {
      return Optional.empty();
    }
    try {
      Linker linker = Linker.nativeLinker();
      // glibc has gettid since 2.30.
      MethodHandle gettid = linker.downcallHandle(linker.defaultLookup().findOrThrow("gettid"), FunctionDescriptor.of(JAVA_INT));
      MethodHandle setScheduler =
          linker.downcallHandle(linker.defaultLookup().findOrThrow("sched_setscheduler"), FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT, ADDRESS));
      MethodHandle setPriority =
          linker.downcallHandle(linker.defaultLookup().findOrThrow("setpriority"), FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT));
      LinuxThreads found = new LinuxThreads(gettid, setScheduler, setPriority);
      // Some sandboxes for processes forbid it. Tried on a thread that has no other use.
      boolean[] allowed = new boolean[1];
      Thread trial = Threads.startPlatform("instar-priority-trial", () -> allowed[0] = found.lower(found.current()));
      trial.join();
      return allowed[0] ? Optional.of(found) : Optional.empty();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return Optional.empty();
    } catch (RuntimeException | LinkageError e) {
      return Optional.empty();
    }
  }

  /** The kernel's number of this thread. */
  int current() {
    try {
      return (int) gettid.invokeExact();
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  /** From now on the thread has what others leave. False when it has ended, or the host forbids it. */
  boolean lower(int thread) {
    try (Arena arena = Arena.ofConfined()) {
      // struct sched_param: a priority, which is 0 for this policy.
      MemorySegment parameters = arena.allocate(16, 8);
      return (int) setScheduler.invokeExact(thread, SCHED_IDLE, parameters) == 0;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  /** From now on this thread comes after the others, but it comes. False when the host forbids it. */
  boolean lowerSelfGently() {
    try {
      // Linux counts niceness by thread, though POSIX has it by process.
      return (int) setPriority.invokeExact(PRIO_PROCESS, 0, NICEST) == 0;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }
}
