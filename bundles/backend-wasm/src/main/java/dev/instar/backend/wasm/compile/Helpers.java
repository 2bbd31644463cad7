package dev.instar.backend.wasm.compile;

import java.util.LinkedHashMap;
import java.util.Map;

/** The class of helpers that goes with each module's code. The node makes it itself: it may do what generated code may not. */
final class Helpers {
  private static final byte[] CLASS = Translator.helpers();

  private Helpers() {}

  static Code added(Code code) {
    Map<String, byte[]> classes = new LinkedHashMap<>();
    classes.put(Translator.HELPERS, CLASS);
    classes.putAll(code.classes());
    return new Code(classes, code.interpreted());
  }
}
