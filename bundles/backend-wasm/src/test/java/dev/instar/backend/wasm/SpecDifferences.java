package dev.instar.backend.wasm;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** The list of what is known not to come out as the specification says. */
final class SpecDifferences {
  private record Difference(boolean always) {}

  private final Map<String, Difference> known = new LinkedHashMap<>();

  static SpecDifferences read(Path file) throws IOException {
    var differences = new SpecDifferences();
    for (String line : Files.readAllLines(file)) {
      if (line.isBlank() || line.startsWith("#")) {
        continue;
      }
      String[] parts = line.split(" ", 3);
      if (parts.length < 3 || !parts[1].equals("always") && !parts[1].equals("sometimes")) {
        throw new AssertionError("not a file and line, 'always' or 'sometimes', and a reason: " + line);
      }
      if (differences.known.put(parts[0], new Difference(parts[1].equals("always"))) != null) {
        throw new AssertionError("listed twice: " + parts[0]);
      }
    }
    return differences;
  }

  /** Entries of files that are not there, or of what a file does not have. */
  List<String> strangers(List<SpecScript> scripts) {
    List<String> strangers = new ArrayList<>(known.keySet());
    scripts.forEach(script -> script.commands().forEach(command -> keys(script, command).forEach(strangers::remove)));
    return strangers;
  }

  /** What failed and is not listed, and what is listed and did not fail. */
  List<String> unexpected(SpecScript script, Map<Integer, String> failures) {
    List<String> unexpected = new ArrayList<>();
    Map<Integer, String> left = new LinkedHashMap<>(failures);
    for (SpecScript.Command command : script.commands()) {
      Optional<Difference> listed = keys(script, command).stream().filter(known::containsKey).findFirst().map(known::get);
      String failure = left.remove(command.line());
      if (failure != null && listed.isEmpty()) {
        unexpected.add(script.name() + ":" + command.line() + " " + failure);
      } else if (failure == null && listed.isPresent() && listed.get().always) {
        unexpected.add(script.name() + ":" + command.line() + " is listed as a known difference, but comes out right");
      }
    }
    left.forEach((line, failure) -> unexpected.add(script.name() + ":" + line + " " + failure));
    return unexpected;
  }

  private static List<String> keys(SpecScript script, SpecScript.Command command) {
    String line = script.name() + ":" + command.line();
    return switch (command) {
      case SpecScript.Returns r -> List.of(line, script.name() + ":" + r.action().field());
      case SpecScript.Traps t -> List.of(line, script.name() + ":" + t.action().field());
      default -> List.of(line);
    };
  }
}
