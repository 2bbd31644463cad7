package dev.instar.network;

import com.fasterxml.jackson.databind.ObjectMapper;
import dev.instar.api.http.HttpDialect;
import dev.instar.api.http.HttpExchange;
import dev.instar.api.http.Route;
import dev.instar.api.network.LeaseStatus;
import dev.instar.api.network.NetworkAllocator;
import dev.instar.api.network.NetworkRequest;
import dev.instar.api.sandbox.Probe;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.felix.hc.api.HealthCheck;
import org.apache.felix.hc.api.Result;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Reference;

/** What operators see of networks: what the host can, how many are ready, and who has which. */
@Component(immediate = true, service = {HttpDialect.class, HealthCheck.class}, property = HealthCheck.NAME + "=network")
public final class NetworkView implements HttpDialect, HealthCheck {
  private static final ObjectMapper JSON = new ObjectMapper();

  private final NetworkAllocator allocator;

  /** For Declarative Services. */
  @Activate
  public NetworkView(@Reference NetworkAllocator allocator) {
    this.allocator = allocator;
  }

  @Override
  public Result execute() {
    return switch (allocator.probe()) {
      case Probe.Usable usable -> new Result(Result.Status.OK, "sandboxes can have networks: " + usable.detail());
      // A node that only runs WebAssembly wants none.
      case Probe.Missing missing -> new Result(Result.Status.WARN, "sandboxes have no networks of their own; missing: " + missing.what() + "\n" + missing.remedy());
    };
  }

  @Override
  public String name() {
    return "network";
  }

  @Override
  public List<Route> routes() {
    return List.of(new Route("GET", "/v1/network", this::answer));
  }

  private void answer(HttpExchange exchange) throws IOException {
    exchange.respond(200, Map.of("Content-Type", "application/json", "Cache-Control", "no-store"), JSON.writeValueAsBytes(all()));
  }

  Map<String, Object> all() {
    Map<String, Object> all = new LinkedHashMap<>();
    switch (allocator.probe()) {
      case Probe.Usable usable -> {
        all.put("usable", true);
        all.put("detail", usable.detail());
      }
      case Probe.Missing missing -> {
        all.put("usable", false);
        all.put("missing", missing.what());
        all.put("remedy", missing.remedy());
      }
    }
    NetworkAllocator.Status status = allocator.status();
    all.put("mark", status.mark());
    all.put("networks", status.networks());
    all.put("ready", status.free());
    all.put("most", status.most());
    all.put("taken", status.taken());
    all.put("leases", status.leases().stream().map(NetworkView::lease).toList());
    return all;
  }

  private static Map<String, Object> lease(LeaseStatus lease) {
    Map<String, Object> facts = new LinkedHashMap<>();
    facts.put("id", lease.id());
    facts.put("function", lease.request().function().toString());
    facts.put("address", lease.address());
    facts.put("namespace", lease.namespace());
    facts.put("egress", lease.request().egress().toString());
    if (lease.request().bitsPerSecond() != NetworkRequest.UNSHAPED) {
      facts.put("bitsPerSecond", lease.request().bitsPerSecond());
    }
    facts.put("since", lease.since().toString());
    facts.put("receivedBytes", lease.usage().receivedBytes());
    facts.put("sentBytes", lease.usage().sentBytes());
    return facts;
  }
}
