package dev.instar.backend.container;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;

/** An interpreter of an image that runs a program of the node, which loads the function before it is called. */
enum Language {
  /** Forks for each call. */
  PYTHON("python", List.of("python3", "-B"), "python.py", true),
  /** Has threads from its start on, so it can't be forked: takes one call. */
  NODE("node", List.of("node"), "node.js", false);

  private final String label;
  private final List<String> interpreter;
  private final String program;
  private final boolean forks;

  Language(String label, List<String> interpreter, String program, boolean forks) {
    this.label = label;
    this.interpreter = interpreter;
    this.program = program;
    this.forks = forks;
  }

  /** @throws InstarException MODULE_REFUSED when there is none of that name */
  static Language of(String label) {
    return Arrays.stream(values()).filter(one -> one.label.equals(label)).findFirst().orElseThrow(() -> new InstarException(ErrorCode.MODULE_REFUSED, "The label '"
        + PreparedContainer.RUNTIME + "' is '" + (label.length() > 20 ? label.substring(0, 20) + "..." : label).replaceAll("[^ -~]", "?") + "'; give one of: "
        + Arrays.stream(values()).map(Language::label).collect(Collectors.joining(", ")) + "."));
  }

  String label() {
    return label;
  }

  /** Whether its calls leave nothing; else it takes one. */
  boolean forks() {
    return forks;
  }

  /** @param file of the function, in the image */
  List<String> command(String file) {
    List<String> command = new ArrayList<>(interpreter);
    command.add("/" + place());
    command.add(file);
    return command;
  }

  /** Where its program is in a container. */
  String place() {
    return ".instar/" + program;
  }

  /** Writes its program. */
  void write(Path file) throws IOException {
    try (InputStream in = Language.class.getResourceAsStream(program)) {
      Files.copy(in, file);
    }
  }
}
