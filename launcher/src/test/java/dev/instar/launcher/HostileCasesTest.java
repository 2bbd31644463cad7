package dev.instar.launcher;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** The table of hostile cases is true: each case has one row, and each test that a row names is there. */
class HostileCasesTest {
  private static final Pattern ROW = Pattern.compile("^\\| (\\d+) \\|.*\\| ([^|]*) \\|$", Pattern.MULTILINE);
  private static final Pattern TEST = Pattern.compile("`(\\w+)#(\\w+)`");

  @Test
  void eachCaseNamesTestsThatExist() throws Exception {
    Map<String, String> sources = sources();
    List<Integer> numbers = new ArrayList<>();
    Matcher row = ROW.matcher(Files.readString(Path.of("../docs/hostile-cases.md")));
    while (row.find()) {
      numbers.add(Integer.parseInt(row.group(1)));
      String shown = row.group(2);
      Matcher test = TEST.matcher(shown);
      boolean named = false;
      while (test.find()) {
        named = true;
        String source = sources.get(test.group(1));
        assertTrue(source != null, () -> row.group(1) + ": there is no " + test.group(1));
        assertTrue(isTest(source, test.group(2)), () -> row.group(1) + ": " + test.group(1) + " has no test " + test.group(2));
      }
      assertEquals(named, !shown.startsWith("not yet"), () -> row.group(1) + " must name a test, or say that there is none yet");
    }
    assertEquals(IntStream.rangeClosed(1, 50).boxed().toList(), numbers);
    assertFalse(sources.isEmpty());
  }

  @Test
  void theGuideNamesTestsThatExist() throws Exception {
    Map<String, String> sources = sources();
    Matcher test = TEST.matcher(Files.readString(Path.of("../docs/operations.md")));
    int named = 0;
    while (test.find()) {
      named++;
      assertTrue(sources.containsKey(test.group(1)) && isTest(sources.get(test.group(1)), test.group(2)), () -> test.group(1) + "#" + test.group(2));
    }
    assertTrue(named > 0);
  }

  private static Map<String, String> sources() throws Exception {
    Map<String, String> sources = new HashMap<>();
    for (String root : List.of("../bundles", "src/test")) {
      try (Stream<Path> files = Files.walk(Path.of(root))) {
        for (Path file : files.filter(f -> f.toString().endsWith(".java") && f.toString().matches("(.*/)?src/.*")).toList()) {
          sources.merge(file.getFileName().toString().replace(".java", ""), Files.readString(file), String::concat);
        }
      }
    }
    return sources;
  }

  /** Whether a method of that name is there, and between it and the blank line above it an annotation of Jupiter's that makes it a test. */
  private static boolean isTest(String source, String name) {
    boolean annotated = false;
    for (String line : source.lines().toList()) {
      if (line.isBlank()) {
        annotated = false;
      } else if (line.matches("\\s+@(Test|ParameterizedTest|TestFactory)\\b.*")) {
        annotated = true;
      } else if (annotated && line.contains(" " + name + "(")) {
        return true;
      }
    }
    return false;
  }
}
