package dev.instar.gateway;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.function.FunctionName;
import dev.instar.api.http.HttpExchange;
import dev.instar.api.http.Route;
import dev.instar.api.invocation.BackendAssignment;
import dev.instar.api.invocation.BackendDirectory;
import dev.instar.api.invocation.BackendMove;
import dev.instar.api.invocation.BackendScope;
import dev.instar.gateway.Json.JsonObject;
import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;

/** The part of Instar's own API by which operators move functions from one backend to another. */
final class BackendApi {
  private static final Duration LONGEST_RAMP = Duration.ofDays(1);
  private static final Duration LONGEST_DRAIN = Duration.ofHours(1);

  private final Services services;
  private final Supplier<Duration> serviceWait;

  BackendApi(Services services, Supplier<Duration> serviceWait) {
    this.services = services;
    this.serviceWait = serviceWait;
  }

  List<Route> routes() {
    return List.of(
        new Route("GET", "/v1/backends/assignments", x -> answer(x, backends().assignments())),
        new Route("POST", "/v1/backends/swap", this::swap));
  }

  private BackendDirectory backends() throws InterruptedException {
    return services.backends().await(serviceWait.get());
  }

  private void swap(HttpExchange x) throws IOException, InterruptedException {
    JsonObject body = Json.body(x).onlyFields("from", "to", "function", "user", "rampSeconds", "drainSeconds");
    BackendMove move = new BackendMove(scope(body), body.string("from"), body.string("to"), seconds(body, "rampSeconds", LONGEST_RAMP).orElse(Duration.ZERO),
        seconds(body, "drainSeconds", LONGEST_DRAIN));
    answer(x, backends().move(move));
  }

  private static BackendScope scope(JsonObject body) {
    if (body.has("function") && body.has("user")) {
      throw new InstarException(ErrorCode.BAD_BODY, "The fields 'function' and 'user' exclude each other.");
    }
    if (body.has("function")) {
      return new BackendScope.One(FunctionName.parse(body.string("function")));
    }
    // A user has no name of its own kind: it is the first part of functions' names.
    return body.has("user") ? new BackendScope.User(new FunctionName(body.string("user"), "any").user()) : new BackendScope.All();
  }

  private static Optional<Duration> seconds(JsonObject body, String name, Duration longest) {
    if (!body.has(name)) {
      return Optional.empty();
    }
    int seconds = body.integer(name);
    if (seconds < 0 || seconds > longest.toSeconds()) {
      throw body.wrong(name, "a whole number from 0 to " + longest.toSeconds());
    }
    return Optional.of(Duration.ofSeconds(seconds));
  }

  private static void answer(HttpExchange x, List<BackendAssignment> assignments) throws IOException {
    Instant now = Instant.now();
    ObjectNode document = Json.object();
    ArrayNode all = document.putArray("assignments");
    for (BackendAssignment a : assignments) {
      ObjectNode one = all.addObject();
      switch (a.scope()) {
        case BackendScope.All _ -> { }
        case BackendScope.User(String user) -> one.put("user", user);
        case BackendScope.One(FunctionName function) -> one.put("function", function.toString());
      }
      one.put("own", a.own()).put("to", a.to()).put("before", a.before()).put("since", a.since().toString()).put("rampSeconds", a.ramp().toSeconds()).put("share", a.share(now));
    }
    Json.respond(x, 200, document);
  }
}
