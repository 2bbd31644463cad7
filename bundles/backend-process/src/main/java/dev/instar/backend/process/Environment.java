package dev.instar.backend.process;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import java.nio.charset.Charset;
import java.nio.charset.CharsetEncoder;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;

/** The environment of a function's processes: its own variables over the few that a program needs to run; nothing else of the node's. */
record Environment(Map<String, String> own, String searchPath) {
  /** @throws InstarException MODULE_REFUSED when a variable cannot be handed to a process of this node */
  static Environment of(Map<String, String> own, String searchPath) {
    // The JDK hands over strings in this encoding and turns the rest into question marks (java.lang.ProcessEnvironment).
    return of(own, searchPath, Charset.forName(System.getProperty("sun.jnu.encoding", "UTF-8")));
  }

  static Environment of(Map<String, String> own, String searchPath, Charset charset) {
    CharsetEncoder encoder = charset.newEncoder();
    own.forEach((name, value) -> {
      if (!encoder.canEncode(name) || !encoder.canEncode(value)) {
        throw new InstarException(ErrorCode.MODULE_REFUSED, "The environment variable '" + name.replaceAll("[^ -~]", "?")
            + "' has characters that the node's locale (" + charset + ") cannot pass on; start the node with LC_ALL=C.UTF-8.");
      }
    });
    return new Environment(Map.copyOf(own), searchPath);
  }

  Map<String, String> in(Path workingDirectory, String mark) {
    Map<String, String> all = new HashMap<>(Map.of("PATH", searchPath, "HOME", workingDirectory.toString(), "TMPDIR", workingDirectory.toString(),
        "LANG", "C.UTF-8"));
    all.putAll(own);
    all.put(ProcessTree.MARK, mark);
    return all;
  }
}
