package dev.instar.backend.wasm.compile;

/** A module is not valid, or cannot be translated. */
public final class Malformed extends Exception {
  private static final long serialVersionUID = 1;
  private final String section;

  /**
   * @param section the section's name in the WebAssembly specification, or {@code module}
   * @param detail may hold what the module says of itself, unescaped
   */
  public Malformed(String section, String detail) {
    super(detail, null, false, false);
    this.section = section;
  }

  /** The section's name in the WebAssembly specification, or {@code module}. */
  public String section() {
    return section;
  }
}
