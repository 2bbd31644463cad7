package dev.instar.operations;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import dev.instar.api.Threads;
import dev.instar.api.data.DurableFiles;
import dev.instar.api.operations.ConfigurationComparison;
import dev.instar.api.operations.ConfigurationComparison.Change;
import dev.instar.api.operations.ConfigurationInfo;
import dev.instar.api.operations.ConfigurationInfo.State;
import dev.instar.api.operations.ConfigurationProblem;
import dev.instar.api.operations.ConfigurationSetting;
import dev.instar.api.operations.ConfigurationSetting.Source;
import dev.instar.api.operations.ConfigurationTrial;
import dev.instar.api.operations.Configurations;
import dev.instar.operations.ConfigurationFile.Reading;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.URL;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Dictionary;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Hashtable;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import java.util.stream.Stream;
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
import org.osgi.service.component.annotations.ReferenceCardinality;
import org.osgi.service.component.annotations.ReferencePolicy;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Gives the node its configuration: for each PID the defaults of its bundle, then what its file says, then the overrides that the node
 * was started with ({@code instar.override.<pid>/<key>}).
 *
 * <p>All files are applied before this component is active, so that bundles of a later start level begin with their configuration. After
 * that it looks for files that come, change and go, itself: what is in force is what it has checked, and there is no other way for a file into
 * ConfigAdmin. A file that does not fit what the bundle declares is refused whole, with an error for each thing that is wrong; the configuration before
 * it stays (at the start: the defaults and the overrides). Every PID of ours that is no factory always has a configuration, if only an empty one, so
 * that deleting a file is the same as never having had it. What ConfigAdmin remembers of an earlier run counts for nothing.
 */
@Component(immediate = true, service = {ConfigurationFiles.class, Configurations.class})
public final class ConfigurationFiles implements Configurations, SynchronousBundleListener {
  private static final Logger LOG = LoggerFactory.getLogger(ConfigurationFiles.class);
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String OURS = "dev.instar.";
  private static final String METATYPE = "OSGI-INF/metatype";
  private static final Pattern NAME = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,99}");

  /**
   * Files of one PID that are not in force as they stand.
   *
   * @param problems what is wrong with them
   */
  record Refusal(List<ConfigurationProblem> problems) {}

  /** What ConfigAdmin was given: what the file says, and the overrides. */
  private record InForce(Reading file, Map<String, Object> overrides) {}

  private final BundleContext context;
  private final ConfigurationAdmin admin;
  private final Interpolation interpolation;
  private final Optional<ConfigurationFolder> folder;
  // A latch and no interrupt, which would break off what is being read.
  private final CountDownLatch closed = new CountDownLatch(1);
  private final Map<Long, List<Schema>> schemas = new TreeMap<>();
  // By PID, then by name: there may be one of each form, which is refused.
  private final Map<String, Map<String, ConfigurationFile>> files = new TreeMap<>();
  // By name of the file: what is looked at twice a second is not parsed each time.
  private final Map<String, Set<String>> secretsOf = new HashMap<>();
  private final Map<String, Refusal> refusals = new TreeMap<>();
  private final Map<String, String> waiting = new TreeMap<>();
  private final Map<String, InForce> configured = new HashMap<>();
  // Whose file has been in force, so that there is a configuration before a wrong one.
  private final Set<String> accepted = new HashSet<>();

  /** Asked before a change that somebody waits for; not for files, which are looked at once, and may be wrong for the moment only. */
  @Reference(cardinality = ReferenceCardinality.MULTIPLE, policy = ReferencePolicy.DYNAMIC)
  volatile List<ConfigurationTrial> trials = List.of();

  /** Applies what is there. */
  @Activate
  public ConfigurationFiles(BundleContext context, @Reference ConfigurationAdmin admin) {
    this.context = context;
    this.admin = admin;
    Optional<Path> directory = Optional.ofNullable(context.getProperty("instar.config")).map(Path::of);
    Optional<Path> secrets = Optional.ofNullable(context.getProperty("instar.secrets")).map(Path::of).or(() -> directory.map(d -> d.resolve("secrets")));
    interpolation = new Interpolation(name -> Optional.ofNullable(System.getenv(name)), name -> Optional.ofNullable(context.getProperty(name)), secrets);
    folder = directory.map(d -> new ConfigurationFolder(d, secrets));
    synchronized (this) {
      // First, so that no bundle comes between.
      context.addBundleListener(this);
      for (Bundle bundle : context.getBundles()) {
        schemas.put(bundle.getBundleId(), read(bundle));
      }
      folder.ifPresent(f -> f.readAll().forEach(this::put));
      forgetEarlierRuns();
      schemas.values().forEach(of -> of.stream().filter(s -> !s.factory()).forEach(s -> apply(s.pid())));
      files.keySet().stream().filter(pid -> !configured.containsKey(pid)).toList().forEach(this::apply);
    }
    String poll = context.getProperty("instar.config.poll.ms");
    Duration pause = Duration.ofMillis(poll == null ? 500 : Long.parseLong(poll));
    if (folder.isPresent()) {
      Threads.startPlatform("instar-configuration", () -> watch(pause));
    }
  }

  @Deactivate
  void close() {
    context.removeBundleListener(this);
    synchronized (this) {
      closed.countDown();
    }
  }

  private void watch(Duration pause) {
    try {
      while (!closed.await(pause.toMillis(), TimeUnit.MILLISECONDS)) {
        look();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private synchronized void look() {
    if (closed.getCount() == 0) {
      return;
    }
    try {
      Set<String> secrets = new HashSet<>();
      secretsOf.values().forEach(secrets::addAll);
      ConfigurationFolder.Changes changes = folder.orElseThrow().look(secrets);
      // A file that has got another name is told as one that has come before one that has gone, so that there is no moment without either.
      Set<String> pids = new LinkedHashSet<>();
      changes.files().forEach(file -> {
        put(file);
        pids.add(file.fullPid());
      });
      changes.gone().forEach(name -> {
        ConfigurationFile gone = ConfigurationFile.of(name, new byte[0]);
        take(gone);
        pids.add(gone.fullPid());
      });
      all().filter(file -> !Collections.disjoint(secretsOf.get(file.file()), changes.secrets())).forEach(file -> pids.add(file.fullPid()));
      pids.forEach(this::apply);
      changes.gone().forEach(this::sayGone);
    } catch (RuntimeException e) {
      LOG.error("Configuration files could not be looked at; it is tried again", e);
    }
  }

  private Stream<ConfigurationFile> all() {
    return files.values().stream().flatMap(of -> of.values().stream());
  }

  private void put(ConfigurationFile file) {
    files.computeIfAbsent(file.fullPid(), pid -> new TreeMap<>()).put(file.file(), file);
    secretsOf.put(file.file(), file.secrets());
  }

  private void take(ConfigurationFile file) {
    Map<String, ConfigurationFile> of = files.getOrDefault(file.fullPid(), new TreeMap<>());
    of.remove(file.file());
    secretsOf.remove(file.file());
    if (of.isEmpty()) {
      files.remove(file.fullPid());
      refusals.remove(file.fullPid());
      waiting.remove(file.fullPid());
      accepted.remove(file.fullPid());
    }
  }

  private void sayGone(String name) {
    ConfigurationFile gone = ConfigurationFile.of(name, new byte[0]);
    LOG.info(schema(gone.pid()).isPresent() && !files.containsKey(gone.fullPid()) ? "{} is gone; its defaults hold" : "{} is gone", name);
  }

  /** What is not in force. */
  synchronized List<Refusal> refusals() {
    return List.copyOf(refusals.values());
  }

  /** What no bundle takes yet, each a sentence that names the file. */
  synchronized List<String> waiting() {
    return List.copyOf(waiting.values());
  }

  /** A bundle's configuration is there before the bundle starts. */
  @Override
  public synchronized void bundleChanged(BundleEvent event) {
    long id = event.getBundle().getBundleId();
    switch (event.getType()) {
      case BundleEvent.INSTALLED, BundleEvent.UPDATED -> {
        List<Schema> of = read(event.getBundle());
        schemas.put(id, of);
        applyAll(of);
      }
      case BundleEvent.UNINSTALLED -> {
        List<Schema> of = schemas.remove(id);
        if (of != null) {
          // Another that is there may declare them otherwise.
          applyAll(of);
        }
      }
      default -> { }
    }
  }

  private void applyAll(List<Schema> of) {
    for (Schema schema : of) {
      if (!schema.factory()) {
        apply(schema.pid());
      }
      all().filter(f -> f.pid().equals(schema.pid()) && f.name().isPresent()).map(ConfigurationFile::fullPid).distinct().toList().forEach(this::apply);
    }
  }

  /** Of several the one of the newest bundle: while one is replaced there are two. */
  private Optional<Schema> schema(String pid) {
    return schemas.values().stream().flatMap(List::stream).filter(s -> s.pid().equals(pid)).reduce((older, newer) -> newer);
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

  /** The one file of a PID. @throws Refused when there is one of each form */
  private Optional<ConfigurationFile> file(String fullPid) throws Refused {
    Map<String, ConfigurationFile> of = files.getOrDefault(fullPid, Map.of());
    if (of.size() > 1) {
      throw new Refused(both(fullPid, of.keySet()));
    }
    return of.values().stream().findFirst();
  }

  static String both(String fullPid, Set<String> names) {
    return "The files " + String.join(" and ", names) + " are both for " + fullPid + "; delete one of them.";
  }

  private static ConfigurationFile named(String fullPid) {
    return ConfigurationFile.of(fullPid + ConfigurationFile.JSON, new byte[0]);
  }

  /** Brings one PID's configuration in line with its file and the overrides. */
  private void apply(String fullPid) {
    boolean there = files.containsKey(fullPid);
    ConfigurationFile named = named(fullPid);
    Optional<Schema> schema = schema(named.pid());
    try {
      if (schema.isPresent()) {
        waiting.remove(fullPid);
        check(named, schema.get());
      } else if (!there) {
        delete(fullPid);
      } else if (fullPid.startsWith(OURS)) {
        delete(fullPid);
        refusals.remove(fullPid);
        String problem = "The file " + String.join(", ", files.get(fullPid).keySet()) + " waits for a bundle that takes it"
            + Schema.nearest(named.pid(), known()).map(n -> "; if its name is misspelt, the nearest is " + n + ".").orElse(".");
        if (!problem.equals(waiting.put(fullPid, problem))) {
          LOG.warn(problem);
        }
      } else {
        // A library's, which says nothing of its keys.
        ConfigurationFile file = file(fullPid).orElseThrow();
        set(named, new InForce(file.read(interpolation), Map.of()), Optional.of(file.file()));
        refusals.remove(fullPid);
      }
    } catch (Refused e) {
      refuse(fullPid, e.problems(), "It is not in force.");
    } catch (IOException e) {
      LOG.error("The configuration {} could not be stored", fullPid, e);
    }
  }

  private Set<String> known() {
    Set<String> known = new TreeSet<>();
    schemas.values().forEach(of -> of.forEach(s -> known.add(s.pid())));
    return known;
  }

  private void check(ConfigurationFile named, Schema schema) throws IOException {
    String fullPid = named.fullPid();
    List<ConfigurationProblem> problems = new ArrayList<>();
    Reading reading = Reading.EMPTY;
    Optional<String> name = files.getOrDefault(fullPid, Map.of()).keySet().stream().findFirst();
    if (name.isPresent()) {
      try {
        reading = file(fullPid).orElseThrow().read(schema, interpolation);
      } catch (Refused e) {
        problems.addAll(e.problems());
      }
    } else if (schema.factory()) {
      delete(fullPid);
      return;
    }
    boolean fits = problems.isEmpty();
    String consequence = fits ? "The rest is in force without it."
        : accepted.contains(fullPid) ? "Until that is mended the configuration before it holds."
        : schema.factory() ? "Until that is mended it is not in force." : "Until that is mended the defaults hold.";
    boolean first = !configured.containsKey(fullPid);
    Map<String, Object> overrides = overrides(fullPid, schema, problems);
    if (name.isEmpty() && overrides.isEmpty() && !schema.pid().startsWith(OURS)) {
      // A library may take an empty configuration for something else than none.
      delete(fullPid);
    } else if (fits || first && !schema.factory()) {
      set(named, new InForce(reading, overrides), fits ? name : Optional.empty());
    }
    if (fits && name.isPresent()) {
      accepted.add(fullPid);
    }
    if (problems.isEmpty()) {
      refusals.remove(fullPid);
    } else {
      refuse(fullPid, problems, consequence);
    }
  }

  private Map<String, Object> overrides(String fullPid, Schema schema, List<ConfigurationProblem> problems) {
    Map<String, Object> overrides = new LinkedHashMap<>();
    for (Key key : schema.keys().values()) {
      String property = "instar.override." + fullPid + "/" + key.id();
      String text = context.getProperty(property);
      if (text != null) {
        try {
          overrides.put(key.id(), key.value(text.strip()));
        } catch (Key.Unfit e) {
          problems.add(Refused.problem("The override " + property + " " + e.getMessage() + ".", key.id(), Optional.of(e.found()), e.allowed()));
        }
      }
    }
    return overrides;
  }

  private void refuse(String fullPid, List<ConfigurationProblem> problems, String consequence) {
    Refusal refusal = new Refusal(List.copyOf(problems));
    if (!refusal.equals(refusals.put(fullPid, refusal))) {
      problems.forEach(problem -> LOG.error("{} {}", problem.detail(), consequence));
    }
  }

  /** @param file that is in force with it; empty where there is none, or one that is refused */
  private void set(ConfigurationFile named, InForce values, Optional<String> file) throws IOException {
    Dictionary<String, Object> properties = new Hashtable<>(values.file().values());
    values.overrides().forEach(properties::put);
    // "?": whichever bundle takes it.
    Configuration configuration = named.name().isPresent() ? admin.getFactoryConfiguration(named.pid(), named.name().get(), "?") : admin.getConfiguration(named.pid(), "?");
    if (configuration.updateIfDifferent(properties)) {
      file.ifPresent(name -> LOG.info("{} is in force", name));
    }
    configured.put(named.fullPid(), values);
  }

  private void delete(String fullPid) throws IOException {
    if (configured.remove(fullPid) != null) {
      ConfigurationFile named = named(fullPid);
      (named.name().isPresent() ? admin.getFactoryConfiguration(named.pid(), named.name().get(), "?") : admin.getConfiguration(named.pid(), "?")).delete();
    }
  }

  @Override
  public synchronized List<ConfigurationInfo> list() {
    Set<String> pids = new TreeSet<>(files.keySet());
    schemas.values().forEach(of -> of.stream().filter(s -> !s.factory() || files.keySet().stream().noneMatch(p -> p.startsWith(s.pid() + "~"))).forEach(s -> pids.add(s.pid())));
    return pids.stream().map(this::info).toList();
  }

  @Override
  public synchronized ConfigurationInfo get(String pid) {
    if (!files.containsKey(pid)) {
      ConfigurationFile named = named(pid);
      if (named.name().isPresent() || schema(pid).isEmpty()) {
        throw unknown(pid);
      }
    }
    return info(pid);
  }

  private InstarException unknown(String pid) {
    Set<String> known = known();
    known.addAll(files.keySet());
    return new InstarException(ErrorCode.CONFIG_NOT_FOUND, "There is no configuration " + pid
        + Schema.nearest(pid, known).map(n -> "; did you mean " + n + "?").orElse("; GET /v1/config lists them."), Map.of("pid", pid));
  }

  private ConfigurationInfo info(String pid) {
    ConfigurationFile named = named(pid);
    Optional<Schema> schema = schema(named.pid());
    boolean template = schema.filter(Schema::factory).isPresent() && named.name().isEmpty();
    List<String> names = List.copyOf(files.getOrDefault(pid, Map.of()).keySet());
    List<ConfigurationProblem> problems = new ArrayList<>(Optional.ofNullable(refusals.get(pid)).map(Refusal::problems).orElse(List.of()));
    Optional.ofNullable(waiting.get(pid)).map(Refused::problem).ifPresent(problems::add);
    State state = waiting.containsKey(pid) ? State.WAITING : names.isEmpty() ? State.DEFAULT : refusals.containsKey(pid) ? State.REFUSED : State.FILE;
    InForce now = configured.getOrDefault(pid, new InForce(Reading.EMPTY, Map.of()));
    List<ConfigurationSetting> settings = new ArrayList<>();
    if (schema.isPresent()) {
      schema.get().keys().values().forEach(key -> settings.add(setting(key, now)));
    } else {
      now.file().values().forEach((key, value) -> settings.add(setting(plain(key), now)));
    }
    return new ConfigurationInfo(pid, schema.map(Schema::description).orElse(""), template, state, names, problems, settings);
  }

  /** A key of which nothing is declared. */
  private static Key plain(String id) {
    return new Key(id, "", Key.Type.STRING, false, false, Optional.empty(), Optional.empty(), List.of(), Optional.empty());
  }

  private static ConfigurationSetting setting(Key key, InForce now) {
    Source source = now.overrides().containsKey(key.id()) ? Source.OVERRIDE : now.file().values().containsKey(key.id()) ? Source.FILE : Source.DEFAULT;
    boolean secret = secret(key, now);
    return new ConfigurationSetting(key.id(), key.type().word(), key.list(), key.description(), secret ? Optional.empty() : value(key, now), key.secret() ? Optional.empty() : key.standardValue().map(ConfigurationFiles::listed),
        key.min(), key.max(), key.options(), source, secret, Optional.ofNullable(now.file().written().get(key.id())));
  }

  private static boolean secret(Key key, InForce now) {
    return key.secret() || now.file().secret().contains(key.id()) && !now.overrides().containsKey(key.id());
  }

  private static Optional<Object> value(Key key, InForce now) {
    return Optional.ofNullable(now.overrides().get(key.id())).or(() -> Optional.ofNullable(now.file().values().get(key.id()))).or(key::standardValue).map(ConfigurationFiles::listed);
  }

  private static Object listed(Object value) {
    return value instanceof Object[] array ? List.of(array) : value;
  }

  @Override
  public synchronized ConfigurationInfo replace(String pid, Map<String, Object> values) {
    Schema schema = changeable(pid);
    String name = place(pid);
    return store(pid, schema, name, ConfigurationText.write(name, nodes(values)));
  }

  @Override
  public synchronized ConfigurationInfo change(String pid, Map<String, Object> values, Set<String> reset) {
    Schema schema = changeable(pid);
    String name = place(pid);
    for (String key : reset) {
      if (!schema.keys().containsKey(key)) {
        throw refused(pid, new Refused(List.of(unknownKey(schema, key))));
      }
    }
    Map<String, JsonNode> nodes = nodes(values);
    Optional<ConfigurationFile> file;
    String text;
    try {
      file = file(pid);
      if (file.isEmpty() && values.isEmpty() && schema.keys().keySet().containsAll(reset)) {
        return info(pid);
      }
      text = file.isPresent() ? file.get().text().with(nodes, reset) : ConfigurationText.write(name, nodes);
      if (file.isPresent()) {
        sameBut(file.get(), name, text, schema, nodes, reset);
      }
    } catch (Refused e) {
      throw refused(pid, e);
    }
    return store(pid, schema, name, text);
  }

  private static ConfigurationProblem unknownKey(Schema schema, String key) {
    String known = String.join(", ", schema.keys().keySet());
    return Refused.problem(schema.pid() + " has no key '" + key + "'" + Schema.nearest(key, schema.keys().keySet()).map(n -> "; did you mean '" + n + "'?").orElse("; its keys are " + known + "."),
        key, Optional.empty(), known);
  }

  /** That the text says what was wanted and else what it did: it was changed as text, around comments. */
  private void sameBut(ConfigurationFile file, String name, String text, Schema schema, Map<String, JsonNode> changed, Set<String> reset) throws Refused {
    Refused byHand = new Refused("The file " + name + " is written in a way that the node does not change; edit it by hand.");
    Map<String, JsonNode> before = entries(file.text());
    ConfigurationText now;
    try {
      now = ConfigurationText.read(name, text.getBytes(StandardCharsets.UTF_8));
    } catch (Refused e) {
      throw byHand;
    }
    Map<String, JsonNode> after = entries(now);
    before.keySet().removeAll(reset);
    before.keySet().removeAll(changed.keySet());
    boolean same = before.entrySet().stream().allMatch(e -> e.getValue().equals(after.get(e.getKey()))) && after.size() == before.size() + changed.size();
    for (Map.Entry<String, JsonNode> one : changed.entrySet()) {
      Key key = schema.keys().get(one.getKey());
      try {
        same &= after.containsKey(one.getKey()) && (key == null || one.getValue().toString().contains("$[") || Objects.deepEquals(key.value(one.getValue()), key.value(after.get(one.getKey()), now.lenient())));
      } catch (Key.Unfit e) {
        // Told with its reason when it is checked whole.
      }
    }
    if (!same) {
      throw byHand;
    }
  }

  private static Map<String, JsonNode> entries(ConfigurationText text) {
    Map<String, JsonNode> entries = new LinkedHashMap<>();
    text.entries().forEach(e -> entries.put(e.id(), e.value()));
    return entries;
  }

  /** As they are to stand in a file. */
  static Map<String, JsonNode> nodes(Map<String, Object> values) {
    Map<String, JsonNode> nodes = new LinkedHashMap<>();
    values.forEach((key, value) -> nodes.put(key, JSON.valueToTree(plain(value))));
    return nodes;
  }

  /** A whole number as such: a decimal loses its zeros when it becomes a node, and 100 would be written 1E+2. */
  private static Object plain(Object value) {
    return switch (value) {
      case List<?> elements -> elements.stream().map(ConfigurationFiles::plain).toList();
      case BigDecimal number when number.scale() <= 0 && number.precision() - number.scale() <= 18 -> number.longValueExact();
      default -> value;
    };
  }

  private Schema changeable(String pid) {
    ConfigurationFile named = named(pid);
    Schema schema = schema(named.pid()).orElseThrow(() -> unknown(pid));
    if (schema.factory() && named.name().isEmpty()) {
      throw refused(pid, new Refused(pid + " is a factory, of which there may be several; give " + pid + "~NAME."));
    }
    if (!schema.factory() && named.name().isPresent()) {
      throw unknown(pid);
    }
    if (named.name().isPresent() && !NAME.matcher(named.name().get()).matches()) {
      throw refused(pid, new Refused("The name after ~ has up to 100 letters, digits, '.', '_' and '-', and begins with a letter or a digit."));
    }
    return schema;
  }

  /** The name of the file that the PID has, or would have. */
  private String place(String pid) {
    try {
      return file(pid).map(ConfigurationFile::file).orElse(pid + ConfigurationFile.JSON);
    } catch (Refused e) {
      throw refused(pid, e);
    }
  }

  private ConfigurationInfo store(String pid, Schema schema, String name, String text) {
    byte[] content = text.getBytes(StandardCharsets.UTF_8);
    try {
      tried(pid, schema, ConfigurationFile.of(name, content).read(schema, interpolation));
    } catch (Refused e) {
      throw refused(pid, e);
    }
    ConfigurationFolder place = writable();
    Path path = place.directory().resolve(name);
    try {
      Optional<Set<PosixFilePermission>> mode = Files.exists(path) ? Optional.of(Files.getPosixFilePermissions(path)) : Optional.empty();
      DurableFiles.write(path, content);
      if (mode.isPresent()) {
        Set<PosixFilePermission> kept = new HashSet<>(mode.get());
        kept.remove(PosixFilePermission.OTHERS_WRITE);
        Files.setPosixFilePermissions(path, kept);
      }
    } catch (IOException e) {
      throw notWritten(name, e);
    }
    put(place.take(name));
    apply(pid);
    return info(pid);
  }

  /** @throws Refused when the part itself knows that this would not hold */
  private void tried(String pid, Schema schema, Reading reading) throws Refused {
    InForce then = new InForce(reading, overrides(pid, schema, new ArrayList<>()));
    Map<String, Object> values = new HashMap<>();
    for (Key key : schema.keys().values()) {
      Optional.ofNullable(then.overrides().get(key.id())).or(() -> Optional.ofNullable(reading.values().get(key.id()))).or(key::standardValue).ifPresent(value -> values.put(key.id(), value));
    }
    List<ConfigurationProblem> objections = trials.stream().filter(trial -> trial.pid().equals(pid)).flatMap(trial -> trial.objection(values).stream()).toList();
    if (!objections.isEmpty()) {
      throw new Refused(objections);
    }
  }

  private ConfigurationFolder writable() {
    ConfigurationFolder place = folder.orElseThrow(() -> new InstarException(ErrorCode.FORBIDDEN, "This node was started without a folder of configuration files."));
    try {
      if (Files.getPosixFilePermissions(place.directory()).contains(PosixFilePermission.OTHERS_WRITE)) {
        throw new InstarException(ErrorCode.FORBIDDEN, "Everybody on the node's machine may change its folder of configuration files, so none of them is used. Run there: chmod o-w " + place.directory().getFileName());
      }
    } catch (IOException e) {
      throw notWritten(place.directory().getFileName().toString(), e);
    }
    return place;
  }

  private static InstarException notWritten(String name, IOException e) {
    return DurableFiles.isNoSpace(e) ? new InstarException(ErrorCode.NO_SPACE, "There is no room for " + name + " in the folder of configuration files; what was in force stays.")
        : new InstarException(Problem.of(ErrorCode.FORBIDDEN, name + " can't be written in the folder of configuration files by the node's user (" + e.getClass().getSimpleName() + "); what was in force stays."), e);
  }

  private static InstarException refused(String pid, Refused e) {
    Map<String, Object> members = new LinkedHashMap<>();
    members.put("pid", pid);
    members.put("problems", e.problems().stream().map(ConfigurationProblem::detail).toList());
    ConfigurationProblem first = e.problems().getFirst();
    first.key().ifPresent(key -> members.put("key", key));
    first.value().ifPresent(value -> members.put("value", value));
    first.allowed().ifPresent(allowed -> members.put("allowed", allowed));
    return new InstarException(ErrorCode.CONFIG_REFUSED, e.getMessage(), members);
  }

  @Override
  public synchronized boolean remove(String pid) {
    Set<String> names = Set.copyOf(files.getOrDefault(pid, Map.of()).keySet());
    if (names.isEmpty()) {
      if (named(pid).name().isPresent() || schema(pid).isEmpty()) {
        throw unknown(pid);
      }
      return false;
    }
    Optional<Schema> schema = schema(named(pid).pid()).filter(s -> !s.factory());
    if (schema.isPresent()) {
      try {
        tried(pid, schema.get(), Reading.EMPTY);
      } catch (Refused e) {
        throw refused(pid, e);
      }
    }
    ConfigurationFolder place = writable();
    for (String name : names) {
      try {
        DurableFiles.delete(place.directory().resolve(name));
      } catch (IOException e) {
        throw notWritten(name, e);
      }
      place.drop(name);
      take(ConfigurationFile.of(name, new byte[0]));
      sayGone(name);
    }
    apply(pid);
    return true;
  }

  @Override
  public synchronized ConfigurationComparison compare(String name, byte[] content) {
    if (name.indexOf('/') >= 0 || name.indexOf('\0') >= 0 || !ConfigurationFile.is(Path.of(name))) {
      throw new InstarException(ErrorCode.BAD_REQUEST, "'" + Refused.problem(name).detail() + "' is no name of a configuration file; give PID.cfg.json or PID.cfg, of a factory PID~NAME.cfg.json or PID~NAME.cfg.");
    }
    ConfigurationFile file = ConfigurationFile.of(name, content);
    String pid = file.fullPid();
    Schema schema = schema(file.pid()).orElseThrow(() -> unknown(file.pid()));
    Reading reading;
    try {
      Set<String> names = new TreeSet<>(files.getOrDefault(pid, Map.of()).keySet());
      names.add(name);
      if (names.size() > 1) {
        throw new Refused(both(pid, names));
      }
      reading = file.read(schema, interpolation);
    } catch (Refused e) {
      throw refused(pid, e);
    }
    InForce now = configured.getOrDefault(pid, new InForce(Reading.EMPTY, Map.of()));
    InForce then = new InForce(reading, now.overrides());
    List<Change> changes = new ArrayList<>();
    for (Key key : schema.keys().values()) {
      Optional<Object> from = value(key, now);
      Optional<Object> to = value(key, then);
      if (!from.equals(to)) {
        boolean secret = secret(key, now) || secret(key, then);
        changes.add(new Change(key.id(), secret ? Optional.empty() : from, secret ? Optional.empty() : to, secret));
      }
    }
    return new ConfigurationComparison(pid, changes);
  }
}
