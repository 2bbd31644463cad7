package dev.instar.api.sandbox;

import java.util.Map;
import org.osgi.annotation.versioning.ConsumerType;

/** A function version that a backend has made ready. Closed after all its sandboxes, exactly once. */
@ConsumerType
public interface PreparedFunction extends AutoCloseable {
  /**
   * How it will run, for {@code describe}: at least {@code entry} (which calling convention was found), {@code reset} (what is
   * undone between calls; for a backend that does not reset, that sandboxes are reused by the same version only). Where it honours
   * any of the limits memory, tables, openFiles, fileBytes and madeFiles: {@code limits}, their names with commas between.
   */
  Map<String, String> describe();

  /**
   * Starts a sandbox that is ready for a call. What the function's initialisation drew from a source of random numbers or read from a clock is in no other,
   * but where the function sees to that itself.
   *
   * @throws dev.instar.api.InstarException FUNCTION_TRAPPED, FUNCTION_FAILED, OUT_OF_MEMORY, SANDBOX_CRASHED, TIMED_OUT when the
   *     function's own initialisation ends so; NODE_BUSY when the host has no resource left
   */
  Sandbox start(StartContext context) throws InterruptedException;

  /** Releases what preparing made. Caches on disk may stay. */
  @Override
  void close();
}
