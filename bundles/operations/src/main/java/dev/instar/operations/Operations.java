package dev.instar.operations;

import com.fasterxml.jackson.databind.ObjectMapper;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import dev.instar.api.http.HttpDialect;
import dev.instar.api.http.HttpExchange;
import dev.instar.api.http.Route;
import dev.instar.api.invocation.BackendDirectory;
import dev.instar.api.invocation.BackendStatus;
import dev.instar.api.operations.ConfigurationProblem;
import dev.instar.api.sandbox.Probe;
import dev.instar.operations.health.Finding;
import dev.instar.operations.health.Health;
import dev.instar.operations.health.NodeChecks;
import dev.instar.operations.health.Report;
import java.io.IOException;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;
import org.apache.felix.hc.api.HealthCheck;
import org.apache.felix.hc.api.Result;
import org.apache.felix.hc.api.ResultLog;
import org.osgi.framework.BundleContext;
import org.osgi.framework.ServiceRegistration;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Deactivate;
import org.osgi.service.component.annotations.Reference;
import org.osgi.service.component.annotations.ReferenceCardinality;
import org.osgi.service.component.annotations.ReferencePolicy;
import org.osgi.service.component.annotations.ReferencePolicyOption;

/** What an operator asks a node: whether it works, whether it can serve, which backends and bundles it has. */
@Component(immediate = true)
public final class Operations implements HttpDialect {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Map<String, String> HEADERS = Map.of("Content-Type", "application/json", "Cache-Control", "no-store");

  private final BundleContext context;
  private final Health health;
  private final ServiceRegistration<HealthCheck> check;

  @Reference(cardinality = ReferenceCardinality.OPTIONAL, policy = ReferencePolicy.DYNAMIC, policyOption = ReferencePolicyOption.GREEDY)
  volatile BackendDirectory backends;

  @Reference(cardinality = ReferenceCardinality.OPTIONAL, policy = ReferencePolicy.DYNAMIC, policyOption = ReferencePolicyOption.GREEDY)
  volatile ConfigurationFiles configuration;

  /**
   * For Declarative Services.
   *
   * @param checks so that the node is not called ready before it is looked at
   */
  @Activate
  public Operations(BundleContext context, @Reference NodeChecks checks) {
    this.context = context;
    health = new Health(context);
    check = context.registerService(HealthCheck.class, this::configurationCheck, NodeChecks.properties("configuration", List.of()));
  }

  @Deactivate
  void stop() {
    check.unregister();
    health.close();
  }

  private Result configurationCheck() {
    List<String> refused = refused();
    ResultLog log = new ResultLog();
    refused.forEach(problem -> log.add(new ResultLog.Entry(Result.Status.WARN, problem)));
    return refused.isEmpty() ? new Result(Result.Status.OK, "every file is in force or waits for its bundle") : new Result(log);
  }

  @Override
  public String name() {
    return "operations";
  }

  @Override
  public List<Route> routes() {
    return List.of(
        new Route("GET", "/healthz", this::healthy),
        new Route("GET", "/readyz", this::ready),
        new Route("GET", "/v1/backends", exchange -> answer(exchange, Map.of("backends", backends()))));
  }

  private static void answer(HttpExchange exchange, Object body) throws IOException {
    exchange.respond(200, HEADERS, JSON.writeValueAsBytes(body));
  }

  private void healthy(HttpExchange exchange) throws IOException {
    Map<String, Object> body = new LinkedHashMap<>();
    body.put("status", "ok");
    body.put("checks", health.all().stream().flatMap(Operations::findings).toList());
    answer(exchange, body);
  }

  /** A check with several findings has an element for each. */
  private static Stream<Map<String, Object>> findings(Report report) {
    return report.findings().stream().map(finding -> {
      Map<String, Object> facts = new LinkedHashMap<>();
      facts.put("name", report.name());
      facts.put("status", shown(finding.status()));
      facts.put("message", finding.message());
      if (!finding.remedy().isEmpty()) {
        facts.put("remedy", finding.remedy());
      }
      return facts;
    });
  }

  private void ready(HttpExchange exchange) throws IOException {
    List<Report> failed = health.needed().stream().filter(report -> !report.works()).toList();
    List<Finding> reasons = failed.stream().flatMap(report -> report.decisive().stream()).toList();
    List<String> missing = reasons.stream().map(Finding::message).toList();
    List<String> remedies = reasons.stream().map(Finding::remedy).filter(remedy -> !remedy.isEmpty()).distinct().toList();
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
          Map.of("missing", missing, "remedies", remedies, "version", version(), "refusedConfiguration", refused, "waitingConfiguration", waiting())).retryAfter(Duration.ofSeconds(1)));
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
}
