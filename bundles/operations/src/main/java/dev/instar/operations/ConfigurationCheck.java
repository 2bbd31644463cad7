package dev.instar.operations;

import dev.instar.api.operations.ConfigurationProblem;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import java.util.stream.Stream;

/** Checks configuration files as a node would, without one. */
public final class ConfigurationCheck {
  /**
   * What is to be said of one file.
   *
   * @param problems why a node would refuse it, each a sentence
   * @param notes what only the node can tell: values that come from its environment
   */
  public record Result(String file, List<String> problems, List<String> notes) {}

  private final Map<String, Schema> schemas = new HashMap<>();
  private final Optional<Path> secrets;

  /**
   * Reads what the bundles declare.
   *
   * @param bundles jars
   * @param secrets the directory with a file for each secret, where it can be read
   */
  public ConfigurationCheck(List<Path> bundles, Optional<Path> secrets) throws IOException {
    this.secrets = secrets;
    for (Path bundle : bundles) {
      try (JarFile jar = new JarFile(bundle.toFile())) {
        for (JarEntry entry : jar.stream().filter(e -> e.getName().matches("OSGI-INF/metatype/[^/]+[.]xml")).toList()) {
          try (InputStream in = jar.getInputStream(entry)) {
            Schema.read(in).forEach(schema -> schemas.put(schema.pid(), schema));
          }
        }
      }
    }
  }

  /** Checks a file, or all configuration files of a directory. */
  public List<Result> check(Path path) throws IOException {
    if (!Files.isDirectory(path)) {
      return List.of(one(path));
    }
    List<Result> results = new ArrayList<>();
    Map<String, Set<String>> names = new TreeMap<>();
    try (Stream<Path> files = Files.list(path)) {
      for (Path file : files.filter(ConfigurationFile::is).sorted().toList()) {
        results.add(one(file));
        names.computeIfAbsent(ConfigurationFile.of(file.getFileName().toString(), new byte[0]).fullPid(), pid -> new TreeSet<>()).add(file.getFileName().toString());
      }
    }
    names.forEach((pid, of) -> {
      if (of.size() > 1) {
        results.add(new Result(String.join(", ", of), List.of(ConfigurationFiles.both(pid, of)), List.of()));
      }
    });
    return results;
  }

  private Result one(Path path) {
    String name = path.getFileName().toString();
    if (!ConfigurationFile.is(path)) {
      return new Result(name, List.of("The file " + name + " is no configuration file: its name is not PID.cfg.json, PID.cfg, PID~NAME.cfg.json or PID~NAME.cfg."), List.of());
    }
    ConfigurationFile file = ConfigurationFile.read(path);
    Schema schema = schemas.get(file.pid());
    List<String> notes = new ArrayList<>();
    try {
      if (schema == null) {
        return new Result(name, List.of("No bundle of this distribution takes " + file.pid()
            + Schema.nearest(file.pid(), schemas.keySet()).map(n -> "; did you mean " + n + "?").orElse("; a node that has one can tell: instar config diff " + name + ".")), List.of());
      }
      file.read(schema, new Interpolation(variable -> Optional.ofNullable(System.getenv(variable)), property -> Optional.empty(), secrets), Optional.of(notes));
      return new Result(name, List.of(), notes);
    } catch (Refused e) {
      return new Result(name, e.problems().stream().map(ConfigurationProblem::detail).toList(), notes);
    }
  }
}
