package dev.instar.cgroups;

import java.io.IOException;

/** The kernel does not take the value of a limit. */
final class LimitRefused extends IOException {
  private static final long serialVersionUID = 1;
  private final String limit;

  LimitRefused(String limit, String value, IOException cause) {
    super("it does not take " + value + " (" + ControlFile.reason(cause) + ")", cause);
    this.limit = limit;
  }

  /** As functions name it. */
  String limit() {
    return limit;
  }
}
