package dev.instar.listener;

import dev.instar.api.InstarException;
import dev.instar.api.Threads;
import dev.instar.api.http.HttpEntry;
import dev.instar.api.http.ServiceSlot;
import dev.instar.api.operations.ConfigurationProblem;
import dev.instar.api.operations.ConfigurationTrial;
import java.util.IdentityHashMap;
import java.util.Map;
import java.util.Optional;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.ConfigurationPolicy;
import org.osgi.service.component.annotations.Deactivate;
import org.osgi.service.component.annotations.Modified;
import org.osgi.service.component.annotations.Reference;
import org.osgi.service.component.annotations.ReferenceCardinality;
import org.osgi.service.component.annotations.ReferencePolicy;
import org.osgi.service.component.annotations.ReferencePolicyOption;
import org.osgi.service.metatype.annotations.Designate;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Keeps the node's port open while everything behind it comes and goes. It is the first that a stop of the node stops, so it is here that running calls
 * are waited for. Publishes, as system properties, {@value #PORT} (the real port while it listens), with {@value #CERTIFICATE} (the file, where it
 * speaks TLS), or {@value #PROBLEM} (why it does not, or not as it is configured), and {@value #STOP} (how long running calls may go on at the end of the node), for the
 * launcher, which starts before any service and speaks to none.
 */
@Component(immediate = true, service = ConfigurationTrial.class, configurationPid = ListenerConfig.PID, configurationPolicy = ConfigurationPolicy.REQUIRE)
@Designate(ocd = ListenerConfig.class)
public final class ListenerComponent implements ConfigurationTrial {
  static final String PORT = "dev.instar.listener.port";
  static final String PROBLEM = "dev.instar.listener.problem";
  static final String STOP = "dev.instar.listener.stop-ms";
  static final String CERTIFICATE = "dev.instar.listener.certificate";
  private static final Logger LOG = LoggerFactory.getLogger(ListenerComponent.class);

  private final ServiceSlot<HttpEntry> entries = new ServiceSlot<>("gateway");
  // Entries come before the configuration does, so the ones for other listeners are kept too.
  private final Map<HttpEntry, Map<String, Object>> offered = new IdentityHashMap<>();
  private String name = "main";
  private boolean loopback = true;
  private Optional<HttpListener> listener = Optional.empty();

  @Reference(cardinality = ReferenceCardinality.MULTIPLE, policy = ReferencePolicy.DYNAMIC, policyOption = ReferencePolicyOption.GREEDY, updated = "addEntry")
  synchronized void addEntry(HttpEntry entry, Map<String, Object> properties) {
    offered.put(entry, properties);
    offer(entry, properties);
  }

  synchronized void removeEntry(HttpEntry entry) {
    offered.remove(entry);
    entries.unbind(entry);
  }

  private void offer(HttpEntry entry, Map<String, Object> properties) {
    Object wanted = properties.get(HttpEntry.LISTENER);
    boolean asks = Boolean.TRUE.equals(properties.get(HttpEntry.CREDENTIALS));
    if (!loopback && !asks) {
      LOG.error("{} asks for no credentials (service property {}), so it gets no requests from off loopback.", entry, HttpEntry.CREDENTIALS);
    }
    if ((loopback || asks) && (wanted == null || wanted.equals(name))) {
      entries.bind(entry, properties);
    } else {
      entries.unbind(entry);
    }
  }

  @Activate
  synchronized void activate(ListenerConfig config) {
    Settings settings;
    try {
      settings = Settings.of(config);
    } catch (InstarException e) {
      tellProblem(e.problem().detail());
      throw e;
    }
    rename(settings.name(), settings.loopback());
    listen(settings);
  }

  /** A new address that cannot be taken leaves the old one in place: a wrong edit does not take the node off the network. */
  @Modified
  synchronized void modified(ListenerConfig config) {
    Settings settings;
    try {
      settings = Settings.of(config);
    } catch (InstarException e) {
      tellProblem(e.problem().detail());
      if (listener.isEmpty()) {
        throw e;
      }
      return;
    }
    if (listener.isPresent() && listener.get().settings().sameAddress(settings)) {
      if (listener.get().settings().tls().isPresent() != settings.tls().isPresent()) {
        tellProblem(Trial.NO_TLS_HERE);
        return;
      }
      listener.get().apply(settings);
      System.clearProperty(PROBLEM);
      rename(settings.name(), loopback);
      tell(settings);
      return;
    }
    Optional<HttpListener> old = listener;
    boolean before = loopback;
    // While both may be open, what the stricter one asks for.
    rename(settings.name(), before && settings.loopback());
    try {
      listen(settings);
      rename(settings.name(), settings.loopback());
    } catch (InstarException e) {
      rename(settings.name(), before);
      if (old.isEmpty()) {
        throw e;
      }
      return;
    }
    old.ifPresent(o -> Threads.startVirtual("listener-stop-" + o.port(), o::close));
  }

  @Override
  public String pid() {
    return ListenerConfig.PID;
  }

  @Override
  public synchronized Optional<ConfigurationProblem> objection(Map<String, Object> values) {
    return listener.flatMap(open -> new Trial(open.settings()).objection(values));
  }

  @Deactivate
  void deactivate() {
    Optional<HttpListener> last;
    synchronized (this) {
      last = listener;
      listener = Optional.empty();
    }
    // Not under the lock: it may take as long as the exchanges that run, and the entry may want to go meanwhile.
    last.ifPresent(HttpListener::drain);
    System.clearProperty(PORT);
  }

  private void rename(String to, boolean onLoopback) {
    name = to;
    loopback = onLoopback;
    offered.forEach(this::offer);
  }

  private void listen(Settings settings) {
    try {
      HttpListener opened = HttpListener.open(settings, entries);
      listener = Optional.of(opened);
      System.clearProperty(PROBLEM);
      tell(settings);
      System.setProperty(PORT, Integer.toString(opened.port()));
      LOG.info("Listening on {}://{}:{}", settings.tls().isPresent() ? "https" : "http", settings.bind(), opened.port());
    } catch (InstarException e) {
      tellProblem(e.problem().detail());
      throw e;
    }
  }

  /** To the log, and to the checks: what was configured does not hold, and the next start would fail of it. */
  private static void tellProblem(String detail) {
    LOG.error("{}", detail);
    System.setProperty(PROBLEM, detail);
  }

  /** Before the port, so that whoever waits for that knows the others. */
  private static void tell(Settings settings) {
    System.setProperty(STOP, Long.toString(settings.stopTimeout().toMillis()));
    settings.tls().ifPresentOrElse(tls -> System.setProperty(CERTIFICATE, tls.certificate().toString()), () -> System.clearProperty(CERTIFICATE));
  }
}
