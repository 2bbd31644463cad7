package dev.instar.gateway;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.instar.api.http.HttpExchange;
import dev.instar.api.http.Route;
import dev.instar.api.secret.SecretInfo;
import dev.instar.api.secret.SecretStore;
import dev.instar.gateway.access.Caller;
import java.io.IOException;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;

/** The part of Instar's own API by which users put the secrets of their functions. A value comes in by it, and none goes out. */
final class SecretApi {
  private static final String ALL = "/v1/secrets";
  private static final String ONE = ALL + "/{user}/{secret}";

  private final Services services;
  private final Supplier<Duration> serviceWait;

  SecretApi(Services services, Supplier<Duration> serviceWait) {
    this.services = services;
    this.serviceWait = serviceWait;
  }

  List<Route> routes() {
    return List.of(new Route("GET", ALL, this::list), new Route("PUT", ONE, this::put), new Route("DELETE", ONE, this::delete));
  }

  private void list(HttpExchange x) throws IOException, InterruptedException {
    Caller caller = x instanceof Exchange exchange ? exchange.caller() : Caller.ANYONE;
    List<SecretInfo> all = store().list(x.query("user"));
    Json.respond(x, "secrets", all.stream().filter(secret -> caller.mayUpload(secret.user())).map(SecretApi::json));
  }

  private void put(HttpExchange x) throws IOException, InterruptedException {
    SecretStore store = store();
    String user = x.variable("user");
    String name = x.variable("secret");
    // First, so that a name that will not do is told before the value has come.
    boolean there = store.find(user, name).isPresent();
    byte[] value = x.bodyBytes((int) Math.min(store.maxBytes(), Integer.MAX_VALUE));
    try {
      Json.respond(x, there ? 200 : 201, Map.of("Location", ALL + "/" + user + "/" + name), json(store.put(user, name, value)));
    } finally {
      Arrays.fill(value, (byte) 0);
    }
  }

  private void delete(HttpExchange x) throws IOException, InterruptedException {
    store().delete(x.variable("user"), x.variable("secret"));
    x.respond(204, Map.of(), new byte[0]);
  }

  private static ObjectNode json(SecretInfo secret) {
    return Json.object().put("user", secret.user()).put("name", secret.name()).put("size", secret.size()).put("updated", secret.updated().toString());
  }

  private SecretStore store() throws InterruptedException {
    return services.secrets().await(serviceWait.get());
  }
}
