package dev.instar.network;

import static org.junit.platform.engine.discovery.DiscoverySelectors.selectClass;

import java.io.File;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.DynamicTest;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.testkit.engine.EngineTestKit;
import org.junit.platform.testkit.engine.Event;
import org.junit.platform.testkit.engine.EventType;

/** Runs test classes in a JVM that has a network and a mount namespace of its own: all that they do to their host ends with that. */
final class OwnNetwork {
  /** Before what the JVM has to tell of each test. */
  private static final String MARK = "\u0001test ";

  private OwnNetwork() {}

  /** The command of a JVM with the classes of this one, in the namespaces of whoever starts it. */
  static List<String> java(String... arguments) {
    List<String> command = new ArrayList<>(List.of(System.getProperty("java.home") + File.separator + "bin" + File.separator + "java",
        "--enable-native-access=ALL-UNNAMED", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", System.getProperty("java.class.path")));
    command.addAll(List.of(arguments));
    return command;
  }

  /** A command in a network and a mount namespace of its own, and with a {@code /run} of its own: the files that namespaces are bound at are there. */
  static List<String> apart(List<String> command) {
    List<String> all = new ArrayList<>(List.of("unshare", "--net", "--mount", "--propagation", "private", "sh", "-c",
        "mount -t tmpfs tmpfs /run && mkdir /run/netns && exec \"$0\" \"$@\""));
    all.addAll(command);
    return all;
  }

  /** A test for each test of a class. */
  static Stream<DynamicTest> tests(Class<?> tests) throws Exception {
    Process process = new ProcessBuilder(apart(java(OwnNetwork.class.getName(), tests.getName()))).redirectErrorStream(true).start();
    process.getOutputStream().close();
    StringBuilder other = new StringBuilder();
    Map<String, String> results = new LinkedHashMap<>();
    String said;
    try {
      said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    } finally {
      process.destroyForcibly();
    }
    String name = "";
    for (String line : said.lines().toList()) {
      if (line.startsWith(MARK)) {
        name = line.substring(MARK.length());
        results.put(name, "");
      } else if (line.isEmpty() || line.charAt(0) != '\u0002') {
        other.append(line).append('\n');
      } else {
        results.merge(name, line.substring(1) + "\n", String::concat);
      }
    }
    int status = process.waitFor();
    List<DynamicTest> all = new ArrayList<>();
    results.forEach((test, failure) -> all.add(DynamicTest.dynamicTest(tests.getSimpleName() + " " + test, () -> {
      if (!failure.isEmpty()) {
        Assertions.fail(failure + "\nThe JVM of this test said:\n" + other);
      }
    })));
    all.add(DynamicTest.dynamicTest("the JVM ends as it should", () -> Assertions.assertTrue(status == 0 && !results.isEmpty(), () -> "status " + status + "\n" + other)));
    return all.stream();
  }

  /** @param args names of test classes */
  public static void main(String[] args) throws Exception {
    PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    EngineTestKit.Builder kit = EngineTestKit.engine("junit-jupiter");
    for (String name : args) {
      kit.selectors(selectClass(name));
    }
    for (Event event : kit.execute().allEvents().finished().list()) {
      TestExecutionResult result = event.getRequiredPayload(TestExecutionResult.class);
      if (event.getType() == EventType.FINISHED && (event.getTestDescriptor().isTest() || result.getThrowable().isPresent())) {
        out.println(MARK + event.getTestDescriptor().getDisplayName());
        result.getThrowable().ifPresent(failure -> {
          StringWriter text = new StringWriter();
          failure.printStackTrace(new PrintWriter(text));
          text.toString().lines().forEach(line -> out.println("\u0002" + line));
        });
      }
    }
    System.exit(0);
  }
}
