package dev.instar.operations.deploy;

import dev.instar.api.InstarException;
import java.io.IOException;
import java.net.URI;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import org.osgi.framework.Bundle;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The folder that the node was started from, {@code instar.home}: its bundles, and the features that it was built with. */
final class Distribution {
  private static final Logger LOG = LoggerFactory.getLogger(Distribution.class);
  private static final String REFERENCE = "reference:";
  private final Optional<Path> home;
  private final Path deployed;

  /** @param deployed jars that were deployed, from which features take bundles, too */
  Distribution(Optional<Path> home, Path deployed) {
    this.home = home;
    this.deployed = deployed;
  }

  Catalogue catalogue() {
    return new Catalogue(home.isPresent() ? List.of(home.get().resolve("bundles"), deployed) : List.of(deployed));
  }

  /** A jar of it by its file's name. */
  Path jar(String file) {
    return home.map(h -> h.resolve("bundles").resolve(Path.of(file).getFileName())).orElse(Path.of(file));
  }

  /** The name of the distribution's jar that a bundle was installed from. */
  Optional<String> jarOf(Bundle bundle) {
    return file(bundle).filter(f -> home.isPresent() && f.startsWith(home.get().resolve("bundles"))).map(f -> f.getFileName().toString());
  }

  /** The file that a bundle was installed from by reference. */
  static Optional<Path> file(Bundle bundle) {
    String location = bundle.getLocation();
    try {
      return location.startsWith(REFERENCE) ? Optional.of(Path.of(URI.create(location.substring(REFERENCE.length())))) : Optional.empty();
    } catch (IllegalArgumentException e) {
      return Optional.empty();
    }
  }

  Optional<FeatureFile> feature(String name) {
    return features().stream().filter(f -> f.name().equals(name)).findFirst();
  }

  List<FeatureFile> features() {
    List<FeatureFile> found = new ArrayList<>();
    Path directory = home.map(h -> h.resolve("features")).orElse(deployed);
    if (Files.isDirectory(directory)) {
      try (DirectoryStream<Path> files = Files.newDirectoryStream(directory, "*.json")) {
        for (Path file : files) {
          found.add(FeatureFile.read(Files.readAllBytes(file)));
        }
      } catch (IOException | InstarException e) {
        LOG.error("A feature of the distribution in {} can't be read", directory, e);
      }
    }
    found.sort(Comparator.comparing(FeatureFile::name));
    return found;
  }
}
