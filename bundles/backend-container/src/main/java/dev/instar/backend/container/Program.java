package dev.instar.backend.container;

import java.io.InputStream;
import java.io.OutputStream;

/** The process of one call, however it came into its container. */
interface Program {
  /** Its standard input. */
  OutputStream input();

  /** Its standard output, to its end. */
  InputStream answer();

  /** Its standard error, to its end. */
  InputStream log();

  /**
   * Waits for its end; somebody reads what it writes.
   *
   * @return its exit status, or 128 and the number of the signal that ended it
   */
  int await() throws InterruptedException;

  boolean isAlive();

  /** What it could not be started for, in words for people; empty when it was. Known when it has ended. */
  String notStarted();

  /** Ends what of it is outside of the container, from any thread, and does not wait. */
  void end();

  /** Waits until nothing of it is outside of the container, a second at most. */
  void leave() throws InterruptedException;
}
