package dev.instar.gateway;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.function.Function;
import dev.instar.api.function.FunctionName;
import dev.instar.api.function.FunctionRegistry;
import dev.instar.api.function.FunctionSpec;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.http.HttpDialect;
import dev.instar.api.http.HttpExchange;
import dev.instar.api.http.InvocationExchange;
import dev.instar.api.http.Route;
import dev.instar.api.http.RouteHandler;
import dev.instar.api.image.ImageStore;
import dev.instar.api.invocation.BackendDirectory;
import dev.instar.api.log.FunctionLogs;
import dev.instar.gateway.Json.JsonObject;
import dev.instar.gateway.access.Access;
import dev.instar.gateway.access.Caller;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.time.format.DateTimeParseException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;

/** Instar's own API under {@code /v1}; {@code openapi.json} beside this class is its description, and a test holds one against the other. */
final class NodeApi implements HttpDialect, AutoCloseable {
  private static final int DEFAULT_TAIL = 100;
  private static final int MAX_TAIL = 10_000;
  private static final String FUNCTION = "/v1/functions/{user}/{function}";

  private final Services services;
  private final byte[] root;
  private final byte[] openApi;
  private final LogStream logStream = new LogStream();
  private final SnapshotApi snapshots;
  private final BundleApi bundles;
  private final BackendApi backends;
  private final ConfigApi configurations;
  private final UserApi users;
  private final SecretApi secrets;
  private final ImageApi artifacts;
  private volatile Settings settings;
  private volatile InvocationExchange invocations;

  NodeApi(Services services, Settings settings, Access access, String version) {
    this.services = services;
    users = new UserApi(access);
    snapshots = new SnapshotApi(services, () -> this.settings.serviceWait());
    bundles = new BundleApi(services, () -> this.settings.serviceWait());
    backends = new BackendApi(services, () -> this.settings.serviceWait());
    configurations = new ConfigApi(services, () -> this.settings.serviceWait());
    secrets = new SecretApi(services, () -> this.settings.serviceWait());
    artifacts = new ImageApi(services, () -> this.settings);
    root = root(version);
    openApi = openApi(version);
    apply(settings);
  }

  void apply(Settings changed) {
    settings = changed;
    invocations = new InvocationExchange(services.functions(), services.invokers(), changed.serviceWait());
  }

  /** How functions are called, for whoever calls them another way. */
  InvocationExchange invocations() {
    return invocations;
  }

  @Override
  public String name() {
    return "instar";
  }

  @Override
  public List<Route> routes() {
    List<Route> routes = new ArrayList<>(snapshots.routes());
    routes.addAll(bundles.routes());
    routes.addAll(backends.routes());
    routes.addAll(configurations.routes());
    routes.addAll(users.routes());
    routes.addAll(secrets.routes());
    routes.addAll(artifacts.routes());
    routes.addAll(List.of(
        new Route("GET", "/v1", x -> x.respond(200, Map.of("Content-Type", "application/json"), root)),
        new Route("GET", "/v1/openapi.json", x -> x.respond(200, Map.of("Content-Type", "application/json"), openApi)),
        new Route("GET", "/v1/functions", this::functions),
        new Route("GET", FUNCTION, this::function),
        new Route("DELETE", FUNCTION, this::remove),
        new Route("POST", FUNCTION + "/versions", this::publish),
        new Route("GET", FUNCTION + "/versions/{version}", this::version),
        new Route("DELETE", FUNCTION + "/versions/{version}", this::removeVersion),
        new Route("POST", FUNCTION + "/activate", this::activate),
        new Route("POST", FUNCTION + "/rollback", x -> Json.respond(x, 200, FunctionJson.of(registry().rollBack(name(x))))),
        new Route("POST", FUNCTION + "/invoke", new Calls(), true),
        new Route("GET", FUNCTION + "/logs", this::logs)));
    return List.copyOf(routes);
  }

  private static byte[] root(String version) {
    ObjectNode node = Json.object().put("name", "instar").put("version", version);
    node.putObject("links").put("openapi", "/v1/openapi.json").put("functions", "/v1/functions").put("images", "/v1/images").put("snapshots", "/v1/snapshots").put("backends", "/v1/backends")
        .put("bundles", "/v1/bundles").put("features", "/v1/features").put("config", "/v1/config").put("users", "/v1/users").put("secrets", "/v1/secrets")
        .put("health", "/healthz").put("ready", "/readyz");
    return Json.bytes(node);
  }

  private static byte[] openApi(String version) {
    try (InputStream in = NodeApi.class.getResourceAsStream("openapi.json")) {
      ObjectNode document = Json.read(in.readAllBytes());
      document.withObject("/info").put("version", version);
      return Json.bytes(document);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private void functions(HttpExchange x) throws IOException, InterruptedException {
    Optional<String> user = x.query("user");
    List<Function> all = registry().list();
    Caller caller = x instanceof Exchange exchange ? exchange.caller() : Caller.ANYONE;
    Json.respond(x, "functions", all.stream().filter(function -> user.isEmpty() || user.get().equals(function.name().user()))
        .filter(function -> caller.mayUpload(function.name().user())).map(FunctionJson::of));
  }

  private void function(HttpExchange x) throws IOException, InterruptedException {
    Function function = find(name(x));
    ObjectNode node = FunctionJson.of(function);
    ObjectNode runs = node.putObject("runs");
    Optional<BackendDirectory> backends = services.backends().current();
    try {
      if (backends.isPresent()) {
        backends.get().describe(function.activeVersion()).forEach(runs::put);
      }
    } catch (InstarException e) {
      // The function is described all the same; that its backend is away is part of the description.
      node.putObject("problem").put("code", e.code().code()).put("detail", e.problem().detail());
    }
    Json.respond(x, 200, node);
  }

  private void remove(HttpExchange x) throws IOException, InterruptedException {
    registry().remove(name(x));
    x.respond(204, Map.of(), new byte[0]);
  }

  private void publish(HttpExchange x) throws IOException, InterruptedException {
    FunctionName name = name(x);
    JsonObject body = Json.body(x);
    ImageStore images = images();
    FunctionSpec spec = FunctionJson.spec(body, images::find);
    FunctionVersion version = registry().publish(name, spec, body.bool("activate", true));
    Json.respond(x, 201, Map.of("Location", "/v1/functions/" + name + "/versions/" + version.number()), FunctionJson.of(version));
  }

  private void version(HttpExchange x) throws IOException, InterruptedException {
    FunctionName name = name(x);
    int number = number(x.variable("version"));
    FunctionVersion version = find(name).version(number)
        .orElseThrow(() -> new InstarException(ErrorCode.VERSION_NOT_FOUND, "The function " + name + " has no version " + number + "."));
    Json.respond(x, 200, FunctionJson.of(version));
  }

  private void removeVersion(HttpExchange x) throws IOException, InterruptedException {
    registry().removeVersion(name(x), number(x.variable("version")));
    x.respond(204, Map.of(), new byte[0]);
  }

  private void activate(HttpExchange x) throws IOException, InterruptedException {
    FunctionName name = name(x);
    int number = Json.body(x).onlyFields("version").integer("version");
    Json.respond(x, 200, FunctionJson.of(registry().activate(name, number)));
  }

  /** Calls of functions. */
  private final class Calls implements RouteHandler {
    @Override
    public void handle(HttpExchange x) throws IOException, InterruptedException {
      invocations.answer(x, name(x), version(x), timeout(x));
    }

    @Override
    public boolean begin(HttpExchange x) {
      return invocations.begin(x, name(x), version(x), timeout(x));
    }

    private OptionalInt version(HttpExchange x) {
      Optional<String> version = x.query("version");
      return version.isPresent() ? OptionalInt.of(number(version.get())) : OptionalInt.empty();
    }

    private Optional<Duration> timeout(HttpExchange x) {
      return x.query("timeout").map(text -> Quantities.duration(text).filter(Duration::isPositive)
          .orElseThrow(() -> badParameter("timeout", text, "a time such as 500ms, 30s or 2m")));
    }
  }

  private void logs(HttpExchange x) throws IOException, InterruptedException {
    FunctionName name = name(x);
    int tail = x.query("tail").map(text -> {
      OptionalLong number = Quantities.number(text);
      if (number.isEmpty() || number.getAsLong() > MAX_TAIL) {
        throw badParameter("tail", text, "a number up to " + MAX_TAIL);
      }
      return (int) number.getAsLong();
    }).orElse(DEFAULT_TAIL);
    Instant since = x.query("since").map(NodeApi::instant).orElse(Instant.EPOCH);
    boolean follow = x.query("follow").map(text -> switch (text) {
      case "", "true" -> true;
      case "false" -> false;
      default -> throw badParameter("follow", text, "true or false");
    }).orElse(false);
    find(name);
    FunctionLogs logs = services.logs().await(settings.serviceWait());
    if (follow && !"HEAD".equals(x.method())) {
      logStream.follow(x, logs, name, tail, since, settings.maxFollowers(), () -> x instanceof Exchange exchange && exchange.stopping()
          || services.functions().current().map(now -> now.find(name).isEmpty()).orElse(false));
    } else {
      logStream.read(x, logs, name, tail, since);
    }
  }

  static Instant instant(String text) {
    try {
      return OffsetDateTime.parse(text).toInstant();
    } catch (DateTimeParseException e) {
      throw badParameter("since", text, "a time as in RFC 3339, e.g. 2026-01-31T12:00:00Z");
    }
  }

  private static int number(String text) {
    OptionalLong number = Quantities.number(text);
    if (number.isEmpty() || number.getAsLong() < 1 || number.getAsLong() > Integer.MAX_VALUE) {
      throw badParameter("version", text, "a number from 1");
    }
    return (int) number.getAsLong();
  }

  private static InstarException badParameter(String name, String value, String needed) {
    return new InstarException(ErrorCode.BAD_REQUEST, "The parameter " + name + " is '" + Json.shown(value) + "'; give " + needed + ".");
  }

  private static FunctionName name(HttpExchange x) {
    return new FunctionName(x.variable("user"), x.variable("function"));
  }

  private Function find(FunctionName name) throws InterruptedException {
    return registry().find(name).orElseThrow(() -> new InstarException(ErrorCode.FUNCTION_NOT_FOUND, "There is no function " + name + "; upload it first."));
  }

  private FunctionRegistry registry() throws InterruptedException {
    return services.functions().await(settings.serviceWait());
  }

  private ImageStore images() throws InterruptedException {
    return services.images().await(settings.serviceWait());
  }

  /** Ends what would never end by itself. */
  @Override
  public void close() {
    logStream.close();
  }
}
