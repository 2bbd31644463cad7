package dev.instar.images;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import java.util.Map;

/** Makes the error for an archive that is not unpacked. */
final class Refusal {
  private Refusal() {}

  static InstarException archive(String detail) {
    return new InstarException(ErrorCode.ARCHIVE_REFUSED, "The archive " + detail + ".");
  }

  static InstarException entry(String name, String detail) {
    String shown = shown(name);
    return new InstarException(ErrorCode.ARCHIVE_REFUSED, "The archive's entry '" + shown + "' " + detail + ".", Map.of("entry", shown));
  }

  /** Printable ASCII only, shortened: a hostile name must not garble a terminal or a log. */
  static String shown(String name) {
    String safe = name.replaceAll("[^ -~]", "?");
    return safe.length() > 120 ? safe.substring(0, 120) + "..." : safe;
  }
}
