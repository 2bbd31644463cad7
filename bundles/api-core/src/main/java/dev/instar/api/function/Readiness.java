package dev.instar.api.function;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import java.util.Map;

/** What a function's labels say of sandboxes that are started before they are called. */
public final class Readiness {
  /** How many are kept, from the deployment on: a number. Without it, as many as calls of late have used up, for functions whose sandboxes take one call. */
  public static final String LABEL = "instar.ready";
  /** The most that the label may say. */
  public static final int MOST = 100;

  private Readiness() {}

  /** @throws InstarException BAD_REQUEST when the label is no number from 0 to {@link #MOST} */
  public static int least(Map<String, String> labels) {
    String value = labels.getOrDefault(LABEL, "0").strip();
    if (!value.matches("[0-9]{1,3}") || Integer.parseInt(value) > MOST) {
      throw new InstarException(ErrorCode.BAD_REQUEST, "The label " + LABEL + " is '" + (value.length() > 60 ? value.substring(0, 60) + "..." : value).replaceAll("[^ -~]", "?")
          + "'; give the number of sandboxes that are to be started before they are called, 0 to " + MOST + ".");
    }
    return Integer.parseInt(value);
  }
}
