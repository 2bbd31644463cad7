package dev.instar.launcher;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.ErrorCode;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.jar.JarFile;
import java.util.stream.Stream;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.Test;
import org.w3c.dom.Element;
import org.w3c.dom.NodeList;

/** The operations guide is true: each configuration key of each shipped bundle stands in it with its default and range, and each error code. */
class OperationsGuideTest {
  private static final Path GUIDE = Path.of("../docs/operations.md");

  /** The section that the guide must have, by PID, as the bundles' Metatype tells it. */
  private static Map<String, String> sections() throws Exception {
    Map<String, String> sections = new TreeMap<>();
    try (Stream<Path> jars = Files.list(Path.of("target/instar/bundles"))) {
      for (Path jar : jars.filter(j -> j.getFileName().toString().startsWith("dev.instar.")).toList()) {
        try (JarFile file = new JarFile(jar.toFile())) {
          for (var entry : file.stream().filter(e -> e.getName().matches("OSGI-INF/metatype/.*\\.xml")).toList()) {
            try (InputStream xml = file.getInputStream(entry)) {
              Element root = DocumentBuilderFactory.newInstance().newDocumentBuilder().parse(xml).getDocumentElement();
              for (Element designate : elements(root, "Designate")) {
                boolean factory = designate.hasAttribute("factoryPid");
                String pid = designate.getAttribute(factory ? "factoryPid" : "pid");
                sections.put(pid, section(pid, factory, elements(root, "OCD").getFirst()));
              }
            }
          }
        }
      }
    }
    return sections;
  }

  private static String section(String pid, boolean factory, Element definition) {
    StringBuilder text = new StringBuilder("### `" + pid + "`");
    if (factory) {
      text.append(" (file `").append(pid).append("~<name>.cfg.json`)");
    }
    text.append('\n').append(definition.getAttribute("description")).append("\n\n| Key | Default | Range | |\n|---|---|---|---|\n");
    for (Element key : elements(definition, "AD")) {
      String range = key.hasAttribute("min") || key.hasAttribute("max") ? key.getAttribute("min") + " to " + key.getAttribute("max") : "";
      text.append("| `").append(key.getAttribute("id")).append("` | ").append(key.getAttribute("default").replace("\\,", ",")).append(" | ").append(range).append(" | ")
          .append(key.getAttribute("description")).append(" |\n");
    }
    return text.toString();
  }

  private static List<Element> elements(Element parent, String name) {
    NodeList found = parent.getElementsByTagName(name);
    List<Element> elements = new ArrayList<>();
    for (int i = 0; i < found.getLength(); i++) {
      elements.add((Element) found.item(i));
    }
    return elements;
  }

  @Test
  void namesEachConfigurationKeyWithItsDefaultAndRange() throws Exception {
    String guide = Files.readString(GUIDE);
    Map<String, String> sections = sections();
    assertFalse(sections.isEmpty());
    sections.forEach((pid, section) -> assertTrue(guide.contains(section), () -> "docs/operations.md does not have this section:\n" + section));
    long documented = guide.lines().filter(line -> line.startsWith("### `dev.instar.")).count();
    assertEquals(sections.size(), documented, "The guide describes a PID that no bundle has.");
  }

  @Test
  void namesEachErrorCodeThatACallerCanSee() throws Exception {
    String guide = Files.readString(GUIDE);
    for (ErrorCode code : ErrorCode.values()) {
      if (code != ErrorCode.CALLER_GONE) {
        assertTrue(guide.contains("`" + code.code() + "`"), () -> code.code() + " is missing in docs/operations.md");
        assertTrue(guide.contains("| " + code.status() + " |"), () -> "The status " + code.status() + " is missing in docs/operations.md");
      }
    }
  }
}
