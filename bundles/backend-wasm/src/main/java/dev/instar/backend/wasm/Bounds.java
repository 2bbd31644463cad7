package dev.instar.backend.wasm;

/**
 * What a module may ask of the node before any of it runs.
 *
 * @param moduleBytes size of the module
 * @param codeBytes size of its code section
 * @param functions number of functions
 * @param functionBytes size of one function
 * @param tableElements elements of all tables together
 */
record Bounds(long moduleBytes, long codeBytes, int functions, int functionBytes, int tableElements) {
  static final int TYPES = 20_000;
  static final int IMPORTS = 1000;
  static final int TABLES = 100;
  static final int GLOBALS = 20_000;
  static final int EXPORTS = 20_000;
  static final int SEGMENTS = 100_000;
  static final int TAGS = 1000;
  /** Items of all element segments together; each becomes an object of some 200 bytes. */
  static final int ELEMENT_ITEMS = 200_000;
  /** Bytes of one name, as browsers have it. */
  static final int NAME = 100_000;
  static final int PARAMETERS = 1000;
  static final int LOCALS = 10_000;
  static final int ALL_LOCALS = 4_000_000;
  static final int DEPTH = 20_000;
  /**
   * Values that the compiler's copies of the operand stack hold at one time, and frames that the class writer makes (branches times locals):
   * one of each takes 4 to 8 bytes.
   */
  static final long HELD = 40_000_000;
  /**
   * Steps that the parser and the compiler take where they are not linear: block by block over the operand stack, over sibling blocks, and up
   * the nesting for a branch. About a nanosecond each.
   */
  static final long STEPS = 2_000_000_000L;
}
