package dev.instar.operations.health;

import dev.instar.api.data.DataDirectory;
import dev.instar.api.function.FunctionRegistry;
import dev.instar.api.image.ImageStore;
import dev.instar.api.invocation.BackendDirectory;
import dev.instar.api.invocation.BackendStatus;
import dev.instar.api.invocation.Invoker;
import dev.instar.api.sandbox.Probe;
import dev.instar.api.snapshot.SnapshotStore;
import dev.instar.operations.deploy.Deployments;
import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Hashtable;
import java.util.List;
import java.util.Optional;
import org.apache.felix.hc.api.HealthCheck;
import org.apache.felix.hc.api.Result;
import org.apache.felix.hc.api.Result.Status;
import org.apache.felix.hc.api.ResultLog;
import org.osgi.framework.Bundle;
import org.osgi.framework.BundleContext;
import org.osgi.framework.Constants;
import org.osgi.framework.ServiceRegistration;
import org.osgi.framework.wiring.BundleRevision;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Deactivate;
import org.osgi.service.component.annotations.Reference;
import org.osgi.service.component.annotations.ReferenceCardinality;
import org.osgi.service.component.annotations.ReferencePolicy;
import org.osgi.service.component.annotations.ReferencePolicyOption;
import org.osgi.service.component.runtime.ServiceComponentRuntime;
import org.osgi.service.component.runtime.dto.ComponentConfigurationDTO;
import org.osgi.service.component.runtime.dto.ComponentDescriptionDTO;

/** The node's own checks. What a bundle alone can see, it brings as a check of its own. */
@Component(immediate = true, service = NodeChecks.class)
public final class NodeChecks {
  private static final String OURS = "dev.instar.";
  /** What the listener tells the launcher, too. */
  private static final String PORT = "dev.instar.listener.port";
  private static final String MEND = "Mend its configuration dev.instar.listener.cfg.json.";
  private static final String PROBLEM = "dev.instar.listener.problem";
  private static final long LITTLE_SPACE = 1L << 30;
  /** Less than the artifact of one upload may have. */
  private static final long NO_SPACE = 64L << 20;
  private static final String RESTART = "See node.log for the reason, mend it and restart the node.";

  private final BundleContext context;
  private final List<ServiceRegistration<HealthCheck>> registered = new ArrayList<>();

  @Reference(cardinality = ReferenceCardinality.OPTIONAL, policy = ReferencePolicy.DYNAMIC, policyOption = ReferencePolicyOption.GREEDY)
  volatile FunctionRegistry registry;

  @Reference(cardinality = ReferenceCardinality.OPTIONAL, policy = ReferencePolicy.DYNAMIC, policyOption = ReferencePolicyOption.GREEDY)
  volatile ImageStore images;

  @Reference(cardinality = ReferenceCardinality.OPTIONAL, policy = ReferencePolicy.DYNAMIC, policyOption = ReferencePolicyOption.GREEDY)
  volatile SnapshotStore snapshots;

  @Reference(cardinality = ReferenceCardinality.OPTIONAL, policy = ReferencePolicy.DYNAMIC, policyOption = ReferencePolicyOption.GREEDY)
  volatile Invoker invoker;

  @Reference(cardinality = ReferenceCardinality.OPTIONAL, policy = ReferencePolicy.DYNAMIC, policyOption = ReferencePolicyOption.GREEDY)
  volatile BackendDirectory backends;

  @Reference(cardinality = ReferenceCardinality.OPTIONAL, policy = ReferencePolicy.DYNAMIC, policyOption = ReferencePolicyOption.GREEDY)
  volatile DataDirectory data;

  @Reference(cardinality = ReferenceCardinality.OPTIONAL, policy = ReferencePolicy.DYNAMIC, policyOption = ReferencePolicyOption.GREEDY)
  volatile ServiceComponentRuntime components;

  @Reference(cardinality = ReferenceCardinality.OPTIONAL, policy = ReferencePolicy.DYNAMIC, policyOption = ReferencePolicyOption.GREEDY)
  volatile Deployments deployments;

  /** For Declarative Services. */
  @Activate
  public NodeChecks(BundleContext context) {
    this.context = context;
    needed("function registry", () -> store(registry != null, "function registry", "functions"));
    needed("image store", () -> store(images != null, "image store", "images"));
    needed("snapshot store", this::snapshotStore);
    needed("scheduler", this::scheduler);
    needed("bundles", this::bundles);
    register("stop", List.of(Health.READY), this::stop);
    register("listener", List.of(), NodeChecks::listener);
    register("data directory", List.of(), this::dataDirectory);
    register("disk space", List.of(), this::diskSpace);
  }

  /** What is missing while the node stops is no fault, and nobody is to mend it. */
  private void needed(String name, HealthCheck check) {
    register(name, List.of(Health.READY), () -> stopping() ? ok("the node is stopping") : check.execute());
  }

  private boolean stopping() {
    return context.getBundle(Constants.SYSTEM_BUNDLE_LOCATION).getState() == Bundle.STOPPING;
  }

  private void register(String name, List<String> tags, HealthCheck check) {
    registered.add(context.registerService(HealthCheck.class, check, properties(name, tags)));
  }

  @Deactivate
  void unregister() {
    registered.forEach(ServiceRegistration::unregister);
  }

  /** Of the service of a check. */
  public static Hashtable<String, Object> properties(String name, List<String> tags) {
    Hashtable<String, Object> properties = new Hashtable<>();
    properties.put(HealthCheck.NAME, name);
    properties.put(HealthCheck.TAGS, tags.toArray(String[]::new));
    return properties;
  }

  private static Result ok(String message) {
    return new Result(Status.OK, message);
  }

  private static Result result(Status status, String message, String remedy) {
    return result(List.of(new Finding(status, message, remedy)), "");
  }

  private static Result result(List<Finding> findings, String otherwise) {
    if (findings.isEmpty()) {
      return ok(otherwise);
    }
    ResultLog log = new ResultLog();
    findings.forEach(finding -> log.add(finding.entry()));
    return new Result(log);
  }

  private Result store(boolean there, String name, String area) {
    Optional<Finding> blocked = blocked(area);
    if (blocked.isPresent()) {
      return result(List.of(blocked.get()), "");
    }
    return there ? ok("it is there") : result(Status.CRITICAL, "the " + name + " is not there", remedy());
  }

  /** A node can do without: it initialises functions at each start then. Not with one that could not start. */
  private Result snapshotStore() {
    Optional<Finding> blocked = blocked("snapshots");
    if (blocked.isPresent()) {
      return result(List.of(blocked.get()), "");
    }
    return snapshots != null ? ok("it is there")
        : result(Status.WARN, "there is no snapshot store, so functions are initialised at each start of the node", "Start the bundle dev.instar.snapshots.");
  }

  /** What stands where a store wants its directory: the component says so in the log only. */
  private Optional<Finding> blocked(String area) {
    DataDirectory directory = data;
    if (directory == null) {
      return Optional.empty();
    }
    Path place = directory.root().resolve(area);
    if (Files.exists(place, LinkOption.NOFOLLOW_LINKS) && !Files.isDirectory(place)) {
      return Optional.of(new Finding(Status.CRITICAL, place + " is not a directory", "Move it away and restart the node."));
    }
    if (Files.isDirectory(place) && !(Files.isWritable(place) && Files.isExecutable(place))) {
      return Optional.of(new Finding(Status.CRITICAL, place + " may not be written by the node's user",
          "Give it to the user that the node runs as, with its content (chown -R), and restart the node."));
    }
    return Optional.empty();
  }

  private Result scheduler() {
    List<Finding> findings = new ArrayList<>();
    if (invoker == null) {
      findings.add(new Finding(Status.CRITICAL, "the scheduler is not there", remedy()));
    }
    BackendDirectory directory = backends;
    List<BackendStatus> all = directory == null ? List.of() : directory.backends();
    List<String> usable = all.stream().filter(b -> b.state() == BackendStatus.State.ACTIVE && b.probe() instanceof Probe.Usable)
        .map(b -> b.description().name()).distinct().toList();
    if (directory != null && usable.isEmpty()) {
      findings.add(new Finding(Status.CRITICAL, "no backend is there that this host can run", "Switch a feature with a backend on, or do what 'instar doctor' says of each."));
      for (BackendStatus status : all) {
        if (status.probe() instanceof Probe.Missing probe) {
          findings.add(new Finding(Status.CRITICAL, "backend " + status.description().name() + ": " + probe.what() + " (" + probe.remedy() + ")", probe.remedy()));
        }
      }
    }
    return result(findings, "it can run functions on: " + String.join(", ", usable));
  }

  private Result bundles() {
    List<Finding> findings = new ArrayList<>();
    int count = 0;
    for (Bundle bundle : context.getBundles()) {
      if (bundle.getSymbolicName() != null && bundle.getSymbolicName().startsWith(OURS) && !fragment(bundle) && !stopped(bundle)) {
        count++;
        if (bundle.getState() != Bundle.ACTIVE) {
          findings.add(new Finding(Status.CRITICAL, "bundle " + bundle.getSymbolicName() + " is " + state(bundle), RESTART));
        } else {
          unsatisfied(bundle, findings);
        }
      }
    }
    return result(findings, count + " bundles of Instar are active");
  }

  /** Components that want what is not there. One that only waits for a configuration is not wanted by the operator. */
  private void unsatisfied(Bundle bundle, List<Finding> findings) {
    ServiceComponentRuntime runtime = components;
    if (runtime == null) {
      return;
    }
    for (ComponentDescriptionDTO component : runtime.getComponentDescriptionDTOs(bundle)) {
      for (ComponentConfigurationDTO one : runtime.getComponentConfigurationDTOs(component)) {
        if (one.state == ComponentConfigurationDTO.UNSATISFIED_REFERENCE) {
          findings.add(new Finding(Status.CRITICAL, component.name + " waits for " + String.join(", ", Arrays.stream(one.unsatisfiedReferences).map(r -> r.name).toList()), remedy()));
        } else if (one.state == ComponentConfigurationDTO.FAILED_ACTIVATION) {
          findings.add(new Finding(Status.CRITICAL, component.name + " failed to start; the node's log says why", RESTART));
        }
      }
    }
  }

  /** What is missing may be what an operator has stopped. */
  private String remedy() {
    List<String> stopped = Arrays.stream(context.getBundles()).filter(bundle -> bundle.getSymbolicName() != null && bundle.getState() != Bundle.ACTIVE && stopped(bundle))
        .map(Bundle::getSymbolicName).sorted().toList();
    return stopped.isEmpty() ? RESTART : "Start again what was stopped: " + String.join(", ", stopped.stream().map(name -> "'instar bundles start " + name + "'").toList()) + ".";
  }

  /** Whether it rests because an operator has stopped it. */
  private boolean stopped(Bundle bundle) {
    Deployments deployer = deployments;
    return deployer != null && deployer.stopped(bundle.getSymbolicName());
  }

  private static boolean fragment(Bundle bundle) {
    BundleRevision revision = bundle.adapt(BundleRevision.class);
    return revision != null && (revision.getTypes() & BundleRevision.TYPE_FRAGMENT) != 0;
  }

  private static String state(Bundle bundle) {
    return switch (bundle.getState()) {
      case Bundle.INSTALLED -> "installed";
      case Bundle.RESOLVED -> "resolved";
      case Bundle.STARTING -> "starting";
      case Bundle.ACTIVE -> "active";
      case Bundle.STOPPING -> "stopping";
      default -> "uninstalled";
    };
  }

  /** Whoever sends calls here should cease to before the port is closed. */
  private Result stop() {
    return stopping() ? result(Status.CRITICAL, "the node is stopping", "") : ok("nobody has asked the node to stop");
  }

  private static Result listener() {
    String port = System.getProperty(PORT);
    String problem = System.getProperty(PROBLEM);
    if (port == null) {
      return result(Status.CRITICAL, "it does not listen" + (problem == null ? "" : ": " + problem), MEND);
    }
    return problem == null ? ok("it listens on port " + port)
        : result(Status.WARN, "it listens on port " + port + ", but not as it is configured, and may not start again with that: " + problem, MEND);
  }

  private Result dataDirectory() {
    DataDirectory directory = data;
    if (directory == null) {
      return result(Status.CRITICAL, "the data directory is not there", RESTART);
    }
    try {
      Path probe = Files.createTempFile(directory.scratch("health"), "write", "");
      try {
        Files.write(probe, new byte[1]);
      } finally {
        Files.delete(probe);
      }
      return ok(directory.root() + " can be written");
    } catch (IOException | RuntimeException e) {
      String reason = e instanceof FileSystemException f && f.getReason() != null ? f.getReason() : e.getMessage();
      return result(Status.CRITICAL, directory.root() + " cannot be written: " + reason,
          "Make room, give it to the user that the node runs as, or mount its file system for writing.");
    }
  }

  private Result diskSpace() {
    DataDirectory directory = data;
    if (directory == null) {
      return result(Status.CRITICAL, "the data directory is not there", RESTART);
    }
    try {
      long free = Files.getFileStore(directory.root()).getUsableSpace();
      String found = (free >> 20) + " MiB are free for " + directory.root();
      return free >= LITTLE_SPACE ? ok(found)
          : result(free >= NO_SPACE ? Status.WARN : Status.CRITICAL, found + "; without room uploads fail with no-space",
              "Make room on its file system; 'instar snapshots gc' and a smaller budget of dev.instar.snapshots and code-cache-bytes of dev.instar.backend.wasm give some back.");
    } catch (IOException e) {
      return result(Status.CRITICAL, "the free space of " + directory.root() + " is not known: " + e.getMessage(), "");
    }
  }
}
