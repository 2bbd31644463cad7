package dev.instar.api.operations;

import dev.instar.api.Problem;
import java.time.Duration;
import java.util.List;
import java.util.Optional;

/**
 * A change that is being made or was made.
 *
 * @param id for {@link Deployer#find}
 * @param what the change, for people
 * @param problem why it did not come to be; what was there before is there again, but for what the detail says
 * @param notes what whoever asked should know
 * @param took until now, or to its end
 */
public record Deployment(String id, String what, Plan plan, State state, Optional<Problem> problem, List<String> notes, Duration took) {
  /** How far it is. */
  public enum State { RUNNING, DONE, ROLLED_BACK }

  public Deployment {
    notes = List.copyOf(notes);
  }
}
