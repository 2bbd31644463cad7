package dev.instar.operations.deploy;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Properties;
import java.util.jar.Attributes;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import org.osgi.framework.Constants;
import org.osgi.framework.Version;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The jars from which features take their bundles: by what their manifests and, where Maven built them, their coordinates say. */
final class Catalogue {
  private static final Logger LOG = LoggerFactory.getLogger(Catalogue.class);

  /**
   * A jar.
   *
   * @param id {@code group:artifact:version}; of a jar without coordinates the symbolic name is group and artifact
   */
  record Item(Path file, String name, Version version, String id) {
    /** Whether a feature's entry means it: by its coordinates; or under any group by symbolic name and version, or as its file is named. */
    boolean is(String wanted) {
      String[] parts = wanted.split(":");
      return id.equals(wanted) || parts.length == 3
          && (parts[1].equals(name) && parts[2].equals(version.toString()) || file.endsWith(parts[1] + "-" + parts[2] + ".jar"));
    }
  }

  private final List<Item> items = new ArrayList<>();

  /** @param directories those that are not there are passed over */
  Catalogue(List<Path> directories) {
    for (Path directory : directories) {
      if (Files.isDirectory(directory)) {
        try (DirectoryStream<Path> jars = Files.newDirectoryStream(directory, "*.jar")) {
          for (Path jar : jars) {
            item(jar).ifPresent(items::add);
          }
        } catch (IOException e) {
          LOG.warn("{} can't be read, so no feature finds its bundles there", directory, e);
        }
      }
    }
  }

  private static Optional<Item> item(Path file) {
    try (JarFile jar = new JarFile(file.toFile(), false)) {
      Attributes manifest = jar.getManifest().getMainAttributes();
      String name = manifest.getValue(Constants.BUNDLE_SYMBOLICNAME).split(";", 2)[0].strip();
      Version version = Version.parseVersion(manifest.getValue(Constants.BUNDLE_VERSION));
      List<JarEntry> coordinates = jar.stream().filter(e -> e.getName().startsWith("META-INF/maven/") && e.getName().endsWith("/pom.properties")).toList();
      String id = name + ":" + name + ":" + version;
      // Several: a jar that holds others.
      if (coordinates.size() == 1) {
        Properties pom = new Properties();
        try (InputStream in = jar.getInputStream(coordinates.getFirst())) {
          pom.load(in);
        }
        id = pom.getProperty("groupId") + ":" + pom.getProperty("artifactId") + ":" + pom.getProperty("version");
      }
      return Optional.of(new Item(file, name, version, id));
    } catch (IOException | RuntimeException e) {
      LOG.warn("{} is no bundle that a feature could take: {}", file, e.toString());
      return Optional.empty();
    }
  }

  Optional<Item> find(String id) {
    return items.stream().filter(i -> i.is(id)).findFirst();
  }

  /** The bundle of this symbolic name. */
  Optional<Item> named(String name) {
    return items.stream().filter(i -> i.name().equals(name)).findFirst();
  }
}
