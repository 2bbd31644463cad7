package dev.instar.api.sandbox;

/** Whether this host can run a backend. */
public sealed interface Probe {
  /** @param detail what was found, e.g. the version of an engine */
  record Usable(String detail) implements Probe {}

  /**
   * @param what the one missing thing that would make it work
   * @param remedy what to do, as a command where there is one
   */
  record Missing(String what, String remedy) implements Probe {}
}
