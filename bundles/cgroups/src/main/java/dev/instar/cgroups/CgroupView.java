package dev.instar.cgroups;

import com.fasterxml.jackson.databind.ObjectMapper;
import dev.instar.api.cgroup.CgroupLease;
import dev.instar.api.cgroup.CgroupLimits;
import dev.instar.api.cgroup.CgroupManager;
import dev.instar.api.cgroup.CgroupRequest;
import dev.instar.api.cgroup.CgroupSupport;
import dev.instar.api.cgroup.CgroupUsage;
import dev.instar.api.http.HttpDialect;
import dev.instar.api.http.HttpExchange;
import dev.instar.api.http.Route;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.stream.Stream;
import org.apache.felix.hc.api.HealthCheck;
import org.apache.felix.hc.api.Result;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Reference;

/** What operators see of cgroups: what the host can do, who has which, and what is used of them. */
@Component(immediate = true, service = {HttpDialect.class, HealthCheck.class}, property = HealthCheck.NAME + "=cgroups")
public final class CgroupView implements HttpDialect, HealthCheck {
  private static final ObjectMapper JSON = new ObjectMapper();

  private final CgroupManager manager;

  /** For Declarative Services. */
  @Activate
  public CgroupView(@Reference CgroupManager manager) {
    this.manager = manager;
  }

  @Override
  public Result execute() {
    CgroupSupport support = manager.probe();
    if (support.usable()) {
      return new Result(Result.Status.OK, shown(support.mode()) + ": sandboxes are held to limits of " + String.join(", ", controllers(support)));
    }
    // A node that only runs WebAssembly wants none.
    return new Result(Result.Status.WARN, "sandboxes of their own process are held to no limits; missing: " + support.missing().getFirst().what() + "\n"
        + support.missing().getFirst().remedy());
  }

  @Override
  public String name() {
    return "cgroups";
  }

  @Override
  public List<Route> routes() {
    return List.of(new Route("GET", "/v1/cgroups", this::answer));
  }

  private void answer(HttpExchange exchange) throws IOException {
    exchange.respond(200, Map.of("Content-Type", "application/json", "Cache-Control", "no-store"), JSON.writeValueAsBytes(all()));
  }

  Map<String, Object> all() {
    CgroupSupport support = manager.probe();
    Map<String, Object> all = new LinkedHashMap<>();
    all.put("mode", shown(support.mode()));
    all.put("usable", support.usable());
    support.parent().ifPresent(parent -> all.put("parent", parent));
    all.put("controllers", controllers(support));
    all.put("freezes", support.freezes());
    all.put("kills", support.kills());
    all.put("clones", support.clones());
    all.put("missing", support.missing().stream().map(missing -> Map.of("what", missing.what(), "remedy", missing.remedy())).toList());
    all.put("leases", manager.leases().stream().flatMap(CgroupView::lease).toList());
    return all;
  }

  private static List<String> controllers(CgroupSupport support) {
    return support.controllers().stream().sorted().map(CgroupView::shown).toList();
  }

  private static String shown(Enum<?> constant) {
    return constant.name().toLowerCase(Locale.ROOT);
  }

  private static Stream<Map<String, Object>> lease(CgroupLease lease) {
    try {
      Map<String, Object> facts = new LinkedHashMap<>();
      CgroupRequest request = lease.request();
      facts.put("name", lease.name());
      facts.put("sandbox", request.sandboxId());
      facts.put("function", request.holder());
      facts.put("limits", limits(request.limits()));
      facts.put("usage", usage(lease.usage()));
      lease.pressure().ifPresent(pressure -> facts.put("pressure", Map.of("cpu", pressure.cpu(), "memory", pressure.memory(), "io", pressure.io())));
      return Stream.of(facts);
    } catch (IllegalStateException e) {
      // It has been given back at this moment.
      return Stream.empty();
    }
  }

  private static Map<String, Object> limits(CgroupLimits limits) {
    Map<String, Object> facts = new LinkedHashMap<>();
    put(facts, "memory", limits.memoryBytes());
    put(facts, "cpu", limits.host().cpuMillis());
    put(facts, "cpuWeight", limits.host().cpuWeight());
    limits.host().cpuset().ifPresent(cpuset -> facts.put("cpuset", cpuset));
    put(facts, "processes", limits.host().processes());
    put(facts, "ioWeight", limits.host().ioWeight());
    return facts;
  }

  private static Map<String, Object> usage(CgroupUsage usage) {
    Map<String, Object> facts = new LinkedHashMap<>();
    put(facts, "memory", usage.memoryBytes());
    put(facts, "memoryPeak", usage.memoryPeakBytes());
    put(facts, "oomKills", usage.oomKills());
    put(facts, "cpuMicros", usage.cpuMicros());
    put(facts, "throttledMicros", usage.throttledMicros());
    put(facts, "processes", usage.processes());
    put(facts, "processRefusals", usage.processRefusals());
    return facts;
  }

  private static void put(Map<String, Object> facts, String name, OptionalLong value) {
    value.ifPresent(number -> facts.put(name, number));
  }

  private static void put(Map<String, Object> facts, String name, OptionalInt value) {
    value.ifPresent(number -> facts.put(name, number));
  }
}
