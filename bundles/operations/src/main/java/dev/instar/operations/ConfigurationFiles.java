package dev.instar.operations;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Dictionary;
import java.util.HashSet;
import java.util.Hashtable;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.apache.felix.fileinstall.ArtifactInstaller;
import org.osgi.framework.Bundle;
import org.osgi.framework.BundleContext;
import org.osgi.framework.BundleEvent;
import org.osgi.framework.InvalidSyntaxException;
import org.osgi.framework.SynchronousBundleListener;
import org.osgi.service.cm.Configuration;
import org.osgi.service.cm.ConfigurationAdmin;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Deactivate;
import org.osgi.service.component.annotations.Reference;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Gives the node its configuration: for each PID the defaults of its bundle, then what its file says, then the overrides that the node
 * was started with ({@code instar.override.<pid>/<key>}).
 *
 * <p>All files are applied before this component is active, so that bundles of a later start level begin with their configuration. After
 * that Felix File Install watches the directory and tells of files that come, change and go. A file that does not fit what the
 * bundle declares is refused whole, with an error for each thing that is wrong; the configuration before it stays (at the start: the
 * defaults and the overrides). Every PID of ours that is no factory always has a configuration, if only an empty one, so that deleting a
 * file is the same as never having had it. What ConfigAdmin remembers of an earlier run counts for nothing.
 */
@Component(immediate = true, service = {ArtifactInstaller.class, ConfigurationFiles.class})
public final class ConfigurationFiles implements ArtifactInstaller, SynchronousBundleListener {
  private static final Logger LOG = LoggerFactory.getLogger(ConfigurationFiles.class);
  private static final String OURS = "dev.instar.";
  private static final String METATYPE = "OSGI-INF/metatype";

  /**
   * A file that is not in force as it stands.
   *
   * @param file its name
   * @param problems what is wrong with it, each a sentence
   */
  record Refusal(String file, List<String> problems) {}

  private final BundleContext context;
  private final ConfigurationAdmin admin;
  private final Map<Long, List<Schema>> schemas = new TreeMap<>();
  private final Map<String, ConfigurationFile> files = new TreeMap<>();
  private final Map<String, Refusal> refusals = new TreeMap<>();
  private final Map<String, String> waiting = new TreeMap<>();
  private final Set<String> configured = new HashSet<>();
  // Whose file has been in force, so that there is a configuration before a wrong one.
  private final Set<String> accepted = new HashSet<>();

  /** Applies what is there. */
  @Activate
  public ConfigurationFiles(BundleContext context, @Reference ConfigurationAdmin admin) {
    this.context = context;
    this.admin = admin;
    synchronized (this) {
      // First, so that no bundle comes between.
      context.addBundleListener(this);
      for (Bundle bundle : context.getBundles()) {
        schemas.put(bundle.getBundleId(), read(bundle));
      }
      String directory = context.getProperty("instar.config");
      if (directory != null) {
        for (Path path : list(Path.of(directory))) {
          ConfigurationFile file = ConfigurationFile.of(path);
          files.put(file.fullPid(), file);
        }
      }
      forgetEarlierRuns();
      schemas.values().forEach(of -> of.stream().filter(s -> !s.factory()).forEach(s -> apply(s.pid())));
      files.keySet().stream().filter(pid -> !configured.contains(pid)).toList().forEach(this::apply);
    }
  }

  @Deactivate
  void close() {
    context.removeBundleListener(this);
  }

  /** What is not in force. */
  synchronized List<Refusal> refusals() {
    return List.copyOf(refusals.values());
  }

  /** What no bundle takes yet, each a sentence that names the file. */
  synchronized List<String> waiting() {
    return List.copyOf(waiting.values());
  }

  @Override
  public boolean canHandle(File file) {
    return ConfigurationFile.is(file.toPath());
  }

  @Override
  public synchronized void install(File path) {
    ConfigurationFile file = ConfigurationFile.of(path.toPath());
    files.put(file.fullPid(), file);
    apply(file.fullPid());
  }

  @Override
  public void update(File path) {
    install(path);
  }

  @Override
  public synchronized void uninstall(File path) {
    String pid = ConfigurationFile.of(path.toPath()).fullPid();
    files.remove(pid);
    refusals.remove(pid);
    waiting.remove(pid);
    accepted.remove(pid);
    apply(pid);
    LOG.info(schema(pid).isPresent() ? "{} is gone; its defaults hold" : "{} is gone", path.getName());
  }

  /** A bundle's configuration is there before the bundle starts. */
  @Override
  public synchronized void bundleChanged(BundleEvent event) {
    long id = event.getBundle().getBundleId();
    switch (event.getType()) {
      case BundleEvent.INSTALLED, BundleEvent.UPDATED -> {
        List<Schema> of = read(event.getBundle());
        schemas.put(id, of);
        for (Schema schema : of) {
          if (!schema.factory()) {
            apply(schema.pid());
          }
          files.values().stream().filter(f -> f.pid().equals(schema.pid()) && f.name().isPresent()).map(ConfigurationFile::fullPid).toList()
              .forEach(this::apply);
        }
      }
      case BundleEvent.UNINSTALLED -> schemas.remove(id);
      default -> { }
    }
  }

  private Optional<Schema> schema(String pid) {
    return schemas.values().stream().flatMap(List::stream).filter(s -> s.pid().equals(pid)).findFirst();
  }

  private static List<Schema> read(Bundle bundle) {
    List<Schema> found = new ArrayList<>();
    // Not findEntries, which would resolve the bundle.
    for (String path : Collections.list(Optional.ofNullable(bundle.getEntryPaths(METATYPE)).orElse(Collections.emptyEnumeration()))) {
      URL url = bundle.getEntry(path);
      if (!path.endsWith(".xml") || url == null) {
        continue;
      }
      try (InputStream in = url.openStream()) {
        found.addAll(Schema.read(in));
      } catch (IOException | RuntimeException e) {
        LOG.error("{} of {} can't be read, so its configuration is not checked", path, bundle.getSymbolicName(), e);
      }
    }
    return found;
  }

  private static List<Path> list(Path directory) {
    if (!Files.isDirectory(directory)) {
      LOG.info("There is no directory {}: the node runs with its defaults", directory);
      return List.of();
    }
    try (Stream<Path> entries = Files.list(directory)) {
      return entries.filter(ConfigurationFile::is).sorted().toList();
    } catch (IOException e) {
      LOG.error("The directory {} can't be read: the node runs with its defaults", directory, e);
      return List.of();
    }
  }

  private void forgetEarlierRuns() {
    try {
      Configuration[] old = admin.listConfigurations(null);
      for (Configuration configuration : old == null ? new Configuration[0] : old) {
        boolean kept = files.containsKey(configuration.getPid()) || schema(configuration.getPid()).filter(s -> !s.factory()).isPresent();
        if (!kept) {
          configuration.delete();
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InvalidSyntaxException e) {
      throw new IllegalStateException(e);
    }
  }

  /** Brings one PID's configuration in line with its file and the overrides. */
  private void apply(String fullPid) {
    ConfigurationFile file = files.get(fullPid);
    ConfigurationFile named = file != null ? file : ConfigurationFile.of(Path.of(fullPid + ConfigurationFile.SUFFIX));
    Optional<Schema> schema = schema(named.pid());
    try {
      if (schema.isPresent()) {
        waiting.remove(fullPid);
        check(named, schema.get(), Optional.ofNullable(file));
      } else if (file == null) {
        delete(named);
      } else if (fullPid.startsWith(OURS)) {
        Set<String> known = new HashSet<>();
        schemas.values().forEach(of -> of.forEach(s -> known.add(s.pid())));
        String problem = "The file " + file.file() + " waits for a bundle that takes it"
            + Schema.nearest(named.pid(), known).map(n -> "; if its name is misspelt, the nearest is " + n + ".").orElse(".");
        if (!problem.equals(waiting.put(fullPid, problem))) {
          LOG.warn(problem);
        }
      } else {
        // A library's, which says nothing of its keys.
        set(named, file.read(), true);
        refusals.remove(fullPid);
      }
    } catch (ConfigurationFile.Refused e) {
      refuse(named, e.problems(), "It is not in force.");
    } catch (IOException e) {
      LOG.error("The configuration {} could not be stored", fullPid, e);
    }
  }

  private void check(ConfigurationFile named, Schema schema, Optional<ConfigurationFile> file) throws IOException {
    List<String> problems = new ArrayList<>();
    Dictionary<String, Object> values = new Hashtable<>();
    if (file.isPresent()) {
      try {
        values = file.get().read(schema);
      } catch (ConfigurationFile.Refused e) {
        problems.addAll(e.problems());
      }
    } else if (schema.factory()) {
      delete(named);
      return;
    }
    boolean fits = problems.isEmpty();
    String consequence = fits ? "The rest is in force without it."
        : accepted.contains(named.fullPid()) ? "Until that is mended the configuration before it holds."
        : schema.factory() ? "Until that is mended it is not in force." : "Until that is mended the defaults hold.";
    boolean first = !configured.contains(named.fullPid());
    for (Key key : schema.keys().values()) {
      String property = "instar.override." + named.fullPid() + "/" + key.id();
      String text = context.getProperty(property);
      if (text != null) {
        try {
          values.put(key.id(), key.value(text));
        } catch (Key.Unfit e) {
          problems.add("The override " + property + " " + e.getMessage() + ".");
        }
      }
    }
    if (file.isEmpty() && values.isEmpty() && !schema.pid().startsWith(OURS)) {
      // A library may take an empty configuration for something else than none.
      delete(named);
    } else if (fits || first && !schema.factory()) {
      set(named, values, fits && file.isPresent());
    }
    if (fits && file.isPresent()) {
      accepted.add(named.fullPid());
    }
    if (problems.isEmpty()) {
      refusals.remove(named.fullPid());
    } else {
      refuse(named, problems, consequence);
    }
  }

  private void refuse(ConfigurationFile file, List<String> problems, String consequence) {
    Refusal refusal = new Refusal(file.file(), problems);
    // File Install tells again of each file that was there at the start.
    if (!refusal.equals(refusals.put(file.fullPid(), refusal))) {
      problems.forEach(problem -> LOG.error("{} {}", problem, consequence));
    }
  }

  private void set(ConfigurationFile file, Dictionary<String, Object> values, boolean fits) throws IOException {
    // Without its file, or with one that is refused, it is the defaults that are.
    if (configuration(file).updateIfDifferent(values) && fits) {
      LOG.info("{} is in force", file.file());
    }
    configured.add(file.fullPid());
  }

  private void delete(ConfigurationFile file) throws IOException {
    if (configured.remove(file.fullPid())) {
      configuration(file).delete();
    }
  }

  private Configuration configuration(ConfigurationFile file) throws IOException {
    // "?": whichever bundle takes it.
    return file.name().isPresent() ? admin.getFactoryConfiguration(file.pid(), file.name().get(), "?") : admin.getConfiguration(file.pid(), "?");
  }
}
