package dev.instar.operations;

import com.fasterxml.jackson.databind.ObjectMapper;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import dev.instar.api.function.FunctionRegistry;
import dev.instar.api.http.HttpDialect;
import dev.instar.api.http.HttpExchange;
import dev.instar.api.http.Route;
import dev.instar.api.image.ImageStore;
import dev.instar.api.invocation.BackendDirectory;
import dev.instar.api.invocation.BackendStatus;
import dev.instar.api.invocation.Invoker;
import dev.instar.api.operations.ConfigurationProblem;
import dev.instar.api.sandbox.Probe;
import dev.instar.operations.deploy.Deployments;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.osgi.framework.Bundle;
import org.osgi.framework.BundleContext;
import org.osgi.framework.wiring.BundleRevision;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Reference;
import org.osgi.service.component.annotations.ReferenceCardinality;
import org.osgi.service.component.annotations.ReferencePolicy;
import org.osgi.service.component.annotations.ReferencePolicyOption;
import org.osgi.service.component.runtime.ServiceComponentRuntime;
import org.osgi.service.component.runtime.dto.ComponentConfigurationDTO;
import org.osgi.service.component.runtime.dto.ComponentDescriptionDTO;

/** What an operator asks a node: whether it works, whether it can serve, which backends and bundles it has. */
@Component(immediate = true)
public final class Operations implements HttpDialect {
  private static final String OURS = "dev.instar.";
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Map<String, String> HEADERS = Map.of("Content-Type", "application/json", "Cache-Control", "no-store");

  private final BundleContext context;

  @Reference(cardinality = ReferenceCardinality.OPTIONAL, policy = ReferencePolicy.DYNAMIC, policyOption = ReferencePolicyOption.GREEDY)
  volatile FunctionRegistry registry;

  @Reference(cardinality = ReferenceCardinality.OPTIONAL, policy = ReferencePolicy.DYNAMIC, policyOption = ReferencePolicyOption.GREEDY)
  volatile ImageStore images;

  @Reference(cardinality = ReferenceCardinality.OPTIONAL, policy = ReferencePolicy.DYNAMIC, policyOption = ReferencePolicyOption.GREEDY)
  volatile Invoker invoker;

  @Reference(cardinality = ReferenceCardinality.OPTIONAL, policy = ReferencePolicy.DYNAMIC, policyOption = ReferencePolicyOption.GREEDY)
  volatile BackendDirectory backends;

  @Reference(cardinality = ReferenceCardinality.OPTIONAL, policy = ReferencePolicy.DYNAMIC, policyOption = ReferencePolicyOption.GREEDY)
  volatile ServiceComponentRuntime components;

  @Reference(cardinality = ReferenceCardinality.OPTIONAL, policy = ReferencePolicy.DYNAMIC, policyOption = ReferencePolicyOption.GREEDY)
  volatile ConfigurationFiles configuration;

  @Reference(cardinality = ReferenceCardinality.OPTIONAL, policy = ReferencePolicy.DYNAMIC, policyOption = ReferencePolicyOption.GREEDY)
  volatile Deployments deployments;

  /** For Declarative Services. */
  @Activate
  public Operations(BundleContext context) {
    this.context = context;
  }

  @Override
  public String name() {
    return "operations";
  }

  @Override
  public List<Route> routes() {
    return List.of(
        new Route("GET", "/healthz", exchange -> answer(exchange, Map.of("status", "ok"))),
        new Route("GET", "/readyz", this::ready),
        new Route("GET", "/v1/backends", exchange -> answer(exchange, Map.of("backends", backends()))));
  }

  private static void answer(HttpExchange exchange, Object body) throws IOException {
    exchange.respond(200, HEADERS, JSON.writeValueAsBytes(body));
  }

  private void ready(HttpExchange exchange) throws IOException {
    List<String> missing = missing();
    List<String> refused = refused();
    if (missing.isEmpty()) {
      Map<String, Object> body = new LinkedHashMap<>();
      body.put("status", "ready");
      body.put("version", version());
      body.put("refusedConfiguration", refused);
      body.put("waitingConfiguration", waiting());
      answer(exchange, body);
    } else {
      exchange.respond(Problem.of(ErrorCode.NOT_READY, "This node can't serve yet: " + String.join("; ", missing) + ".",
          Map.of("missing", missing, "version", version(), "refusedConfiguration", refused, "waitingConfiguration", waiting())).retryAfter(Duration.ofSeconds(1)));
    }
  }

  private String version() {
    String version = context.getProperty("instar.version");
    return version == null ? "unknown" : version;
  }

  private List<String> refused() {
    ConfigurationFiles files = configuration;
    return files == null ? List.of() : files.refusals().stream().flatMap(r -> r.problems().stream()).map(ConfigurationProblem::detail).toList();
  }

  private List<String> waiting() {
    ConfigurationFiles files = configuration;
    return files == null ? List.of() : files.waiting();
  }

  /** What a node needs to serve and has not got. */
  private List<String> missing() {
    List<String> missing = new ArrayList<>();
    if (registry == null) {
      missing.add("the function registry is not there");
    }
    if (images == null) {
      missing.add("the image store is not there");
    }
    if (invoker == null) {
      missing.add("the scheduler is not there");
    }
    BackendDirectory directory = backends;
    if (directory != null) {
      List<BackendStatus> all = directory.backends();
      if (all.stream().noneMatch(b -> b.state() == BackendStatus.State.ACTIVE && b.probe() instanceof Probe.Usable)) {
        missing.add("no backend is there that this host can run");
        for (BackendStatus status : all) {
          if (status.probe() instanceof Probe.Missing probe) {
            missing.add("backend " + status.description().name() + ": " + probe.what() + " (" + probe.remedy() + ")");
          }
        }
      }
    }
    for (Bundle bundle : context.getBundles()) {
      if (bundle.getSymbolicName() != null && bundle.getSymbolicName().startsWith(OURS) && !fragment(bundle) && !stopped(bundle)) {
        if (bundle.getState() != Bundle.ACTIVE) {
          missing.add("bundle " + bundle.getSymbolicName() + " is " + state(bundle));
        } else {
          unsatisfied(bundle, missing);
        }
      }
    }
    return missing;
  }

  /** Components that want what is not there. One that only waits for a configuration is not wanted by the operator. */
  private void unsatisfied(Bundle bundle, List<String> missing) {
    ServiceComponentRuntime runtime = components;
    if (runtime == null) {
      return;
    }
    for (ComponentDescriptionDTO component : runtime.getComponentDescriptionDTOs(bundle)) {
      for (ComponentConfigurationDTO one : runtime.getComponentConfigurationDTOs(component)) {
        if (one.state == ComponentConfigurationDTO.UNSATISFIED_REFERENCE) {
          missing.add(component.name + " waits for " + String.join(", ", Arrays.stream(one.unsatisfiedReferences).map(r -> r.name).toList()));
        } else if (one.state == ComponentConfigurationDTO.FAILED_ACTIVATION) {
          missing.add(component.name + " failed to start; the node's log says why");
        }
      }
    }
  }

  private List<Map<String, Object>> backends() {
    BackendDirectory directory = backends;
    if (directory == null) {
      throw new InstarException(Problem.of(ErrorCode.NOT_READY, "The scheduler is not there. Try again in a moment.")
          .retryAfter(Duration.ofSeconds(1)));
    }
    return directory.backends().stream().map(Operations::backend).toList();
  }

  private static Map<String, Object> backend(BackendStatus status) {
    Map<String, Object> facts = new LinkedHashMap<>();
    facts.put("name", status.description().name());
    facts.put("summary", status.description().summary());
    facts.put("kinds", status.description().kinds().stream().sorted().toList());
    facts.put("shape", shown(status.description().shape()));
    facts.put("isolation", shown(status.description().isolation()));
    facts.put("resets", status.description().resets());
    facts.put("version", status.description().version());
    switch (status.probe()) {
      case Probe.Usable usable -> {
        facts.put("usable", true);
        facts.put("detail", usable.detail());
      }
      case Probe.Missing missing -> {
        facts.put("usable", false);
        facts.put("missing", missing.what());
        facts.put("remedy", missing.remedy());
      }
    }
    facts.put("generation", status.generation());
    facts.put("state", shown(status.state()));
    facts.put("inFlight", status.inFlight());
    facts.put("idle", status.idle());
    facts.put("served", status.served());
    return facts;
  }

  private static String shown(Enum<?> constant) {
    return constant.name().toLowerCase(Locale.ROOT).replace('_', '-');
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
}
