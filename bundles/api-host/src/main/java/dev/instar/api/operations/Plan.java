package dev.instar.api.operations;

import java.util.List;

/**
 * What a change does.
 *
 * @param steps in their order
 * @param backends names of the isolation backends that are replaced, stopped or started anew
 * @param functions that these run, at most {@link #SHOWN_FUNCTIONS} of them: their calls wait, or move to another backend
 * @param functionCount how many there are
 * @param endsConnection whether the part that answers HTTP requests is among them, so that the answer to this one does not wait for the end of the change
 */
public record Plan(List<Step> steps, List<String> backends, List<String> functions, int functionCount, boolean endsConnection) {
  /** So many functions are named. */
  public static final int SHOWN_FUNCTIONS = 100;

  public Plan {
    steps = List.copyOf(steps);
    backends = List.copyOf(backends);
    functions = List.copyOf(functions);
  }

  /** What happens to a bundle. */
  public enum Action { INSTALL, UPDATE, REFRESH, START, STOP, UNINSTALL, KEEP }

  /**
   * What happens to one bundle.
   *
   * @param bundle its symbolic name
   * @param version after the step; of one that goes, the one that it has
   * @param reason why, where the change itself does not say it; else empty
   */
  public record Step(Action action, String bundle, String version, String reason) {}
}
