package dev.instar.api.sandbox;

import org.osgi.annotation.versioning.ConsumerType;

/**
 * A sandbox that can go back to the state it had when it was started: memory, globals, tables, open files and the file view.
 * The scheduler resets after every call, always, before the sandbox is seen by anybody again.
 */
@ConsumerType
public interface Resettable {
  /**
   * Goes back. After it no byte of an earlier call can be seen by the next, and what the function's initialisation drew from a source of random numbers or
   * read from a clock is another than it was, but where the function sees to that itself.
   *
   * @throws dev.instar.api.InstarException when it cannot; the sandbox is then closed
   */
  void reset();
}
