package dev.instar.launcher;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.launcher.Shell.Result;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;
import org.w3c.dom.Element;
import javax.xml.parsers.DocumentBuilderFactory;

/** {@code docs/backend-guide.md} as an author of a backend follows it: its commands ({@code sh}) in their order, with what Maven has fetched for our own build. */
class BackendGuideIT {
  @RegisterExtension
  static final PaxNode NODE = new PaxNode();
  private static final Pattern BLOCK = Pattern.compile("^```sh\n(.*?)^```$", Pattern.DOTALL | Pattern.MULTILINE);
  private static final Pattern VERSIONED = Pattern.compile("<artifactId>([^<]+)</artifactId><version>([^<$]+)</version>");

  @TempDir
  Path home;

  @Test
  void theCommandsOfTheGuideMakeABackendThatRunsInTheNode() throws Exception {
    Path bin = Files.createDirectory(home.resolve("bin"));
    Files.createSymbolicLink(bin.resolve("instar"), Shell.COMMAND);
    Path maven = Files.writeString(bin.resolve("mvn"), "#!/bin/sh\nexec '" + System.getProperty("maven.home") + "/bin/mvn' -B -o -Dmaven.repo.local='"
        + System.getProperty("maven.repo.local") + "' \"$@\"\n");
    maven.toFile().setExecutable(true);
    try (Shell shell = new Shell(home, Map.of("PATH", bin + ":" + System.getenv("PATH"), "INSTAR_URL", NODE.url().toString()))) {
      List<String> blocks = new ArrayList<>();
      for (Matcher block = BLOCK.matcher(Files.readString(Path.of("../docs/backend-guide.md"))); block.find();) {
        blocks.add(block.group(1));
      }
      assertEquals(2, blocks.size(), "The guide has other steps than this test takes.");
      Path work = Files.createDirectory(home.resolve("work"));

      ok(bash(shell, work, blocks.getFirst()));
      Path project = work.resolve("my-backend");
      Path jar = project.resolve("target/org.example.backend.mybackend-0.1.0.jar");
      assertTrue(Files.isRegularFile(jar), "no bundle");
      Element suite = report(project);
      assertTrue(Integer.parseInt(suite.getAttribute("tests")) > 50, () -> suite.getAttribute("tests") + " tests");
      assertEquals("0", suite.getAttribute("skipped"));

      NODE.install(jar);
      List<String> commands = blocks.get(1).lines().toList();
      String backends = ok(bash(shell, project, commands.getFirst()));
      assertTrue(backends.lines().anyMatch(line -> line.startsWith("my-backend ")), backends);
      assertTrue(ok(bash(shell, project, String.join("\n", commands.subList(1, commands.size())))).endsWith("Hello, Instar!\n"));

      Map<String, String> before = content(project);
      Result again = bash(shell, work, "instar new backend my-backend");
      assertEquals(1, again.code());
      assertTrue(again.err().contains("is there already, and was left as it is"), again.err());
      assertEquals(before, content(project));
      try (Stream<Path> left = Files.list(work)) {
        assertEquals(List.of(project), left.toList());
      }
    }
  }

  private static Element report(Path project) throws Exception {
    try (Stream<Path> reports = Files.list(project.resolve("target/surefire-reports"))) {
      Path report = reports.filter(file -> file.toString().endsWith(".xml")).findFirst().orElseThrow();
      return DocumentBuilderFactory.newInstance().newDocumentBuilder().parse(report.toFile()).getDocumentElement();
    }
  }

  /** In one shell, to its first command that fails. */
  private static Result bash(Shell shell, Path directory, String commands) throws Exception {
    return shell.run(new byte[0], List.of("bash", "-ec", "cd '" + directory + "'\n" + commands));
  }

  private static String ok(Result result) {
    assertEquals(0, result.code(), () -> result.err() + result.out());
    return result.out();
  }

  private static Map<String, String> content(Path tree) throws IOException {
    Map<String, String> content = new TreeMap<>();
    try (Stream<Path> files = Files.walk(tree)) {
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        content.put(tree.relativize(file).toString(), Files.getLastModifiedTime(file) + " " + Files.size(file));
      }
    }
    return content;
  }

  /** The project is built with what we build with, which is what is known to work together. */
  @Test
  void itsVersionsAreOurs() throws Exception {
    String parent = Files.readString(Path.of("../cnf/pom.xml"));
    for (Matcher used = VERSIONED.matcher(Files.readString(Path.of("src/main/distribution/sdk/backend/pom.xml"))); used.find();) {
      String artifact = used.group(1);
      String version = used.group(2);
      String property = switch (artifact) {
        case "bnd-maven-plugin" -> "bnd.version";
        case "junit-jupiter" -> "junit.version";
        case "maven-surefire-plugin" -> "surefire.version";
        default -> "";
      };
      String ours = property.isEmpty() ? "<artifactId>" + artifact + "</artifactId><version>" + version + "</version>" : "<" + property + ">" + version + "</" + property + ">";
      // That of the project itself is its own.
      assertTrue(artifact.equals("_package_") || parent.contains(ours), () -> artifact + " " + version + " is not what cnf/pom.xml has");
    }
  }
}
