package dev.instar.api.network;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.function.FunctionName;
import java.util.Map;
import java.util.Objects;

/**
 * What a sandbox wants of its network.
 *
 * @param function whose sandbox it is
 * @param egress what may go out
 * @param bitsPerSecond the most in each direction; {@link #UNSHAPED} for no bound
 */
public record NetworkRequest(FunctionName function, EgressPolicy egress, long bitsPerSecond) {
  public static final long UNSHAPED = 0;
  /** Below, not even a handshake gets through in time. */
  public static final long SLOWEST = 8_000;
  public static final long FASTEST = 100_000_000_000L;
  /** The label of a function that gives its {@link EgressPolicy}. */
  public static final String EGRESS_LABEL = "instar.egress";
  /** The label of a function that gives its bits per second. */
  public static final String BANDWIDTH_LABEL = "instar.bandwidth";

  /** @throws InstarException BAD_REQUEST when the rate is out of its range */
  public NetworkRequest {
    Objects.requireNonNull(function);
    Objects.requireNonNull(egress);
    if (bitsPerSecond != UNSHAPED && (bitsPerSecond < SLOWEST || bitsPerSecond > FASTEST)) {
      throw new InstarException(ErrorCode.BAD_REQUEST, "The bandwidth is " + bitsPerSecond + " bits/s; give " + SLOWEST + " to " + FASTEST + ".");
    }
  }

  /**
   * As the labels of a function say; without any, {@link EgressPolicy#INTERNET} and unshaped.
   *
   * @throws InstarException BAD_REQUEST, naming the label
   */
  public static NetworkRequest of(FunctionName function, Map<String, String> labels) {
    String rate = labels.getOrDefault(BANDWIDTH_LABEL, "");
    try {
      return new NetworkRequest(function, labels.containsKey(EGRESS_LABEL) ? egress(labels.get(EGRESS_LABEL)) : EgressPolicy.INTERNET,
          rate.isEmpty() ? UNSHAPED : Long.parseLong(rate));
    } catch (NumberFormatException e) {
      String shown = rate.length() > 60 ? rate.substring(0, 60) + "..." : rate;
      throw new InstarException(ErrorCode.BAD_REQUEST,
          "The label " + BANDWIDTH_LABEL + " is '" + shown.replaceAll("[^ -~]", "?") + "'; give bits per second as a number, " + SLOWEST + " to " + FASTEST + ".");
    }
  }

  private static EgressPolicy egress(String text) {
    try {
      return EgressPolicy.parse(text);
    } catch (InstarException e) {
      throw new InstarException(e.code(), "The label " + EGRESS_LABEL + ": " + e.problem().detail(), e.problem().members());
    }
  }
}
