package dev.instar.backend.wasm.compile;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.invoke.MethodHandle;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/**
 * Has another process run only where a processor would else be idle: SCHED_IDLE (sched(7)), for each of its threads; those that they start inherit it.
 * Niceness alone is not enough: a nice thread keeps the processor for its slice, and one that wakes up waits.
 *
 * <p>No privilege is needed for the way down. The way up is closed to most, so such a process is of no further use to others.
 */
final class Background {
  private static final int SCHED_IDLE = 5;
  private static final Optional<MethodHandle> SET_SCHEDULER = Linker.nativeLinker().defaultLookup().find("sched_setscheduler")
      .map(symbol -> Linker.nativeLinker().downcallHandle(symbol, FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT, ADDRESS)));

  private Background() {}

  /** Lowers all threads of a process. Where it has ended, or the host knows or allows no such thing, nothing happens. */
  static void lower(long process) {
    if (SET_SCHEDULER.isEmpty()) {
      return;
    }
    try (Arena arena = Arena.ofConfined(); DirectoryStream<Path> threads = Files.newDirectoryStream(Path.of("/proc", Long.toString(process), "task"))) {
      // struct sched_param: a priority, which is 0 for this policy.
      var parameters = arena.allocate(16, 8);
      for (Path thread : threads) {
        int ignored = (int) SET_SCHEDULER.get().invokeExact(Integer.parseInt(thread.getFileName().toString()), SCHED_IDLE, parameters);
      }
    } catch (IOException | DirectoryIteratorException e) {
      // It has ended.
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }
}
