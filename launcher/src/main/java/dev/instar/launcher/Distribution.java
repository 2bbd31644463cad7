package dev.instar.launcher;

import java.io.IOException;
import java.io.Reader;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Properties;
import java.util.Set;
import java.util.stream.Stream;

/**
 * The folder that the node runs from, as {@code launcher/pom.xml} makes it.
 *
 * <pre>
 *   bin/instar  lib/*.jar  bundles/*.jar  features/&lt;name&gt;.txt  config/  examples/
 * </pre>
 *
 * @param home the folder, absolute
 * @param source the source tree that it was built in, when it runs from one
 */
public record Distribution(Path home, Optional<Path> source) {
  /** The feature that every node has. */
  public static final String NODE = "node";

  /** As the script says ({@code instar.home}, {@code instar.source}), else from the place of this class's jar in {@code lib}. */
  public static Distribution locate() throws Failure {
    String named = System.getProperty("instar.home");
    Path home;
    try {
      home = named != null ? Path.of(named) : Path.of(Distribution.class.getProtectionDomain().getCodeSource().getLocation().toURI()).getParent().getParent();
    } catch (java.net.URISyntaxException e) {
      throw new Failure(ExitCode.FAILED, "The folder of Instar cannot be found; start it with its script bin/instar.", e);
    }
    return new Distribution(home.toAbsolutePath().normalize(), Optional.ofNullable(System.getProperty("instar.source")).map(s -> Path.of(s).toAbsolutePath().normalize()));
  }

  /** The version that was built. */
  public static String version() {
    Properties built = new Properties();
    try (var in = Distribution.class.getResourceAsStream("build.properties")) {
      built.load(in);
      return built.getProperty("version");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  public Path examples() {
    return home.resolve("examples");
  }

  /** The configuration that a node starts with: the source tree's own in a source tree, so that an edit there counts at once. */
  public Path config() {
    return source.map(s -> s.resolve("config")).orElse(home.resolve("config"));
  }

  /** Where a node keeps what it keeps unless told otherwise. */
  public Path defaultData() {
    if (source.isPresent()) {
      return source.get().resolve("data");
    }
    String share = System.getenv("XDG_DATA_HOME");
    return (share == null || !Path.of(share).isAbsolute() ? Path.of(System.getProperty("user.home"), ".local", "share") : Path.of(share)).resolve("instar");
  }

  /** The features that can be switched on, sorted. */
  public List<String> features() throws Failure {
    try (Stream<Path> files = Files.list(home.resolve("features"))) {
      return files.map(f -> f.getFileName().toString()).filter(n -> n.endsWith(".txt")).map(n -> n.substring(0, n.length() - ".txt".length())).sorted().toList();
    } catch (IOException e) {
      throw incomplete(e);
    }
  }

  /** The bundles of {@link #NODE} and of these features, each once. */
  public List<Path> bundles(Set<String> features) throws Failure {
    Set<String> wanted = new LinkedHashSet<>(List.of(NODE));
    wanted.addAll(features);
    Set<Path> bundles = new LinkedHashSet<>();
    for (String feature : wanted) {
      Path list = home.resolve("features").resolve(feature + ".txt");
      if (!features().contains(feature)) {
        throw new Failure(ExitCode.FAILED, "There is no feature '" + feature + "'; this distribution has: " + String.join(", ", features()) + ".");
      }
      try {
        for (String line : Files.readAllLines(list)) {
          if (!line.isBlank()) {
            bundles.add(home.resolve("bundles").resolve(line.strip()));
          }
        }
      } catch (IOException e) {
        throw incomplete(e);
      }
    }
    return new ArrayList<>(bundles);
  }

  /** What whoever switches a feature on should know: {@code features/<name>.note}. */
  public Optional<String> note(String feature) throws Failure {
    Path note = home.resolve("features").resolve(feature + ".note");
    try {
      return Files.exists(note) ? Optional.of(Files.readString(note).strip()) : Optional.empty();
    } catch (IOException e) {
      throw incomplete(e);
    }
  }

  /** The properties of the framework, with the places put in. */
  public Properties frameworkProperties(Path data, Path config) throws Failure {
    Properties text = new Properties();
    try (Reader reader = Files.newBufferedReader(home.resolve("features/framework.properties"))) {
      text.load(reader);
    } catch (IOException e) {
      throw incomplete(e);
    }
    text.replaceAll((k, v) -> ((String) v).replace("${instar.home}", home.toString()).replace("${instar.data}", data.toString()).replace("${instar.config}", config.toString()));
    return text;
  }

  private Failure incomplete(IOException e) {
    return new Failure(ExitCode.FAILED, "The distribution in " + home + " is not complete: " + e.getMessage() + ". Unpack or build it again.", e);
  }
}
