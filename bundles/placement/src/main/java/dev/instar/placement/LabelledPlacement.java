package dev.instar.placement;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Names;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.placement.PlacementPolicy;
import java.util.List;
import java.util.function.Predicate;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Modified;
import org.osgi.service.metatype.annotations.Designate;

/**
 * What the label {@code placement} of a function asks for, else what is configured: {@value #IN_ORDER}, the variant that its deployer prefers, or
 * {@value #IDLE_FIRST}, the one whose sandbox is there already. The latter is the choice for a function that has a form which starts fast and another which
 * computes fast.
 */
@Component(immediate = true, service = PlacementPolicy.class, configurationPid = LabelledPlacement.PID)
@Designate(ocd = PlacementConfig.class)
public final class LabelledPlacement implements PlacementPolicy {
  static final String PID = "dev.instar.placement";
  static final String LABEL = "placement";
  static final String IN_ORDER = "in-order";
  static final String IDLE_FIRST = "idle-first";

  private volatile String order;

  /** For Declarative Services. */
  @Activate
  public LabelledPlacement(PlacementConfig config) {
    order = config.order();
  }

  /** Holds for calls that are placed from now on. */
  @Modified
  void modified(PlacementConfig config) {
    order = config.order();
  }

  @Override
  public void check(FunctionVersion version) {
    String wanted = version.spec().labels().getOrDefault(LABEL, IN_ORDER);
    if (!wanted.equals(IN_ORDER) && !wanted.equals(IDLE_FIRST)) {
      throw new InstarException(ErrorCode.BAD_REQUEST, "The label " + LABEL + " is '" + Names.shown(wanted) + "'; give " + IN_ORDER + " or " + IDLE_FIRST + ".");
    }
  }

  @Override
  public int choose(FunctionVersion version, List<Candidate> candidates) {
    String wanted = version.spec().labels().getOrDefault(LABEL, order);
    boolean known = wanted.equals(IN_ORDER) || wanted.equals(IDLE_FIRST);
    if (!(known ? wanted : order).equals(IDLE_FIRST)) {
      return 0;
    }
    int idle = first(candidates, candidate -> candidate.idle() > 0);
    return Math.max(0, idle >= 0 ? idle : first(candidates, Candidate::prepared));
  }

  private static int first(List<Candidate> candidates, Predicate<Candidate> wanted) {
    for (int i = 0; i < candidates.size(); i++) {
      if (wanted.test(candidates.get(i))) {
        return i;
      }
    }
    return -1;
  }
}
