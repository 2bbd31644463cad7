package dev.instar.tck.sandbox;

/** The functions that the suite calls. Each backend brings them in a form that it runs. Text is UTF-8 without a line break at its end. */
public enum Fixture {
  /** Answers with its input, byte for byte, whatever its size. */
  ECHO,
  /** Reads its input in small pieces and answers each piece before it reads the next, with no buffering of its own. */
  SLOW_READER,
  /** Answers {@code ignored} and ends without having read its input. */
  IGNORE_INPUT,
  /** Does what its sandbox forbids or what cannot go on: an {@code unreachable}, an abort. */
  TRAP,
  /** Ends by itself with exit code 7. */
  FAIL,
  /** Computes for ever, with no call to its host. */
  SPIN,
  /** Sleeps in its host for at least a minute. */
  SLEEP,
  /** Takes memory until it is refused more, then answers in decimal digits how many bytes it has got; or is ended while it does so. */
  GROW,
  /** Adds elements to a table until it is refused more, then answers how many there are; or is ended while it does so. */
  GROW_TABLE,
  /** Opens files, or one many times, and leaves them open until it is refused more; then answers how many it has opened, or is ended. */
  OPEN_FILES,
  /** Writes to a file that it has made until it is refused more, then answers how many bytes it has written; or is ended while it does so. */
  FILL_FILE,
  /** Makes files or directories until it is refused more, then answers how many it has made; or is ended while it does so. */
  MAKE_FILES,
  /** Calls itself for ever. */
  RECURSE,
  /** Writes its answer for ever. */
  FLOOD,
  /** Writes its input to its log (standard error) and answers {@code logged}. */
  LOG,
  /** Adds one to a number in its memory, which begins at zero, and answers it in decimal digits. */
  COUNTER,
  /**
   * Answers 16 bytes that it has drawn from its system's source of random numbers while it was initialised: as early as its form allows, and not when it
   * is called, if there is anything before.
   */
  DRAWN,
  /** Answers the value of the environment variable that its input names; nothing when there is none. */
  ENV,
  /** Is refused when it is prepared, or at the latest when it is started. */
  BAD
}
