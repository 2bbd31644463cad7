package dev.instar.launcher.node;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;

/** Which bundle starts when, read from {@code features/start-levels.rules}. */
public final class StartLevels {
  /** The level of a bundle that no rule names. */
  static final int USUAL = 4;

  private record Rule(Pattern name, int level) {}

  private final List<Rule> rules;

  private StartLevels(List<Rule> rules) {
    this.rules = rules;
  }

  /** @throws IOException when the file cannot be read or a line is not a name and a level */
  public static StartLevels read(Path file) throws IOException {
    List<Rule> rules = new ArrayList<>();
    for (String line : Files.readAllLines(file)) {
      if (line.isBlank() || line.startsWith("#")) {
        continue;
      }
      String[] words = line.strip().split("\\s+");
      if (words.length != 2 || !words[1].matches("[1-9][0-9]{0,2}")) {
        throw new IOException(file + ": '" + line + "' is not a symbolic name and a start level");
      }
      rules.add(new Rule(Pattern.compile(Pattern.quote(words[0]).replace("*", "\\E.*\\Q")), Integer.parseInt(words[1])));
    }
    return new StartLevels(rules);
  }

  /** The level at which a bundle starts. */
  public int of(String symbolicName) {
    return rules.stream().filter(r -> r.name.matcher(symbolicName).matches()).findFirst().map(Rule::level).orElse(USUAL);
  }

  /** The level at which all have started. */
  public int last() {
    return Math.max(USUAL, rules.stream().mapToInt(Rule::level).max().orElse(USUAL));
  }
}
