package dev.instar.wasi.guest;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import java.util.Map;

/** Says no to a module. */
public final class Refusal {
  private Refusal() {}

  /** @param section the section's name in the WebAssembly specification, or {@code module} */
  public static InstarException of(String section, String detail) {
    String where = section.equals("module") ? "" : section + " section: ";
    return new InstarException(ErrorCode.MODULE_REFUSED, where + detail, Map.of("section", section));
  }

  /** A name that a module gave, fit to be shown. */
  public static String shown(String name) {
    String safe = name.replaceAll("[^ -~]", "?");
    return safe.length() > 80 ? safe.substring(0, 80) + "..." : safe;
  }
}
