package dev.instar.logs;

import dev.instar.api.log.FunctionLogs;

/**
 * An entry in its place among the others.
 *
 * @param run which life of this component took it
 * @param sequence counts up within a run; tells which entries of a file are also in memory
 * @param entry what users see
 */
record Stamped(String run, long sequence, FunctionLogs.Entry entry) {
  /** What it takes in memory and, roughly, on disk. */
  int cost() {
    return 96 + 2 * entry.text().length();
  }
}
