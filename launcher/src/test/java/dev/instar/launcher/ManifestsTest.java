package dev.instar.launcher;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.jar.Attributes;
import java.util.jar.JarFile;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** What the manifests of the shipped bundles say. */
class ManifestsTest {
  private static final Path DISTRIBUTION = Path.of("target/instar");
  private static final Map<String, Attributes> OURS = new TreeMap<>();
  private static final Map<String, Attributes> ALL = new TreeMap<>();

  @BeforeAll
  static void read() throws IOException {
    try (Stream<Path> jars = Files.list(DISTRIBUTION.resolve("bundles"))) {
      for (Path jar : jars.toList()) {
        try (JarFile file = new JarFile(jar.toFile())) {
          Attributes manifest = file.getManifest().getMainAttributes();
          String name = names(manifest.getValue("Bundle-SymbolicName")).iterator().next();
          ALL.put(name, manifest);
          if (name.startsWith("dev.instar.")) {
            OURS.put(name, manifest);
          }
        }
      }
    }
  }

  @Test
  void noBundleImportsAnotherOfOursButTheApi() {
    Map<String, String> exportedBy = new LinkedHashMap<>();
    OURS.forEach((name, manifest) -> {
      if (!name.startsWith("dev.instar.api.")) {
        names(manifest.getValue("Export-Package")).forEach(p -> exportedBy.put(p, name));
      }
    });
    List<String> wrong = new ArrayList<>();
    OURS.forEach((name, manifest) -> {
      for (String header : List.of("Import-Package", "DynamicImport-Package")) {
        for (String imported : names(manifest.getValue(header))) {
          String exporter = exportedBy.get(imported);
          if (exporter != null && !exporter.equals(name) || imported.startsWith("dev.instar.*") || imported.equals("*")) {
            wrong.add(name + " imports " + imported + (exporter == null ? "" : " of " + exporter));
          }
        }
      }
      names(manifest.getValue("Require-Bundle")).stream().filter(b -> b.startsWith("dev.instar.")).forEach(b -> wrong.add(name + " requires " + b));
      names(manifest.getValue("Fragment-Host")).stream().filter(b -> b.startsWith("dev.instar.")).forEach(b -> wrong.add(name + " is a fragment of " + b));
    });
    assertEquals(List.of(), wrong);
  }

  @Test
  void noBundleCarriesAnotherOnesPackages() {
    Map<String, String> exportedBy = new LinkedHashMap<>();
    OURS.forEach((name, manifest) -> names(manifest.getValue("Export-Package")).forEach(p -> {
      String other = exportedBy.put(p, name);
      assertTrue(other == null, () -> p + " is exported by " + other + " and by " + name);
    }));
    List<String> wrong = new ArrayList<>();
    OURS.forEach((name, manifest) -> names(manifest.getValue("Private-Package")).stream().filter(exportedBy::containsKey).forEach(p -> wrong.add(name + " carries " + p + " of " + exportedBy.get(p))));
    assertEquals(List.of(), wrong);
  }

  @Test
  void exportedPackagesHaveVersionsBelowOne() {
    List<String> wrong = new ArrayList<>();
    OURS.forEach((name, manifest) -> {
      String exports = manifest.getValue("Export-Package");
      if (exports != null) {
        for (String clause : exports.split(",(?=(?:[^\"]*\"[^\"]*\")*[^\"]*$)")) {
          if (clause.startsWith("dev.instar.") && !clause.matches(".*;version=\"?0\\..*")) {
            wrong.add(name + ": " + clause);
          }
        }
      }
    });
    assertEquals(List.of(), wrong);
  }

  @Test
  void everyBundleOfTheTreeIsShippedButThoseForTests() throws IOException {
    Set<String> folders = new HashSet<>();
    try (Stream<Path> bundles = Files.list(Path.of("../bundles"))) {
      for (Path bundle : bundles.filter(b -> Files.exists(b.resolve("pom.xml"))).toList()) {
        folders.add("dev.instar." + bundle.getFileName().toString().replace('-', '.'));
      }
    }
    assertTrue(folders.remove("dev.instar.bench"), "what loads a node from outside is not in it");
    assertTrue(folders.remove("dev.instar.tck") & folders.remove("dev.instar.itest"), "the bundles for tests have other names now");
    assertTrue(folders.remove("dev.instar.wasi"), "what backends carry has another name now");
    assertEquals(folders, OURS.keySet());
    ALL.keySet().forEach(name -> assertFalse(name.contains("junit") || name.contains("osgi.test") || name.contains("paxexam"), name));
  }

  @Test
  void theNodeIsWithoutTheBackendThatIsolatesNothing() throws IOException {
    List<String> node = Files.readAllLines(DISTRIBUTION.resolve("features/node.txt"));
    List<String> process = Files.readAllLines(DISTRIBUTION.resolve("features/process.txt"));
    assertTrue(node.stream().anyMatch(j -> j.startsWith("dev.instar.backend.wasm-")), node::toString);
    assertFalse(node.stream().anyMatch(j -> j.startsWith("dev.instar.backend.process-")), node::toString);
    assertTrue(process.stream().anyMatch(j -> j.startsWith("dev.instar.backend.process-")), process::toString);
    for (String jar : process) {
      assertTrue(Files.isRegularFile(DISTRIBUTION.resolve("bundles").resolve(jar)), jar);
    }
  }

  /** The names in a manifest header: of each clause the paths, without attributes and directives. */
  private static Set<String> names(String header) {
    Set<String> names = new LinkedHashSet<>();
    if (header != null) {
      for (String clause : header.replaceAll("\"[^\"]*\"", "").split(",")) {
        for (String part : clause.split(";")) {
          if (part.indexOf('=') < 0 && !part.isBlank()) {
            names.add(part.strip());
          }
        }
      }
    }
    return names;
  }
}
