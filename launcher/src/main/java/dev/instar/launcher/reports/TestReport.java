package dev.instar.launcher.reports;

import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import javax.xml.stream.XMLInputFactory;
import javax.xml.stream.XMLStreamConstants;
import javax.xml.stream.XMLStreamException;
import javax.xml.stream.XMLStreamReader;

/**
 * Sums up the reports of a build's tests, and decides whether what was skipped is forgiven.
 *
 * <p>The script runs this file from its source ({@code java TestReport.java}), so that it also works when the build broke before anything was
 * packed. So it stays one file and uses nothing but the JDK.
 *
 * @param passed tests that ran and were content
 * @param failures tests whose assertion failed
 * @param errors tests that threw something else
 * @param skips those that did not run
 * @param broken names of the tests that failed or threw
 */
public record TestReport(int passed, int failures, int errors, List<Skip> skips, List<String> broken) {
  private static final Pattern WANTS = Pattern.compile("capability (\\S+) is missing: (.*?); remedy: (.*)", Pattern.DOTALL);

  public TestReport {
    skips = List.copyOf(skips);
    broken = List.copyOf(broken);
  }

  /**
   * A test that did not run.
   *
   * @param test its name
   * @param capability what the machine lacks; empty when the reason names no capability
   * @param reason why it was skipped
   * @param remedy what to do about it; empty when nothing is said
   */
  public record Skip(String test, Optional<String> capability, String reason, String remedy) {
    static Skip of(String test, String message) {
      Matcher wants = WANTS.matcher(message);
      return wants.find() ? new Skip(test, Optional.of(wants.group(1)), wants.group(2).strip(), wants.group(3).strip())
          : new Skip(test, Optional.empty(), message.isBlank() ? "no reason given" : message.strip(), "");
    }
  }

  /** {@code root host-capabilities exit-code-of-the-build}; with {@code CI=true} in the environment a skip must be forgiven by that file. */
  public static void main(String[] arguments) throws Exception {
    Path root = Path.of(arguments[0]);
    int build = Integer.parseInt(arguments[2]);
    System.exit(read(reports(root)).conclude(System.out, build, "true".equals(System.getenv("CI")), hostCapabilities(Path.of(arguments[1]))));
  }

  /** The report files of all modules below a folder. */
  static List<Path> reports(Path root) throws IOException {
    List<Path> found = new ArrayList<>();
    Files.walkFileTree(root, new SimpleFileVisitor<>() {
      @Override
      public FileVisitResult preVisitDirectory(Path directory, BasicFileAttributes attributes) {
        String name = directory.getFileName() == null ? "" : directory.getFileName().toString();
        boolean module = directory.getParent() == null || !directory.getParent().endsWith("target") || name.equals("surefire-reports") || name.equals("test-reports");
        return module && !name.equals("src") && !name.equals("node_modules") && !name.equals(".git") ? FileVisitResult.CONTINUE : FileVisitResult.SKIP_SUBTREE;
      }

      @Override
      public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) {
        String path = file.toString();
        if ((path.contains("/surefire-reports/") || path.contains("/test-reports/")) && file.getFileName().toString().matches("TEST-.*\\.xml")) {
          found.add(file);
        }
        return FileVisitResult.CONTINUE;
      }
    });
    found.sort(null);
    return found;
  }

  /** The names in a file of one a line; what follows a # is a comment. */
  static Set<String> hostCapabilities(Path file) throws IOException {
    return Files.readAllLines(file).stream().map(l -> l.replaceFirst("#.*", "").strip()).filter(l -> !l.isEmpty()).collect(Collectors.toCollection(TreeSet::new));
  }

  /** Reads what the test runner wrote, counting each test case once. */
  static TestReport read(Collection<Path> files) throws IOException {
    XMLInputFactory factory = XMLInputFactory.newFactory();
    factory.setProperty(XMLInputFactory.SUPPORT_DTD, false);
    int passed = 0;
    int failures = 0;
    int errors = 0;
    List<Skip> skips = new ArrayList<>();
    List<String> broken = new ArrayList<>();
    for (Path file : files) {
      try (var in = Files.newInputStream(file)) {
        XMLStreamReader xml = factory.createXMLStreamReader(in);
        String test = null;
        boolean failed = false;
        boolean threw = false;
        Skip skip = null;
        while (xml.hasNext()) {
          int event = xml.next();
          if (event == XMLStreamConstants.START_ELEMENT) {
            switch (xml.getLocalName()) {
              case "testcase" -> {
                test = text(xml, "classname") + "." + text(xml, "name");
                failed = false;
                threw = false;
                skip = null;
              }
              case "failure" -> failed = true;
              case "error" -> threw = true;
              case "skipped" -> {
                String message = text(xml, "message");
                skip = Skip.of(test, message.isEmpty() ? xml.getElementText() : message);
              }
              default -> { }
            }
          } else if (event == XMLStreamConstants.END_ELEMENT && xml.getLocalName().equals("testcase")) {
            if (threw || failed) {
              errors += threw ? 1 : 0;
              failures += threw ? 0 : 1;
              broken.add(test);
            } else if (skip != null) {
              skips.add(skip);
            } else {
              passed++;
            }
          }
        }
      } catch (XMLStreamException e) {
        // A test VM that died leaves half a file: that is a failure, whatever the half says.
        errors++;
        broken.add(file.getFileName() + " (the report is cut off: the test VM died)");
      }
    }
    return new TestReport(passed, failures, errors, skips, broken);
  }

  private static String text(XMLStreamReader xml, String attribute) {
    String value = xml.getAttributeValue(null, attribute);
    return value == null ? "" : value;
  }

  /** The number of test cases of all kinds. */
  public int run() {
    return passed + failures + errors + skips.size();
  }

  /**
   * Prints the conclusion: what broke, what was skipped and why, the totals, and in the last line the skips by kind.
   *
   * @param build what the build ended with
   * @param strict whether a skip has to be forgiven by {@code forgiven}
   * @return the exit code of the whole run
   */
  int conclude(PrintStream out, int build, boolean strict, Set<String> forgiven) {
    Map<String, List<Skip>> kinds = new TreeMap<>();
    for (Skip skip : skips) {
      kinds.computeIfAbsent(skip.capability().orElse(""), k -> new ArrayList<>()).add(skip);
    }
    out.println();
    broken.forEach(test -> out.println("Broken: " + test));
    kinds.forEach((capability, those) -> {
      if (capability.isEmpty()) {
        those.forEach(s -> out.println("Skipped, no capability named: " + s.test() + ": " + s.reason()));
      } else {
        out.println("Skipped for want of '" + capability + "', " + tests(those.size()) + ": " + those.getFirst().reason());
        out.println("  Remedy: " + those.getFirst().remedy());
      }
    });
    List<String> unforgiven = strict ? kinds.keySet().stream().filter(k -> !forgiven.contains(k)).toList() : List.of();
    unforgiven.forEach(k -> out.println("With CI=true this fails the run: " + (k.isEmpty() ? "a skip that names no capability" : "a skip for want of '" + k + "', which is not in cnf/host-capabilities")));
    boolean complete = build == 0 && run() > 0;
    if (build != 0) {
      out.println("The build ended with " + build + ": what comes after the first failure was not tested.");
    } else if (run() == 0) {
      out.println("No test has run.");
    }
    out.println("Tests run: " + run() + ", Failures: " + failures + ", Errors: " + errors + ", Skipped: " + skips.size());
    out.println("Skips: " + (kinds.isEmpty() ? "none" : kinds.entrySet().stream().map(e -> (e.getKey().isEmpty() ? "no capability named" : e.getKey()) + " " + e.getValue().size())
        .collect(Collectors.joining(", "))));
    return complete && failures == 0 && errors == 0 && unforgiven.isEmpty() ? 0 : 1;
  }

  private static String tests(int count) {
    return count == 1 ? "1 test" : count + " tests";
  }
}
