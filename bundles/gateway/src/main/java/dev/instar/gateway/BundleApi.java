package dev.instar.gateway;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import dev.instar.api.http.HttpExchange;
import dev.instar.api.http.Route;
import dev.instar.api.operations.BundleStatus;
import dev.instar.api.operations.Change;
import dev.instar.api.operations.Deployer;
import dev.instar.api.operations.Deployment;
import dev.instar.api.operations.FeatureStatus;
import dev.instar.api.operations.Plan;
import java.io.IOException;
import java.io.InputStream;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Supplier;

/** The part of Instar's own API by which operators change what the node is made of. */
final class BundleApi {
  private static final String ALL = "/v1/bundles";
  private static final String ONE = ALL + "/{bundle}";
  private static final String FEATURES = "/v1/features";
  private static final String DEPLOYMENTS = "/v1/deployments/";
  /** Of one jar: the deployer's own, lower, limit is the one that counts. */
  private static final long UPLOAD_BYTES = 1L << 30;
  /** A change takes seconds; a drain of what it replaces may take minutes, and is then asked for by id. */
  private static final Duration WAIT = Duration.ofSeconds(90);

  private final Services services;
  private final Supplier<Duration> serviceWait;

  BundleApi(Services services, Supplier<Duration> serviceWait) {
    this.services = services;
    this.serviceWait = serviceWait;
  }

  List<Route> routes() {
    return List.of(
        new Route("GET", ALL, this::bundles),
        new Route("POST", ALL, x -> change(x, new Change.Install(jar(x)))),
        new Route("GET", ONE, this::bundle),
        new Route("PUT", ONE, x -> change(x, new Change.Update(x.variable("bundle"), jar(x)))),
        new Route("DELETE", ONE, x -> change(x, new Change.Uninstall(x.variable("bundle")))),
        new Route("POST", ONE + "/start", x -> change(x, new Change.Start(x.variable("bundle")))),
        new Route("POST", ONE + "/stop", x -> change(x, new Change.Stop(x.variable("bundle")))),
        new Route("GET", FEATURES, this::features),
        new Route("POST", FEATURES, x -> change(x, new Change.ApplyFeature(x.body(UPLOAD_BYTES).stream()))),
        new Route("POST", FEATURES + "/{feature}/apply", x -> change(x, new Change.ApplyShippedFeature(x.variable("feature")))),
        new Route("DELETE", FEATURES + "/{feature}", x -> change(x, new Change.RemoveFeature(x.variable("feature")))),
        new Route("GET", DEPLOYMENTS + "{id}", this::deployment));
  }

  private static InputStream jar(HttpExchange x) throws IOException {
    return x.body(UPLOAD_BYTES).stream();
  }

  private void bundles(HttpExchange x) throws IOException, InterruptedException {
    Json.respond(x, "bundles", deployer().bundles().stream().map(BundleApi::json));
  }

  private void bundle(HttpExchange x) throws IOException, InterruptedException {
    String which = x.variable("bundle");
    Json.respond(x, 200, json(deployer().bundles().stream().filter(b -> b.name().equals(which) || Long.toString(b.id()).equals(which)).findFirst()
        .orElseThrow(() -> new InstarException(ErrorCode.BUNDLE_NOT_FOUND, "There is no bundle " + Json.shown(which) + "; GET " + ALL + " lists them."))));
  }

  private void features(HttpExchange x) throws IOException, InterruptedException {
    Json.respond(x, "features", deployer().features().stream().map(BundleApi::json));
  }

  private void change(HttpExchange x, Change change) throws IOException, InterruptedException {
    boolean dryRun = x.query("dryRun").map(text -> switch (text) {
      case "", "true" -> true;
      case "false" -> false;
      default -> throw new InstarException(ErrorCode.BAD_REQUEST, "The parameter dryRun is '" + Json.shown(text) + "'; give true or false.");
    }).orElse(false);
    Deployer deployer = deployer();
    if (dryRun) {
      ObjectNode node = Json.object().put("dryRun", true);
      node.set("plan", json(deployer.plan(change)));
      Json.respond(x, 200, node);
      return;
    }
    Deployment deployment = deployer.begin(change);
    // This exchange is one of those that a gateway waits for before it goes, so it can't wait for that.
    answer(x, deployment.plan().endsConnection() ? deployment : deployer.await(deployment.id(), WAIT).orElse(deployment));
  }

  private void deployment(HttpExchange x) throws IOException, InterruptedException {
    String id = x.variable("id");
    Deployment deployment = deployer().find(id).orElseThrow(() -> new InstarException(ErrorCode.DEPLOYMENT_NOT_FOUND,
        "There is no deployment " + Json.shown(id) + ", or it was made too long ago; GET " + ALL + " tells what the node is made of now."));
    answer(x, deployment);
  }

  private static void answer(HttpExchange x, Deployment deployment) throws IOException {
    Map<String, String> headers = Map.of("Location", DEPLOYMENTS + deployment.id());
    switch (deployment.state()) {
      case DONE -> Json.respond(x, 200, headers, json(deployment));
      case RUNNING -> Json.respond(x, 202, headers, json(deployment));
      case ROLLED_BACK -> {
        Problem problem = deployment.problem().orElseGet(() -> Problem.of(ErrorCode.INTERNAL, "The change failed; the node's log says more."));
        x.respond(problem);
      }
    }
  }

  private static ObjectNode json(Deployment deployment) {
    ObjectNode node = Json.object().put("id", deployment.id()).put("what", deployment.what()).put("state", word(deployment.state()));
    node.set("plan", json(deployment.plan()));
    deployment.notes().forEach(node.putArray("notes")::add);
    return node.put("millis", deployment.took().toMillis());
  }

  private static ObjectNode json(Plan plan) {
    ObjectNode node = Json.object();
    ArrayNode steps = node.putArray("steps");
    for (Plan.Step step : plan.steps()) {
      ObjectNode one = steps.addObject().put("action", word(step.action())).put("bundle", step.bundle()).put("version", step.version());
      if (!step.reason().isEmpty()) {
        one.put("reason", step.reason());
      }
    }
    plan.backends().forEach(node.putArray("backends")::add);
    plan.functions().forEach(node.putArray("functions")::add);
    return node.put("functionCount", plan.functionCount()).put("endsConnection", plan.endsConnection());
  }

  private static ObjectNode json(BundleStatus bundle) {
    ObjectNode node = Json.object().put("id", bundle.id()).put("name", bundle.name()).put("version", bundle.version()).put("state", bundle.state())
        .put("startLevel", bundle.startLevel()).put("origin", bundle.origin());
    if (!bundle.stays().isEmpty()) {
      node.put("stays", bundle.stays());
    }
    return node;
  }

  private static ObjectNode json(FeatureStatus feature) {
    ObjectNode node = Json.object().put("name", feature.name()).put("id", feature.id()).put("description", feature.description()).put("present", feature.present())
        .put("applied", feature.applied());
    feature.bundles().forEach(node.putArray("bundles")::add);
    return node;
  }

  private static String word(Enum<?> constant) {
    return constant.name().toLowerCase(Locale.ROOT).replace('_', '-');
  }

  private Deployer deployer() throws InterruptedException {
    return services.deployers().await(serviceWait.get());
  }
}
