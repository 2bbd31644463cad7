package dev.instar.operations;

import dev.instar.api.operations.ConfigurationProblem;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/** What is wrong with a file or an override. */
final class Refused extends Exception {
  private static final long serialVersionUID = 1;

  /** Control characters, those that turn the direction of text, halves of characters: a terminal or a log must not be garbled by what a file holds. */
  private static final Pattern UNSHOWABLE = Pattern.compile("[\\p{Cc}\\p{Cf}\\p{Cs}\\p{Zl}\\p{Zp}]");

  private final transient List<ConfigurationProblem> problems;

  Refused(String sentence) {
    this(List.of(problem(sentence)));
  }

  Refused(List<ConfigurationProblem> problems) {
    super(problems.stream().map(ConfigurationProblem::detail).collect(Collectors.joining(" ")));
    this.problems = List.copyOf(problems);
  }

  List<ConfigurationProblem> problems() {
    return problems;
  }

  static ConfigurationProblem problem(String sentence) {
    return new ConfigurationProblem(shown(sentence), Optional.empty(), Optional.empty(), Optional.empty());
  }

  static ConfigurationProblem problem(String sentence, String key, Optional<String> value, String allowed) {
    return new ConfigurationProblem(shown(sentence), Optional.of(shown(key)), value.map(Refused::shown), Optional.of(allowed));
  }

  private static String shown(String text) {
    return UNSHOWABLE.matcher(text).replaceAll("?");
  }
}
