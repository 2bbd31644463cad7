package dev.instar.itest;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.data.DataDirectory;
import dev.instar.api.function.FunctionRegistry;
import dev.instar.api.image.ImageStore;
import dev.instar.api.invocation.BackendDirectory;
import dev.instar.api.invocation.BackendStatus;
import dev.instar.api.invocation.Invoker;
import dev.instar.api.invocation.Preparer;
import dev.instar.api.log.FunctionLogs;
import dev.instar.api.sandbox.Probe;
import dev.instar.api.sandbox.SandboxBackend;
import dev.instar.api.secret.SecretStore;
import dev.instar.api.snapshot.SnapshotStore;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Dictionary;
import java.util.HashMap;
import java.util.Hashtable;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.osgi.framework.Bundle;
import org.osgi.framework.BundleContext;
import org.osgi.framework.ServiceEvent;
import org.osgi.framework.ServiceListener;
import org.osgi.service.cm.Configuration;
import org.osgi.service.cm.ConfigurationAdmin;
import org.osgi.service.component.runtime.ServiceComponentRuntime;
import org.osgi.service.component.runtime.dto.ComponentConfigurationDTO;
import org.osgi.service.component.runtime.dto.ComponentDescriptionDTO;
import org.osgi.test.common.annotation.InjectBundleContext;
import org.osgi.test.common.annotation.InjectService;
import org.osgi.test.junit5.context.BundleContextExtension;
import org.osgi.test.junit5.service.ServiceExtension;
import org.osgi.util.tracker.ServiceTracker;

/** The bundles of the node come up together: each is active, its components are satisfied, the services of the contracts are there. */
@ExtendWith({BundleContextExtension.class, ServiceExtension.class})
public class NodeComponentsIT {
  private static final long PATIENCE_MS = 20_000;

  @InjectBundleContext
  BundleContext context;
  @InjectService(timeout = PATIENCE_MS)
  ServiceComponentRuntime components;

  @Test
  void everyBundleOfOursIsActive() {
    List<String> others = Arrays.stream(context.getBundles()).filter(NodeComponentsIT::ours).filter(b -> b.getState() != Bundle.ACTIVE).map(Bundle::toString).toList();
    assertEquals(List.of(), others);
    Set<String> names = Arrays.stream(context.getBundles()).filter(NodeComponentsIT::ours).map(Bundle::getSymbolicName).collect(Collectors.toCollection(TreeSet::new));
    assertTrue(names.containsAll(Set.of("dev.instar.listener", "dev.instar.gateway", "dev.instar.dialect.faasm", "dev.instar.functions", "dev.instar.images", "dev.instar.scheduler",
        "dev.instar.snapshots", "dev.instar.backend.wasm", "dev.instar.backend.process", "dev.instar.logs", "dev.instar.placement", "dev.instar.secrets", "dev.instar.operations")), names::toString);
  }

  @Test
  void everyComponentIsSatisfied() throws InterruptedException {
    List<String> unsatisfied;
    long end = System.currentTimeMillis() + PATIENCE_MS;
    while (!(unsatisfied = unsatisfied()).isEmpty() && System.currentTimeMillis() < end) {
      Thread.sleep(50);
    }
    assertEquals(List.of(), unsatisfied);
  }

  private List<String> unsatisfied() {
    List<String> found = new ArrayList<>();
    for (Bundle bundle : context.getBundles()) {
      if (ours(bundle)) {
        for (ComponentDescriptionDTO component : components.getComponentDescriptionDTOs(bundle)) {
          var configurations = components.getComponentConfigurationDTOs(component);
          if (configurations.isEmpty()) {
            found.add(component.name + " has no configuration");
          }
          for (ComponentConfigurationDTO one : configurations) {
            if (one.state != ComponentConfigurationDTO.SATISFIED && one.state != ComponentConfigurationDTO.ACTIVE) {
              found.add(component.name + " is in state " + one.state + ", waiting for " + Arrays.stream(one.unsatisfiedReferences).map(r -> r.name).toList());
            }
          }
        }
      }
    }
    return found;
  }

  @ParameterizedTest
  @ValueSource(classes = {DataDirectory.class, ImageStore.class, FunctionRegistry.class, FunctionLogs.class, Invoker.class, Preparer.class, BackendDirectory.class, SandboxBackend.class,
      SnapshotStore.class, SecretStore.class})
  void theServiceOfEachContractIsRegistered(Class<?> contract) throws InterruptedException {
    ServiceTracker<Object, Object> tracker = new ServiceTracker<>(context, contract.getName(), null);
    tracker.open();
    try {
      assertNotNull(tracker.waitForService(PATIENCE_MS), contract::getName);
    } finally {
      tracker.close();
    }
  }

  @Test
  void theSchedulerKnowsBothBackends(@InjectService(timeout = PATIENCE_MS) BackendDirectory directory) throws InterruptedException {
    Set<String> wanted = Set.of("wasm", "process");
    long end = System.currentTimeMillis() + PATIENCE_MS;
    while (!names(directory).equals(wanted) && System.currentTimeMillis() < end) {
      Thread.sleep(50);
    }
    assertEquals(new TreeSet<>(wanted), names(directory));
    BackendStatus wasm = directory.backends().stream().filter(b -> b.description().name().equals("wasm")).findFirst().orElseThrow();
    assertTrue(wasm.probe() instanceof Probe.Usable, () -> "the embedded backend runs everywhere, but: " + wasm.probe());
  }

  @Test
  void aChangedConfigurationReachesTheSchedulerWithoutARestart(@InjectService(timeout = PATIENCE_MS) ConfigurationAdmin admin, @InjectService(timeout = PATIENCE_MS) Invoker before) throws Exception {
    Configuration configuration = admin.getConfiguration("dev.instar.scheduler", "?");
    Dictionary<String, Object> original = configuration.getProperties();
    Dictionary<String, Object> changed = new Hashtable<>();
    Collections.list(original.keys()).forEach(key -> changed.put(key, original.get(key)));
    changed.put("max-idle", 17);
    try {
      configuration.update(changed);
      long end = System.currentTimeMillis() + PATIENCE_MS;
      while (!schedulerHas("max-idle", 17) && System.currentTimeMillis() < end) {
        Thread.sleep(20);
      }
      assertTrue(schedulerHas("max-idle", 17), "the component has not seen the change");
      ServiceTracker<Invoker, Invoker> tracker = new ServiceTracker<>(context, Invoker.class, null);
      tracker.open();
      try {
        assertSame(before, tracker.waitForService(PATIENCE_MS), "the scheduler was modified, not started anew");
      } finally {
        tracker.close();
      }
    } finally {
      configuration.update(original);
    }
  }

  /** Each part is changed once; nothing that any part offers goes meanwhile, the port least of all. */
  @Test
  void aChangeOfAnyPartRestartsNothing(@InjectService(timeout = PATIENCE_MS) ConfigurationAdmin admin) throws Exception {
    everyComponentIsSatisfied();
    Map<String, Map.Entry<String, Object>> changes = Map.of("dev.instar.scheduler", Map.entry("max-idle", 18), "dev.instar.gateway", Map.entry("max-followers", 18), "dev.instar.functions", Map.entry("max-versions", 18),
        "dev.instar.images", Map.entry("max-depth", 18), "dev.instar.snapshots", Map.entry("budget-mib", 4018L), "dev.instar.logs", Map.entry("queue-bytes", 8_000_018L), "dev.instar.backend.wasm", Map.entry("functions", 50_018),
        "dev.instar.backend.process", Map.entry("close-grace-ms", 318), "dev.instar.dialect.faasm~main", Map.entry("service-wait-ms", 10_018), "dev.instar.listener", Map.entry("idle-timeout-ms", 30_018));
    List<String> gone = new CopyOnWriteArrayList<>();
    ServiceListener listener = event -> {
      if (event.getType() == ServiceEvent.UNREGISTERING && ours(event.getServiceReference().getBundle())) {
        gone.add(event.getServiceReference().toString() + " of " + event.getServiceReference().getProperty("component.name"));
      }
    };
    String port = System.getProperty("dev.instar.listener.port");
    assertNotNull(port, "the node listens");
    Set<String> running = active();
    context.addServiceListener(listener);
    Map<Configuration, Dictionary<String, Object>> before = new HashMap<>();
    try {
      for (Map.Entry<String, Map.Entry<String, Object>> change : changes.entrySet()) {
        String key = change.getValue().getKey();
        Configuration[] found = admin.listConfigurations("(service.pid=" + change.getKey() + ")");
        assertNotNull(found, change.getKey());
        Dictionary<String, Object> original = found[0].getProperties();
        before.put(found[0], original);
        Dictionary<String, Object> changed = new Hashtable<>();
        Collections.list(original.keys()).forEach(k -> changed.put(k, original.get(k)));
        changed.put(key, change.getValue().getValue());
        found[0].update(changed);
        long end = System.currentTimeMillis() + PATIENCE_MS;
        while (!has(key, change.getValue().getValue()) && System.currentTimeMillis() < end) {
          Thread.sleep(20);
        }
        assertTrue(has(key, change.getValue().getValue()), () -> change + " has not reached its component");
        assertEquals(List.of(), gone, () -> change.toString());
        assertEquals(running, active(), () -> change.toString());
        assertEquals(port, System.getProperty("dev.instar.listener.port"), "a listener that begins anew takes another port");
      }
    } finally {
      context.removeServiceListener(listener);
      for (Map.Entry<Configuration, Dictionary<String, Object>> one : before.entrySet()) {
        one.getKey().update(one.getValue());
      }
    }
  }

  /** Each component that is active, with its id, which another activation of a new configuration would not have, and that of its service. */
  private Set<String> active() {
    return Arrays.stream(context.getBundles()).filter(NodeComponentsIT::ours).flatMap(b -> components.getComponentDescriptionDTOs(b).stream()).flatMap(c -> components.getComponentConfigurationDTOs(c).stream())
        .map(c -> c.description.name + " " + c.id + (c.state == ComponentConfigurationDTO.ACTIVE ? " active " : " not active ") + (c.service == null ? "" : c.service.id)).collect(Collectors.toCollection(TreeSet::new));
  }

  private boolean has(String key, Object value) {
    return Arrays.stream(context.getBundles()).filter(NodeComponentsIT::ours).flatMap(b -> components.getComponentDescriptionDTOs(b).stream())
        .flatMap(c -> components.getComponentConfigurationDTOs(c).stream()).anyMatch(c -> value.equals(c.properties.get(key)));
  }

  private boolean schedulerHas(String key, Object value) {
    return Arrays.stream(context.getBundles()).filter(b -> "dev.instar.scheduler".equals(b.getSymbolicName())).flatMap(b -> components.getComponentDescriptionDTOs(b).stream())
        .flatMap(c -> components.getComponentConfigurationDTOs(c).stream()).anyMatch(c -> value.equals(c.properties.get(key)) && c.state == ComponentConfigurationDTO.ACTIVE);
  }

  private static Set<String> names(BackendDirectory directory) {
    return directory.backends().stream().map(b -> b.description().name()).collect(Collectors.toCollection(TreeSet::new));
  }

  private static boolean ours(Bundle bundle) {
    return bundle.getSymbolicName() != null && bundle.getSymbolicName().startsWith("dev.instar.");
  }
}
